"""Load, Sample, Info and Save StyleGAN on the double of the host, in inference mode as the host runs them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chunky_core.checkpoints.generators import load_generator
from tests.checkpoint_writers import WRITERS
from tests.pack_on_double import DOUBLE, SIZE, TINY, Pack, recorded_generator

LOAD, SAMPLE, SAVE = (f"ChunkyGAN_{name}StyleGAN" for name in ("Load", "Sample", "Save"))


@pytest.fixture
def models(pack: Pack) -> Iterator[Path]:
    """models/stylegan of the double; what a test adds is removed."""
    folder = pack.base / "models" / "stylegan"
    yield folder
    for path in folder.rglob("*"):
        if path.is_file() and path.name != TINY:
            path.unlink()


def offered(pack: Pack) -> list[str]:
    name, _ = pack.schemas[LOAD].inputs
    return name.widget["options"]


def host_double(name: str) -> Any:
    """A module of the double that the pack is running on."""
    assert str(DOUBLE) in str(sys.modules[name].__file__)
    return sys.modules[name]


def test_files_of_every_ending_are_offered_from_subfolders_too(pack: Pack, models: Path) -> None:
    (models / "faces" / "old").mkdir(parents=True, exist_ok=True)
    for name in (
        "a.pkl",
        "faces/b.pt",
        "faces/c.PTH",
        "faces/old/d.safetensors",
        "readme.txt",
        "faces/e.zip",
    ):
        (models / name).write_bytes(b"")
    assert offered(pack)[0] == "demo (built in)"
    assert offered(pack)[1:] == ["a.pkl", "faces/b.pt", "faces/c.PTH", "faces/old/d.safetensors", TINY]


def test_other_packs_extensions_stay_and_limit_nothing(pack: Pack, models: Path) -> None:
    known = host_double("folder_paths").folder_names_and_paths
    before = known["stylegan"]
    try:
        known["stylegan"] = (list(before[0]), {".onnx"})
        sys.modules[f"{pack.module.__name__}.nodes.generators"].register_folders()
        assert known["stylegan"][1] == {".onnx"}
        assert TINY in offered(pack)
    finally:
        known["stylegan"] = before


def test_a_batch_holds_the_pictures_of_consecutive_seeds(pack: Pack) -> None:
    (hosted,) = pack.run(LOAD, name=TINY)
    images, code = pack.run(SAMPLE, generator=hosted, seed=5, batch_size=3)
    assert images.shape == (3, SIZE, SIZE, 3) and images.min() >= 0 and images.max() <= 1
    assert code.space == "w" and code.tensor.shape == (3, 32)
    assert not code.tensor.is_inference() and not images.is_inference()
    alone, code_alone = pack.run(SAMPLE, generator=hosted, seed=7)
    torch.testing.assert_close(images[2:], alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(code.tensor[2:], code_alone.tensor)
    assert (images[0] - images[1]).abs().mean() > 0.001


def test_a_seed_means_what_it_means_in_nvlabs_scripts(pack: Pack) -> None:
    (hosted,) = pack.run(LOAD, name=TINY)
    images, code = pack.run(SAMPLE, generator=hosted, seed=85, truncation_psi=0.5)
    network = load_generator(pack.base / "models" / "stylegan" / TINY)
    z = torch.from_numpy(np.random.RandomState(85).randn(1, network.z_dim))
    ws = network.mapping(z, truncation_psi=0.5)
    torch.testing.assert_close(code.tensor, ws[:, 0])
    expected = (network.synthesis(ws).clamp(-1, 1) + 1) / 2
    torch.testing.assert_close(images, expected.movedim(1, -1), atol=1e-4, rtol=0)


def test_no_variety_gives_the_average_picture(pack: Pack) -> None:
    (hosted,) = pack.run(LOAD, name=TINY)
    _, code = pack.run(SAMPLE, generator=hosted, truncation_psi=0.0, batch_size=2)
    torch.testing.assert_close(code.tensor, hosted.generator.w_avg.expand(2, -1))


def test_noise_modes(pack: Pack, models: Path, make_generator: Any) -> None:
    WRITERS["own"](
        make_generator(resolution=16, w_dim=16, channel_base=128, channel_max=16), models / "n.safetensors"
    )
    (hosted,) = pack.run(LOAD, name="n.safetensors")
    drawn = [
        pack.run(SAMPLE, generator=hosted, noise_mode=mode)[0]
        for mode in ("const", "none", "random", "random")
    ]
    assert torch.equal(drawn[2], drawn[3])
    assert all((one - drawn[1]).abs().max() > 0.01 for one in (drawn[0], drawn[2]))


def test_classes(pack: Pack) -> None:
    hosted = recorded_generator(pack, "sg2_conditional_16")
    network = hosted.generator
    codes = [
        pack.run(SAMPLE, generator=hosted, seed=1, class_label=label)[1].tensor
        for label in range(network.c_dim)
    ]
    assert not torch.allclose(codes[0], codes[1])
    (drawn,) = pack.run(SAMPLE, generator=hosted, seed=1)[1].tensor.split(1)
    assert any(torch.allclose(drawn, code) for code in codes)
    for generator, label, said in (
        (hosted, network.c_dim, f"takes 0 to {network.c_dim - 1}, or -1"),
        (pack.run(LOAD, name=TINY)[0], 0, "takes -1, it has no classes"),
    ):
        with pytest.raises(pack.errors.InvalidInputError, match=said):
            pack.run(SAMPLE, generator=generator, class_label=label)


def test_progress_and_interruption(pack: Pack) -> None:
    (hosted,) = pack.run(LOAD, name=TINY)
    pack.sent.clear()
    pack.run(SAMPLE, generator=hosted, batch_size=4)
    assert pack.sent[-1][:2] == (4, 4) and pack.sent[-1][2][1].size == (SIZE, SIZE)
    pack.management.interrupted = True
    with pytest.raises(pack.management.InterruptProcessingException):
        pack.run(SAMPLE, generator=hosted, batch_size=4)


def test_info_describes_the_generator_and_keeps_its_statistics(pack: Pack) -> None:
    (hosted,) = pack.run(LOAD, name=TINY)
    (text,) = pack.run("ChunkyGAN_StyleGANInfo", generator=hosted)
    found = dict(line.split(": ", 1) for line in text.splitlines())
    network = load_generator(pack.base / "models" / "stylegan" / TINY)
    assert found["fingerprint"] == network.fingerprint
    assert found["resolution"] == f"{SIZE} x {SIZE}" and found["classes"] == "none"
    assert found["architecture"] == "stylegan2-skip"
    assert (
        pack.base / "models" / "chunkygan" / "statistics" / f"{network.fingerprint}.safetensors"
    ).is_file()
    z = torch.randn(20_000, 32, generator=torch.Generator().manual_seed(3))
    w = network.mapping(z)[:, 0]
    assert float(found["w sigma"].split()[0]) == pytest.approx(float(w.std(dim=0).mean()), rel=0.03)
    assert pack.run("ChunkyGAN_StyleGANInfo", generator=hosted) == (text,)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 0.0), ("fp16", 0.02)])
def test_a_saved_generator_draws_the_same(
    pack: Pack,
    models: Path,
    precision: str,
    tolerance: float,
) -> None:
    (hosted,) = pack.run(LOAD, name=TINY)
    given = {"name": f"kept/{precision}", "precision": precision, "licence": " CC0 "}
    file = Path(pack.run(SAVE, generator=hosted, **given)[0])
    assert file.stat().st_size < {"fp32": 1.1, "fp16": 0.6}[precision] * (models / TINY).stat().st_size
    assert f"kept/{file.name}" in offered(pack)
    (again,) = pack.run(LOAD, name=f"kept/{file.name}")
    assert again.generator.metadata["licence"] == "CC0"
    expected, drawn = (pack.run(SAMPLE, generator=one, seed=3)[0] for one in (hosted, again))
    assert (drawn - expected).abs().max() <= tolerance


def test_saving_never_overwrites(pack: Pack, models: Path) -> None:
    (hosted,) = pack.run(LOAD, name=TINY)
    files = [
        Path(pack.run(SAVE, generator=hosted, name=name)[0]) for name in ("two", "two.safetensors", "two")
    ]
    assert [file.name for file in files] == ["two.safetensors", "two_2.safetensors", "two_3.safetensors"]
    assert {file.parent for file in files} == {models.resolve()}


@pytest.mark.parametrize(
    "name", ["", "  ", ".safetensors", "../out", "a/../../out", "/tmp/out", "folder/", "nul\0"]
)
def test_names_outside_the_folder_are_refused(pack: Pack, name: str) -> None:
    (hosted,) = pack.run(LOAD, name=TINY)
    with pytest.raises(pack.errors.InvalidInputError, match="expected one inside models/stylegan"):
        pack.run(SAVE, generator=hosted, name=name)
    assert "expected one inside models/stylegan" in pack.nodes[SAVE].validate_inputs(name)  # before the run
    assert pack.nodes[SAVE].validate_inputs("faces/mine") is pack.nodes[SAVE].validate_inputs(None) is True
    assert "'tiny.safetensors' is no folder" in pack.nodes[SAVE].validate_inputs(f"{TINY}/mine")
