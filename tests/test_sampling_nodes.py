"""Load, Sample, Info and Save StyleGAN on the double of the host, in inference mode as the host runs them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from chunky_core.generator.files import load_generator
from tests.checkpoint_writers import WRITERS
from tests.pack_on_double import DOUBLE, ROOT, SIZE, TINY, Pack, pack  # noqa: F401  # pack is a fixture

LOAD, SAMPLE = "ChunkyGAN_LoadStyleGAN", "ChunkyGAN_SampleStyleGAN"
DATA = ROOT / "tests" / "data"
ENDINGS = {"ada": ".pkl", "rosinality": ".pt", "tensorflow": ".pkl", "own": ".safetensors"}


@pytest.fixture
def models(pack: Pack) -> Iterator[Path]:  # noqa: F811
    """models/stylegan of the double; what a test adds is removed."""
    folder = pack.base / "models" / "stylegan"
    yield folder
    for path in folder.rglob("*"):
        if path.is_file() and path.name != TINY:
            path.unlink()


def offered(pack: Pack) -> list[str]:  # noqa: F811
    (name,) = pack.schemas[LOAD].inputs
    return name.widget["options"]


def host_double(name: str) -> Any:
    """A module of the double that the pack is running on."""
    assert str(DOUBLE) in str(sys.modules[name].__file__)
    return sys.modules[name]


def gradient(pack: Pack, hosted: Any) -> Tensor:  # noqa: F811
    """Of a picture's first pixels with respect to w, computed outside of inference mode as a projection does."""
    with pack.host.loaded(hosted) as network, torch.enable_grad():
        ws = network.w_avg.detach().clone().repeat(1, network.num_ws, 1).requires_grad_()
        network.synthesis(ws)[..., :8, :8].square().sum().backward()
    return ws.grad


def test_files_of_every_ending_are_offered_from_subfolders_too(pack: Pack, models: Path) -> None:  # noqa: F811
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


def test_other_packs_extensions_stay_and_limit_nothing(pack: Pack, models: Path) -> None:  # noqa: F811
    known = host_double("folder_paths").folder_names_and_paths
    before = known["stylegan"]
    try:
        known["stylegan"] = (list(before[0]), {".onnx"})
        sys.modules[f"{pack.module.__name__}.nodes.generators"].register_folders()
        assert known["stylegan"][1] == {".onnx"}
        assert TINY in offered(pack)
    finally:
        known["stylegan"] = before


@pytest.mark.parametrize("tool", ENDINGS)
def test_weights_of_every_tool_stay_differentiable_through_an_unload(
    pack: Pack,  # noqa: F811
    models: Path,
    make_generator: Any,
    tool: str,
) -> None:
    source = make_generator(resolution=16, w_dim=16, channel_base=128, channel_max=16)
    WRITERS[tool](source, models / f"one{ENDINGS[tool]}")
    (hosted,) = pack.run(LOAD, name=f"one{ENDINGS[tool]}")
    check_unload(pack, hosted)


@pytest.mark.parametrize("name", ["sg2_resnet_16", "sg2_orig_16", "sg2_conditional_16", "sg3_r_16"])
def test_every_architecture_stays_differentiable_through_an_unload(pack: Pack, name: str) -> None:  # noqa: F811
    networks = sys.modules[f"{pack.module.__name__}.chunky_core.generator.files"]
    check_unload(pack, pack.host.host_generator(network_of(networks, DATA / f"{name}.safetensors")))


def network_of(files: Any, path: Path) -> Any:
    with torch.inference_mode():
        return files.load_generator(path)


def check_unload(pack: Pack, hosted: Any) -> None:  # noqa: F811
    """Moved away in inference mode, as when another node needs the memory, and used again."""
    expected = gradient(pack, hosted)
    assert expected.abs().max() > 0
    with torch.inference_mode():
        hosted.patcher.model.to(torch.float64).to(torch.float32)
        assert any(tensor.is_inference() for tensor in hosted.patcher.model.state_dict().values())
    assert torch.equal(gradient(pack, hosted), expected)


def test_a_batch_holds_the_pictures_of_consecutive_seeds(pack: Pack) -> None:  # noqa: F811
    (hosted,) = pack.run(LOAD, name=TINY)
    images, code = pack.run(SAMPLE, generator=hosted, seed=5, batch_size=3)
    assert images.shape == (3, SIZE, SIZE, 3) and images.min() >= 0 and images.max() <= 1
    assert code.space == "w" and code.tensor.shape == (3, 32)
    assert not code.tensor.is_inference() and not images.is_inference()
    alone, code_alone = pack.run(SAMPLE, generator=hosted, seed=7)
    torch.testing.assert_close(images[2:], alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(code.tensor[2:], code_alone.tensor)
    assert (images[0] - images[1]).abs().mean() > 0.001


def test_a_seed_means_what_it_means_in_nvlabs_scripts(pack: Pack) -> None:  # noqa: F811
    (hosted,) = pack.run(LOAD, name=TINY)
    images, code = pack.run(SAMPLE, generator=hosted, seed=85, truncation_psi=0.5)
    network = load_generator(pack.base / "models" / "stylegan" / TINY)
    z = torch.from_numpy(np.random.RandomState(85).randn(1, network.z_dim))
    ws = network.mapping(z, truncation_psi=0.5)
    torch.testing.assert_close(code.tensor, ws[:, 0])
    expected = (network.synthesis(ws).clamp(-1, 1) + 1) / 2
    torch.testing.assert_close(images, expected.movedim(1, -1), atol=1e-4, rtol=0)


def test_no_variety_gives_the_average_picture(pack: Pack) -> None:  # noqa: F811
    (hosted,) = pack.run(LOAD, name=TINY)
    _, code = pack.run(SAMPLE, generator=hosted, truncation_psi=0.0, batch_size=2)
    torch.testing.assert_close(code.tensor, hosted.generator.w_avg.expand(2, -1))


def test_noise_modes(pack: Pack, models: Path, make_generator: Any) -> None:  # noqa: F811
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


def test_classes(pack: Pack) -> None:  # noqa: F811
    files = sys.modules[f"{pack.module.__name__}.chunky_core.generator.files"]
    network = network_of(files, DATA / "sg2_conditional_16.safetensors")
    hosted = pack.host.host_generator(network)
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


def test_progress_and_interruption(pack: Pack) -> None:  # noqa: F811
    (hosted,) = pack.run(LOAD, name=TINY)
    pack.sent.clear()
    pack.run(SAMPLE, generator=hosted, batch_size=4)
    assert pack.sent[-1][:2] == (4, 4) and pack.sent[-1][2][1].size == (SIZE, SIZE)
    pack.management.interrupted = True
    with pytest.raises(pack.management.InterruptProcessingException):
        pack.run(SAMPLE, generator=hosted, batch_size=4)


def test_info_describes_the_generator_and_keeps_its_statistics(pack: Pack) -> None:  # noqa: F811
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


@pytest.mark.parametrize(("folder", "root"), [("models/stylegan", "models/stylegan"), ("output", "output")])
def test_saved_generators_are_numbered_and_come_back(
    pack: Pack,  # noqa: F811
    models: Path,
    folder: str,
    root: str,
) -> None:
    (hosted,) = pack.run(LOAD, name=TINY)
    given = {"generator": hosted, "filename_prefix": "kept/tiny", "folder": folder}
    files = [Path(pack.run("ChunkyGAN_SaveStyleGAN", **given)[0]) for _ in range(2)]
    assert len(set(files)) == 2
    for file in files:
        assert file.parent == pack.base / root / "kept" and file.suffix == ".safetensors"
        assert load_generator(file).fingerprint == hosted.generator.fingerprint
    half = Path(pack.run("ChunkyGAN_SaveStyleGAN", **given, dtype="fp16")[0])
    assert half.stat().st_size < 0.6 * files[0].stat().st_size
    if folder == "models/stylegan":
        assert f"kept/{half.name}" in offered(pack)
        (again,) = pack.run(LOAD, name=f"kept/{half.name}")
        expected = pack.run(SAMPLE, generator=hosted)[0]
        torch.testing.assert_close(pack.run(SAMPLE, generator=again)[0], expected, atol=0.02, rtol=0)


def test_a_model_can_be_saved_after_an_unload(pack: Pack, models: Path) -> None:  # noqa: F811
    (hosted,) = pack.run(LOAD, name=TINY)
    with torch.inference_mode():
        hosted.patcher.model.to(torch.float64).to(torch.float32)
    (file,) = pack.run("ChunkyGAN_SaveStyleGAN", generator=hosted)
    assert load_generator(file).fingerprint == load_generator(models / TINY).fingerprint
