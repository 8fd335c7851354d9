"""What a file holds that holds no generator, for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from .checkpoint import MAX_NAME, fields, is_weight, shape_of, text
from .formats import nvlabs, tensorflow
from .pickles.rebuild import Record

EXPECTED = (
    "expected a StyleGAN2 or StyleGAN3 generator of NVlabs, rosinality, e4e, pSp, ReStyle, Pivotal Tuning, "
    "PaddleGAN, BasicSR, GenForce, mmagic or StyleGAN-XL"
)
MAX_NAMES = 20_000
MAX_NESTING = 4
MAX_OBJECTS = 32
# Networks known by parts of which all a file's tensors must be, and by one of which at least one must be there
_FAMILIES = (
    (
        "a discriminator alone",
        r"(convs|final_conv|final_linear|b\d+|mapping|stddev)\..*",
        r"b4\.(fc|out|conv)\.weight|final_linear\.\d\.weight|final_conv\.0\.weight",
    ),
    (
        "an encoder alone",
        r"(input_layer|body|styles|output_layer|linear|latlayer\d|conv1|bn1|relu)\..*",
        r"input_layer\.0\.weight",
    ),
)
_OWN_FORMATS = {
    "chunkygan-inversion": "an inversion of this package; load it with Load Inversion",
    "chunkygan-directions": "directions of this package; choose it where a direction is asked for",
    "chunkygan-features": "a feature network of this package; choose it where a perceptual network is asked for",
    "chunkygan-statistics": "a generator's statistics that this package has measured",
}


def names_in(value: object) -> list[str]:
    """The names of the tensors in a file, with the keys that lead to them; the first MAX_NAMES."""
    names: list[str] = []
    objects = 0
    waiting: list[tuple[str, object, int]] = [("", value, 0)]
    while waiting and len(names) < MAX_NAMES:
        path, part, depth = waiting.pop()
        if nvlabs.is_module(part) and objects < MAX_OBJECTS:
            objects += 1
            names += [path + name for name in nvlabs.walk(part)[0]]
            continue
        entries = dict(enumerate(part)) if isinstance(part, tuple | list) else fields(part)
        for key, inner in entries.items():
            name = path + str(key)[:MAX_NAME]
            if is_weight(inner):
                names.append(name)
            elif depth < MAX_NESTING and isinstance(inner, Mapping | Record | tuple | list):
                waiting.append((f"{name}.", inner, depth + 1))
    return names[:MAX_NAMES]


def describe(value: object, names: Iterable[str]) -> str:
    """What a file holds; names: those of its tensors."""
    if is_weight(value):
        return f"a single tensor of shape {list(shape_of(value))}, perhaps a latent code"
    found = list(_objects(value))
    if found:
        return f"a {found[0][:40]} without a generator's layers"
    family = _family(list(names))
    if family:
        return family
    networks = [
        part
        for part in (value if isinstance(value, tuple | list) else [value])
        if tensorflow.is_network(part)
    ]
    if networks:
        return f"the TensorFlow networks {', '.join(text(fields(network).get('name')) for network in networks[:5])}"
    entries = fields(value)
    if entries:
        keys = ", ".join(str(key)[:30] for key in list(entries)[:5]) + (", ..." if len(entries) > 5 else "")
        return f"{len(entries)} {'entry' if len(entries) == 1 else 'entries'} ({keys})"
    if isinstance(value, dict | list | tuple) and not value:
        return f"an empty {type(value).__name__}"
    return f"a {nvlabs.class_name(value)[:40] or type(value).__name__}"


def native_file(format_: str) -> str | None:
    """What another file of this package is, by the format in its header."""
    known = _OWN_FORMATS.get(format_)
    return None if known is None else f"it holds {known}"


def _family(names: list[str]) -> str | None:
    for family, everything, mark in _FAMILIES:
        heads = {name.partition(".")[0] for name in names}
        for start in ("", *(f"{head}." for head in sorted(heads)[:20])):
            own = [name.removeprefix(start) for name in names if name.startswith(start)]
            marked = len(own) == len(names) and any(re.fullmatch(mark, name) for name in own)
            if marked and all(re.fullmatch(everything, name) for name in own):
                return family
    return None


def _objects(value: object) -> Iterator[str]:
    """The class names of the networks in a file."""
    for part in (value, *fields(value).values()):
        if nvlabs.is_module(part):
            yield nvlabs.class_name(part) or "network"
