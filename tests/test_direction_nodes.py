"""Load Direction, Save Direction and Latent Edit with directions of every tool, on the double of the host."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.pack_on_double import TINY, Pack

LOAD, SAVE, EDIT = "ChunkyGAN_LoadDirection", "ChunkyGAN_SaveDirection", "ChunkyGAN_LatentEdit"
W, LAYERS = 32, 10  # of the tiny generator
ROWS = torch.linalg.qr(torch.randn(W, W, generator=torch.Generator().manual_seed(0)))[0][:25]


@pytest.fixture(scope="module")
def tiny(pack: Pack) -> Any:
    return pack.run("ChunkyGAN_LoadStyleGAN", name=TINY)[0]


@pytest.fixture(scope="module")
def inversion(pack: Pack, tiny: Any) -> Any:
    _, code = pack.run("ChunkyGAN_SampleStyleGAN", generator=tiny, seed=1)
    return pack.run("ChunkyGAN_CodeToInversion", generator=tiny, code=code)[0]


@pytest.fixture(scope="module", autouse=True)
def files(pack: Pack) -> Iterator[Path]:
    """Directions of several tools, in models/stylegan_directions."""
    folder = pack.base / "models" / "stylegan_directions"
    before = set(folder.iterdir())
    per_layer = torch.zeros(LAYERS, W)
    per_layer[4] = 3.0
    np.save(folder / "late.npy", per_layer.numpy())
    np.save(folder / "wide.npy", np.ones((18, 48)))
    torch.save({"comp": ROWS[:, None], "std": torch.arange(25.0) + 1}, folder / "pca.pt")
    np.save(folder / "zero.npy", np.zeros(W))
    torch.save(torch.eye(W)[[0, 1, 2]] * torch.tensor([[1.0], [2.0], [0.0]]), folder / "rows.pt")
    (folder / "noise.npy").write_bytes(b"\x07garbage" * 9)
    (folder / "picture.pt").write_bytes(b"\x89PNG" + bytes(99))
    (folder / "channels.json").write_text('{"gaze": [3, 5], "nod": [4, 6, -2]}')
    yield folder
    for path in set(folder.iterdir()) - before:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def loaded(pack: Pack, tiny: Any, file: str, **given: Any) -> tuple[Any, str]:
    return pack.run(LOAD, generator=tiny, file=file, **given)


def test_a_component_keeps_to_its_layers(pack: Pack, tiny: Any) -> None:
    direction, info = loaded(pack, tiny, "pca.pt", component=7, layers="coarse, 9")
    assert torch.allclose(direction.tensor, 8 * ROWS[7]) and direction.layers == (0, 1, 2, 3, 9)
    first, *rest = info.splitlines()
    assert first == "component_7: w 32, norm 8, layers 0-3, 9, strength 1 = one standard deviation"
    assert any("the file has 25" in line for line in rest) and "GANSpace, pca" in rest
    assert torch.equal(
        loaded(pack, tiny, "pca.pt", component=0, name="component_7")[0].tensor, direction.tensor
    )
    assert torch.equal(loaded(pack, tiny, "pca.pt", component=7, unit="raw")[0].tensor, ROWS[7])


def test_the_demo_has_its_names_once(pack: Pack) -> None:
    (demo,) = pack.run("ChunkyGAN_LoadStyleGAN")
    direction, info = pack.run(LOAD, generator=demo, name="gaze_x")
    assert direction.fingerprint == demo.generator.fingerprint
    assert "the file has 11" in info and "both eyes" in info


def test_what_is_not_there_is_named(pack: Pack, tiny: Any) -> None:
    invalid = pack.errors.InvalidInputError
    for given, words in (
        ({"file": "pca.pt", "component": 25}, r"component 25 was asked for; pca.pt has 25, counted from 0"),
        (
            {"file": "pca.pt", "name": "smile"},
            r"no direction 'smile' in pca.pt; it has component_0, component_1",
        ),
        ({"file": "pca.pt", "layers": "12"}, r"layers of 'component_0' are '12'; there are 0 to 9"),
        (
            {"file": "wide.npy"},
            r"has 18 x 48 numbers, .* 32 \(W\) or 10 x 32 .* in the list that fit it: .*late.npy, pca.pt",
        ),
        ({"file": "demo (built in)"}, r"has 48 numbers"),
        ({"file": "noise.npy"}, r"unknown format; expected a file of directions, \.safetensors, \.npy, "),
        ({"file": "picture.pt"}, r"a PNG picture; choose a file of directions, "),
        ({"file": "zero.npy", "unit": "raw"}, r"'zero' holds nothing but zeros"),
        ({"file": "rows.pt", "unit": "raw", "component": 2}, r"'component_2' is zero"),
        ({"file": "late.npy", "arrangement": "components in columns"}, r"has 10 x 32 numbers"),
    ):
        with pytest.raises(invalid, match=words):
            loaded(pack, tiny, **given)
    assert "no file 'gone.npy'" in pack.nodes[LOAD].validate_inputs(file="gone.npy")
    assert pack.nodes[LOAD].validate_inputs(file="late.npy") is True
    before = pack.nodes[LOAD].fingerprint_inputs(file="late.npy")
    assert before == pack.nodes[LOAD].fingerprint_inputs(file="late.npy", component=2) != "late.npy absent"
    assert pack.nodes[LOAD].fingerprint_inputs(file="gone.npy") == "gone.npy absent"


def test_what_was_saved_is_listed_and_the_same(pack: Pack, tiny: Any, files: Path) -> None:
    direction, _ = loaded(pack, tiny, "channels.json", name="nod")
    for name in ("shared/nod.safetensors", "shared/nod_2.safetensors"):
        (path,) = pack.run(SAVE, direction=direction, file="shared/nod", name="Nod twice", license="CC0-1.0")
        assert Path(path) == files / name
    choice = "shared/nod_2.safetensors/Nod twice"
    (entry,) = [one for one in pack.schemas[EDIT].inputs if one.id == "direction"]
    assert choice in entry.widget["options"]
    again, info = loaded(pack, tiny, "shared/nod_2.safetensors")
    assert torch.equal(again.tensor, direction.tensor)
    assert (again.space, again.unit, again.license) == ("s", "sigma", "CC0-1.0") and "CC0-1.0" in info


def test_names_of_files_are_judged_before_the_run(pack: Pack) -> None:
    validate = pack.nodes[SAVE].validate_inputs
    assert validate(file="mine") is True and validate() is True
    assert "inside models/stylegan_directions" in validate(file=" ")
    assert "leads out of its folder" in validate(file="../mine")
    for name in (".", "..", "a/.", "a/", "a\\", ".safetensors", "a/.npy.pt", " . "):
        assert validate(file=name).startswith("the name is"), name
    for name, odd in {
        "we?ird:*": "?",
        "a:b": ":",
        "a/b*": "*",
        "a\nb": "\\n",
        "<a>": "<",
        "a\0": "\\x00",
    }.items():
        assert f"has '{odd}', which not every system allows" in validate(file=name)
    assert validate(file="größe 1.5, ein Lächeln") is True


@pytest.mark.parametrize("name", ["clean", "clean.safetensors", "clean.npy.safetensors", "clean.PT"])
def test_endings_are_not_doubled(pack: Pack, tiny: Any, files: Path, name: str) -> None:
    direction, _ = loaded(pack, tiny, "channels.json", component=0)
    (path,) = pack.run(SAVE, direction=direction, file=f"{len(name)}/{name}", name="", license="")
    assert Path(path) == files / str(len(name)) / "clean.safetensors"


def test_a_loaded_direction_stands_above_the_list(pack: Pack, tiny: Any, inversion: Any) -> None:
    direction, _ = loaded(pack, tiny, "channels.json", component=0)
    given = {"generator": tiny, "inversion": inversion, "direction": "gone", "strength": 2.0}
    edited, image = pack.run(EDIT, **given, loaded_direction=direction, layers="3-5")
    (edit,) = edited[0].edits
    assert edit.direction is direction and edit.layers == (3, 4, 5) and edit.strength == 2.0
    assert image is not None and not torch.equal(image, pack.run(EDIT, **given, enabled=False)[1])
    with pytest.raises(
        pack.errors.InvalidInputError, match="layers of the edit with 'gaze' are '14'; there are 0 to 13"
    ):
        pack.run(EDIT, **given, loaded_direction=direction, layers="14")
    validate = pack.nodes[EDIT].validate_inputs
    assert validate(direction="gone", loaded_direction=None) is True  # as the host says that it is linked
    assert "no direction 'gone'" in validate(direction="gone")


def test_a_choice_of_the_list_is_for_the_connected_generator(pack: Pack, tiny: Any, inversion: Any) -> None:
    given = {"generator": tiny, "inversion": inversion}
    edited, _ = pack.run(EDIT, **given, direction="late.npy/late", layers="4")
    (edit,) = edited[0].edits
    assert (edit.direction.space, edit.direction.unit) == ("w+", "sigma")
    assert 0 < float(edit.direction.tensor[4].norm()) != 3 * W**0.5
    edited, _ = pack.run(EDIT, **given, direction="pca.pt/component_24")  # beyond those that are listed
    assert torch.allclose(edited[0].edits[0].direction.tensor, 25 * ROWS[24])
    with pytest.raises(
        pack.errors.InvalidInputError, match=r"has 48 numbers.*in the list that fit it: .*late\.npy/late"
    ):
        pack.run(EDIT, **given, direction="smile")


def prompt(**edit: Any) -> dict[str, Any]:
    """A projection, then an edit of what it gives, along a direction that is loaded or chosen."""
    return {
        "generator": {"class_type": "ChunkyGAN_LoadStyleGAN", "inputs": {"name": TINY}},
        "1": {"class_type": "ChunkyGAN_SegmentedProjection", "inputs": {"generator": ["generator", 0]}},
        "load": {
            "class_type": LOAD,
            "inputs": {"generator": ["generator", 0], "file": "pca.pt", "component": 3, "unit": "auto"},
        },
        "2": {
            "class_type": EDIT,
            "inputs": {
                "inversion": ["1", 0],
                "direction": f"{TINY}/smile",
                "segments": "all",
                "enabled": True,
                **edit,
            },
        },
    }


LINKED = {"loaded_direction": ["load", 0], "direction": "gone"}


@pytest.mark.parametrize(
    ("edit", "load", "words"),
    [
        ({}, {}, None),
        ({"layers": "coarse"}, {}, None),
        ({"layers": "10"}, {}, "there are 0 to 9"),
        ({"direction": "smile"}, {}, "has 48 numbers.*that fit it"),
        (LINKED, {}, None),
        (LINKED, {"component": 30}, "component 30 was asked for"),
        (LINKED, {"component": ["elsewhere", 0]}, None),
        (LINKED, {"file": "wide.npy", "component": 0}, "has 18 x 48 numbers"),
        (LINKED, {"layers": "99"}, "there are 0 to 9"),
    ],
)
def test_what_does_not_fit_is_found_before_the_projection(
    pack: Pack, tiny: Any, edit: dict[str, Any], load: dict[str, Any], words: str | None
) -> None:
    graph = prompt(**edit)
    graph["load"]["inputs"] |= load
    graph["elsewhere"] = {"class_type": "PrimitiveInt", "inputs": {"value": 1}}
    check = sys.modules[f"{pack.module.__name__}.nodes.downstream"].check_later_nodes
    with pack.running(graph, "1", "2"):
        if words is None:
            check(["mouth"], tiny.generator)
            return
        with pytest.raises(pack.errors.InvalidInputError, match=rf"node 2\) would fail: .*{words}"):
            check(["mouth"], tiny.generator)
