"""Files as other tools write them: which directions they hold, of which space, and why one can't be used."""

from __future__ import annotations

import json
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chunky_core.cli.direction_table import direction_table
from chunky_core.editing import load_directions
from chunky_core.editing.direction_files import SUFFIXES
from chunky_core.editing.stored_directions import convolution_channels, is_torgb
from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction

RNG = torch.Generator().manual_seed(3)
W, LAYERS = 32, 10  # of the generator of the tests
ROWS = torch.linalg.qr(torch.randn(W, W, generator=RNG))[0][:4].clone()  # at right angles
MATRIX = torch.randn(4, W, generator=RNG)
PER_LAYER = torch.randn(LAYERS, W, generator=RNG)
DEVIATIONS = torch.tensor([3.0, 2.0, 1.5, 0.5])


def written(path: Path, value: Any) -> Path:
    """A file of the kind that the suffix names."""
    if path.suffix == ".npy":
        np.save(path, value.numpy())
    elif path.suffix == ".npz":
        np.savez_compressed(path, **{name: np.asarray(entry) for name, entry in value.items()})
    elif path.suffix == ".pkl":
        path.write_bytes(pickle.dumps(value))
    elif path.suffix in (".json", ".txt", ".py"):
        path.write_text(value if isinstance(value, str) else json.dumps(value))
    else:
        torch.save(value, path)
    return path


def loaded(path: Path, value: Any, generator: Generator | None = None, **how: Any) -> dict[str, Direction]:
    return load_directions(written(path, value), generator=generator, unit="raw", **how)


def ganspace_cache(components: torch.Tensor, deviations: torch.Tensor = DEVIATIONS) -> dict[str, Any]:
    """As GANSpace's decomposition.py saves it."""
    count = len(components)
    return {
        "act_comp": np.ones((count, 1, W), np.float32),
        "act_mean": np.ones((1, W), np.float32),
        "act_stdev": np.ones(count, np.float32),
        "lat_comp": components.numpy(),
        "lat_mean": np.ones((1, W), np.float32),
        "lat_stdev": deviations.numpy(),
        "var_ratio": np.ones(count, np.float32),
        "random_stdevs": np.ones(count, np.float32),
    }


GANSPACE = {
    "cache.npz": ganspace_cache(ROWS[:, None]),
    "stylegan2_ada.npz": ganspace_cache(ROWS[:, None].expand(-1, LAYERS, -1)),
    "ffhq_pca.pt": {"comp": ROWS[:, None], "mean": torch.ones(1, W), "std": DEVIATIONS},
}


@pytest.mark.parametrize("name", GANSPACE)
@pytest.mark.parametrize("with_generator", [False, True])
def test_components_of_ganspace_are_in_standard_deviations(
    name: str, with_generator: bool, tmp_path: Path, generator: Generator
) -> None:
    path = written(tmp_path / name, GANSPACE[name])
    network = generator if with_generator else None
    found = load_directions(path, generator=network)
    assert list(found) == [f"component_{index}" for index in range(4)]
    for index, direction in enumerate(found.values()):
        assert (direction.space, direction.unit) == ("w+" if "ada" in name else "w", "sigma")
        vector = direction.tensor if direction.space == "w" else direction.tensor[LAYERS - 1]
        assert torch.allclose(vector, ROWS[index] * DEVIATIONS[index])
    raw = load_directions(path, generator=network, unit="raw")["component_1"]
    assert raw.unit == "raw" and torch.equal(raw.tensor.reshape(-1, W)[-1], ROWS[1])


def test_an_edit_that_ganspace_exported_keeps_its_layers(tmp_path: Path, generator: Generator) -> None:
    export = {
        "name": "Frizzy hair",
        "lat_comp": ROWS[:1].numpy(),
        "lat_stdev": 2.0,
        "latent_space": "W",
        "edit_type": "latent",
        "edit_start": 2,
        "edit_end": 6,
        "decomposition": {"layer": "style", "components": 80},
    }
    ((name, direction),) = load_directions(
        written(tmp_path / "edit.pkl", export), generator=generator
    ).items()
    assert (name, direction.space, direction.layers, direction.unit) == (
        "Frizzy hair",
        "w",
        (2, 3, 4, 5),
        "sigma",
    )
    assert torch.allclose(direction.tensor, 2 * ROWS[0])
    for change, words in (
        ({"latent_space": "Z"}, "in Z"),
        ({"edit_type": "activation"}, "edit of activation"),
        ({"edit_end": 1}, "expected a range"),
        ({"lat_stdev": None}, "lat_stdev is missing"),
        ({"edit_end": LAYERS + 1}, f"moves layer {LAYERS}, this generator's of W are 0 to {LAYERS - 1}"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            load_directions(written(tmp_path / "other.pkl", export | change), generator=generator)


COMPONENTS: dict[str, tuple[Any, torch.Tensor]] = {
    "factor.pt": ({"ckpt": "stylegan2.pt", "eigvec": ROWS.T.contiguous()}, ROWS),
    "sefa.npz": ({"boundaries": MATRIX, "values": np.ones(4), "layers": np.arange(2, 5)}, MATRIX),
    "eigenvectors.npy": (ROWS, ROWS),
    "columns.npy": (MATRIX.T.contiguous(), MATRIX),
    "columns.pt": (MATRIX.T.contiguous(), MATRIX),
    "boundaries.npy": (MATRIX[:, None], MATRIX),
    "two.npy": (PER_LAYER[:2], PER_LAYER[:2]),
}


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_matrix_that_is_not_one_vector_per_layer_holds_components(
    name: str, tmp_path: Path, generator: Generator
) -> None:
    value, rows = COMPONENTS[name]
    found = loaded(tmp_path / name, value, generator)
    assert list(found) == [f"component_{index}" for index in range(len(rows))]
    assert all(torch.equal(one.tensor, row) for one, row in zip(found.values(), rows, strict=True))
    assert {one.layers for one in found.values()} == {(2, 3, 4) if name == "sefa.npz" else ()}


def test_without_a_generator_right_angles_tell_components_from_layers(tmp_path: Path) -> None:
    assert list(loaded(tmp_path / "layers.npy", PER_LAYER)) == ["layers"]
    assert len(loaded(tmp_path / "rows.npy", ROWS)) == len(ROWS)
    assert len(loaded(tmp_path / "columns.npy", ROWS.T.contiguous())) == len(ROWS)
    assert len(loaded(tmp_path / "many.npy", torch.randn(40, W, generator=RNG))) == 40


def test_what_a_matrix_is_can_be_chosen(tmp_path: Path, generator: Generator) -> None:
    path = tmp_path / "m.npy"
    assert loaded(path, PER_LAYER, generator)["m"].space == "w+"
    assert len(loaded(path, PER_LAYER, generator, arrangement="components")) == LAYERS
    square = torch.linalg.qr(torch.randn(W, W, generator=RNG))[0]
    first = {
        how: loaded(path, square, generator, arrangement=how) for how in ("auto", "components in columns")
    }
    assert torch.equal(first["auto"]["component_0"].tensor, square[0])
    assert torch.equal(first["components in columns"]["component_0"].tensor, square[:, 0])
    with pytest.raises(InvalidInputError, match=f"has {W} x {W} numbers, .* {LAYERS} x {W}"):
        loaded(path, square, generator, arrangement="one per layer")
    with pytest.raises(InvalidInputError, match="arrangement is 'rows'; expected one of auto"):
        loaded(path, square, generator, arrangement="rows")


def test_equal_vectors_of_all_layers_are_no_components(tmp_path: Path, generator: Generator) -> None:
    path = tmp_path / "age.npy"
    alike = MATRIX[:1].expand(LAYERS, -1).double()[None]
    for network in (generator, None):
        direction = loaded(path, alike, network)["age"]
        assert direction.space == "w+" and torch.equal(direction.tensor, alike[0].float())
    with pytest.raises(InvalidInputError, match=f"has 18 x {W} numbers, .* or {LAYERS} x {W}"):
        loaded(path, MATRIX[:1].expand(18, -1), generator)


def test_flat_vectors_are_told_by_their_length(tmp_path: Path, generator: Generator) -> None:
    flat = loaded(tmp_path / "bound.npy", PER_LAYER.reshape(1, -1), generator)["bound"]
    assert flat.space == "w+" and torch.equal(flat.tensor, PER_LAYER)
    widths = [width for _, width in generator.style_layout]
    styles = torch.randn(sum(widths), generator=RNG)
    assert torch.equal(loaded(tmp_path / "s.npy", styles, generator)["s"].tensor, styles)
    listed = loaded(tmp_path / "s.pt", [one[None] for one in styles.split(widths)], generator)["s"]
    assert listed.space == "s" and torch.equal(listed.tensor, styles)


def test_channels_of_the_convolutions_leave_those_of_torgb_alone(
    tmp_path: Path, generator: Generator
) -> None:
    convolutions = torch.randn(convolution_channels(generator), generator=RNG)
    direction = loaded(tmp_path / "delta.npy", convolutions, generator)["delta"]
    parts = direction.tensor.split([width for _, width in generator.style_layout])
    named = list(zip([layer for layer, _ in generator.style_layout], parts, strict=True))
    assert torch.equal(torch.cat([part for layer, part in named if not is_torgb(layer)]), convolutions)
    assert not any(part.any() for layer, part in named if is_torgb(layer))


PRESETS: dict[str, Any] = {
    "presets.py": "x = [1, 2, 3, 4]\ndef known():\n  return {\n    'smile': (6, 11),\n    'old': (2, 3, -20),\n  }",
    "presets.txt": "# found by hand\nsmile:   6_11\n\n old = 2 3  -20  # grey\n",
    "presets.json": {"smile": [6, 11], "old": [2, 3, -20]},
    "named.json": {"smile": ["b16.conv1", 11], "old": [["b8.conv0", 3, -15], ["b8.conv0", 3, -5]]},
    "texts.json": {"smile": "6_11", "old": ["2_3_-20"]},
    "without.json": {"torgb": False, "smile": [4, 11], "old": [1, 3, -20]},
    "without.txt": "# layers without toRGB\nsmile 4_11\nold 1 3 -20",
}


@pytest.mark.parametrize("name", PRESETS)
def test_channels_of_stylespace(name: str, tmp_path: Path, generator: Generator) -> None:
    found = loaded(tmp_path / name, PRESETS[name], generator)
    assert list(found) == ["smile", "old"]
    names, widths = zip(*generator.style_layout, strict=True)
    for direction, (layer, channel, amount) in zip(
        found.values(), (("b16.conv1", 11, 1.0), ("b8.conv0", 3, -20.0)), strict=True
    ):
        expected = [torch.zeros(width) for width in widths]
        expected[names.index(layer)][channel] = amount
        assert direction.space == "s" and torch.equal(direction.tensor, torch.cat(expected))


REFUSED: dict[str, tuple[Any, str]] = {
    "size.npy": (torch.ones(17), rf"has 17 numbers, .* {W} \(W\) or {LAYERS} x {W} \(W\+\) or"),
    "layers.npy": (torch.randn(18, W + 1, generator=RNG), f"has 18 x {W + 1} numbers"),
    "z.npz": (ganspace_cache(ROWS[:, None], torch.ones(4)), "found in Z"),
    "counts.npz": (ganspace_cache(ROWS[:, None], torch.ones(3)), "with 3 deviations"),
    "fs3.npy": (torch.ones(6048, 512), "StyleCLIP's fs3.npy.*needs CLIP"),
    "mapper.pt": (
        {"state_dict": {"mapper.course_mapping.1.weight": torch.ones(2, 2)}},
        "mapper of StyleCLIP",
    ),
    "many.npy": (torch.randn(1100, W, generator=RNG), "has 1100 rows"),
    "list.pt": ([torch.ones(3)] * 6, "has 18 numbers"),
    "twice.npz": ({"a": ROWS, "a_0": ROWS[0]}, "two of its directions"),
    "layer.json": ({"x": [99, 0]}, "moves layer 99; this generator's styles are 0 to"),
    "name.json": (
        {"x": ["b7.conv0", 0]},
        r"moves layer b7.conv0; this generator's styles are b4.conv1, b4.torgb",
    ),
    "channel.txt": ("x: 0_9999", "moves channel 9999 of layer 0; this generator's has"),
    "wrong.json": (
        {"x": [1, 2, 3, 4]},
        r"entry 'x' is '\[1, 2, 3, 4\]'; expected \[layer, channel, amount\]",
    ),
    "huge.txt": ("x: 1 2 1e99", "no amount"),
    "empty.txt": ("# nothing", "holds 0 channels"),
    "torgb.json": ({"torgb": 1, "x": [1, 2]}, "no truth value"),
    "broken.json": ("{", "no JSON"),
    "deep.json": ("[" * 900 + "]" * 900, "nested|no JSON"),
    "page.json": ("<!DOCTYPE html>", "no JSON"),
    "long.txt": ("x" * 100_000, "is no channel"),
    "spaces.txt": ("x" + " " * 300 + "1_2" + " " * 80 + "x", "is no channel"),
    "words.txt": ("x " * 99 + "1_2_", "is no channel"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_explained(name: str, tmp_path: Path, generator: Generator) -> None:
    value, words = REFUSED[name]
    with pytest.raises(InvalidInputError, match=words) as caught:
        loaded(tmp_path / name, value, generator)
    assert name in str(caught.value) and "\n" not in str(caught.value)


NEEDS_GENERATOR = {"s.npy": torch.ones(9088), "list.pt": [torch.ones(3)] * 6, "p.json": {"x": [6, 11]}}


@pytest.mark.parametrize("name", NEEDS_GENERATOR)
def test_what_only_a_generator_tells_says_so(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="only with the generator"):
        loaded(tmp_path / name, NEEDS_GENERATOR[name])


PEERS = Path(os.environ.get("PEERS_PATH", "absent"))
FFHQ: dict[str, Callable[[], list[Path]]] = {
    "Chunkmogrify": lambda: sorted((PEERS / "Chunkmogrify" / "directions").glob("*.npy")),
    "PTI": lambda: sorted((PEERS / "PTI" / "editings").rglob("*.pt")),
}


@pytest.mark.parametrize("peer", FFHQ)
def test_the_ready_files_of_other_projects_open(peer: str) -> None:
    files = FFHQ[peer]()
    if not files:
        pytest.skip(f"{peer} isn't in PEERS_PATH")
    assert len(files) == {"Chunkmogrify": 19, "PTI": 4}[peer]
    for path in files:
        assert path.suffix in SUFFIXES
        found = load_directions(path)
        assert len(found) == (80 if path.stem == "ffhq_pca" else 1)
        for direction in found.values():
            assert tuple(direction.tensor.shape) in ((512,), (18, 512))
            assert 0.2 < float(direction.tensor.norm()) < 15
    lines = list(direction_table(None, files))
    listed = [line for line in lines[1:] if re.search(r"(18|1|80) x 512 +w\+? +\d", line)]
    assert len(listed) == {"Chunkmogrify": 19, "PTI": 3 + 10}[peer]
