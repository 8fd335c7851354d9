"""All generators in a file's contents, and which of them is meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import lit_ema, tensor_names
from .checkpoint import MAX_NAME, PartialCheckpoint, Weights, fields, weights_of
from .formats import layouts, nvlabs, tensorflow
from .pickles.rebuild import Record

# Of weights alike, those under the first of these are meant
HOLDERS = ("g_ema", "g", "generator", "state_dict", "model")
UNAVERAGED = {"g", "gen", "generator", "netg", "params", "model"}
_ANCHORS = tuple(layouts.STARTS)
MAX_NESTING = 4
MAX_CANDIDATES = 64

Entries = Mapping[Any, Any]


@dataclass(frozen=True)
class Candidate:
    """A generator in a file.

    path: the keys and prefixes that lead to it; source: its tensors, its object or TensorFlow's networks; around: the
    dicts on the way to it, the outermost first; prefix: what stands before its tensors' names; told: whether something
    else than these says that it is an average.
    """

    path: tuple[str, ...]
    source: Any
    around: tuple[Entries, ...] = ()
    prefix: str = ""
    told: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The path with prefixes taken apart, without wrappers."""
        return (*self.path, *(part for part in self.prefix.split(".") if part))

    @property
    def averaged(self) -> bool:
        """Whether its weights are an average over training."""
        if isinstance(self.source, Record):
            counted = self.source.name.endswith(".AveragedModel")
        else:
            counted = isinstance(self.source, dict) and f"{self.prefix}n_averaged" in self.source
        return self.told or counted or tensor_names.is_averaged(self._telling_keys())

    def _telling_keys(self) -> list[str]:
        """The keys, with an average told by what lies beside it: Lightning's WeightAveraging keeps the raw weights
        in current_model_state.
        """
        around = zip(self.path, self.around, strict=False)
        path = [
            "ema" if key == "state_dict" and "current_model_state" in beside else key
            for key, beside in around
        ]
        return [*path, *self.keys[len(path) :]]


def find_candidates(value: object) -> list[Candidate]:
    """The generators in a file's contents, the one that is meant first."""
    found = []
    for candidate in _walk(value, (), (), 0):
        found.append(candidate)
        if len(found) == MAX_CANDIDATES:
            break
    return sorted(found, key=lambda one: (not one.averaged, _rank(one), len(one.keys)))


def _rank(candidate: Candidate) -> int:
    names = [key.lower() for key in candidate.keys]
    if not names:
        return -1
    return min((HOLDERS.index(name) for name in names if name in HOLDERS), default=len(HOLDERS))


def note_choice(found: list[Candidate], partial: PartialCheckpoint) -> None:
    """Notes which weights of several, averaged or raw, are used."""
    chosen, others = found[0], found[1:]
    name = ".".join(chosen.keys)[:MAX_NAME]
    alike = [".".join(other.keys)[:40] or "its own" for other in others if other.averaged == chosen.averaged]
    if alike:
        partial.notes.append(
            f"the file holds {len(alike) + 1} generators; {name or 'its own'} is used, not {alike[0]}"
        )
    if chosen.averaged:
        raw = [".".join(other.keys)[:40] for other in others if not other.averaged]
        if chosen.keys[-1:] not in (("G_ema",), ("g_ema",)):
            used = f"weights {name} are used" if name else "weights are used, which a counter tells"
            partial.notes.append(f"the averaged {used}" + (f", not {raw[0]}" if raw and raw[0] else ""))
        return
    last = chosen.keys[-1] if chosen.keys else ""
    unmatched = _dotless_prefixes(chosen)
    if unmatched:
        partial.notes.append(
            f"the average ({unmatched[0][:40]}) is stored without dots, doesn't match the raw weights and is not used; "
            f"{last[:40] or 'its own'} is used"
        )
    elif any(
        "shadow_params" in fields(other)
        for entries in chosen.around
        for other in (entries, *entries.values())
    ):
        partial.notes.append(
            f"the average (shadow_params) is stored without names and not used; {last[:40]} is used"
        )
    elif last.lower() in UNAVERAGED and not alike:
        partial.notes.append(f"there is no average of the weights ({last[:40]}_ema); {last[:40]} is used")


def _dotless_prefixes(chosen: Candidate) -> list[str]:
    places = [lit_ema.prefixes(map(str, entries)) for entries in chosen.around]
    places += [lit_ema.prefixes(lit_ema.flattened(entries)) for entries in chosen.around]
    return [prefix.rstrip(".") for prefixes in places for prefix in prefixes]


def _walk(
    value: object, path: tuple[str, ...], around: tuple[Entries, ...], depth: int
) -> Iterator[Candidate]:
    networks = value if isinstance(value, tuple | list) else [value]
    if any(map(tensorflow.is_network, networks)) and any(map(tensorflow.is_generator, networks)):
        yield Candidate(path, networks, around)
    elif nvlabs.is_module(value):
        if _looks_like_generator(value):
            yield Candidate(path, value, around)
    elif not (
        isinstance(value, Record) and value.unknown
    ):  # what is inside an unknown object isn't looked at
        entries = dict(enumerate(value)) if isinstance(value, tuple | list) else fields(value)
        yield from _among_tensors(entries, path, around)
        yield from _without_dots(lit_ema.flattened(entries), path, (*around, entries))
        if depth < MAX_NESTING:
            for key, inner in entries.items():
                if isinstance(inner, Mapping | Record | tuple | list):
                    yield from _walk(inner, (*path, str(key)[:MAX_NAME]), (*around, entries), depth + 1)


def _among_tensors(
    entries: Entries, path: tuple[str, ...], around: tuple[Entries, ...]
) -> Iterator[Candidate]:
    weights = weights_of(entries)
    if not any(tensor_names.without_wrappers(name).endswith(_ANCHORS) for name in weights):
        return
    clean: Weights = tensor_names.unwrapped(lit_ema.without(weights))
    for prefix in tensor_names.generator_prefixes(clean):
        yield Candidate(path, clean, (*around, entries), prefix)
    yield from _without_dots(weights, path, (*around, entries))


def _without_dots(
    weights: Weights, path: tuple[str, ...], around: tuple[Entries, ...]
) -> Iterator[Candidate]:
    for prefix, source in lit_ema.averages(weights):
        yield Candidate(path, source, around, prefix, told=True)


def _looks_like_generator(module: object) -> bool:
    """By the names of its parts, seen through wrappers."""
    for _ in range(MAX_NESTING):
        parts = fields(nvlabs.attributes_of(module).get("_modules"))
        inner = next((parts[name] for name in parts if name in tensor_names.WRAPPERS), None)
        if inner is None:
            return {"mapping", "synthesis"} <= set(parts) or {"style", "convs"} <= set(parts)
        module = inner
    return False
