"""Info, Sample and Save StyleGAN on the double of the host, in inference mode as the host runs them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from tests.pack_on_double import NAME, SIZE, TINY, Pack, pack  # noqa: F401  # pack is a fixture

CLASSES = 3


@pytest.fixture(scope="module")
def tiny(pack: Pack) -> Any:  # noqa: F811
    return pack.run("ChunkyGAN_LoadStyleGAN", name=TINY)[0]


@pytest.fixture(scope="module")
def conditional(pack: Pack) -> Any:  # noqa: F811
    """A random generator with three classes."""
    core = {
        name: importlib.import_module(f"{NAME}.chunky_core.generator.{name}")
        for name in ("generator", "mapping", "module", "stylegan2")
    }
    with torch.random.fork_rng():
        torch.manual_seed(1)
        synthesis = core["stylegan2"].SynthesisNetwork(
            w_dim=32, img_resolution=16, channel_base=128, channel_max=16
        )
        mapping = core["mapping"].MappingNetwork(
            z_dim=32, w_dim=32, num_ws=synthesis.num_ws, num_layers=2, c_dim=CLASSES
        )
    module = core["module"].GeneratorModule(mapping, synthesis)
    return pack.host.host_generator(core["generator"].Generator(module))


def draw(pack: Pack, generator: Any, **given: Any) -> tuple[torch.Tensor, Any]:  # noqa: F811
    image, code = pack.run("ChunkyGAN_SampleStyleGAN", generator=generator, **given)
    return image, code


def test_a_batch_is_an_image_in_the_hosts_format_with_its_codes(pack: Pack, tiny: Any) -> None:  # noqa: F811
    image, code = draw(pack, tiny, batch_size=3)
    assert image.shape == (3, SIZE, SIZE, 3) and image.dtype == torch.float32
    assert image.min() >= 0 and image.max() <= 1 and image.std() > 0.01
    assert code.space == "w" and code.tensor.shape == (3, tiny.generator.w_dim)
    assert not image.is_inference() and not code.tensor.is_inference()


def test_a_picture_belongs_to_its_seed_whatever_the_batch(pack: Pack, tiny: Any) -> None:  # noqa: F811
    for mode in ("const", "none", "random"):
        batch, codes = draw(pack, tiny, seed=5, batch_size=3, noise_mode=mode)
        single, code = draw(pack, tiny, seed=7, noise_mode=mode)
        again, _ = draw(pack, tiny, seed=7, noise_mode=mode)
        assert torch.equal(single, again)
        assert torch.allclose(batch[2:], single, atol=1e-5)
        assert torch.allclose(codes.tensor[2:], code.tensor, atol=1e-6)
        assert (batch[0] - batch[1]).abs().mean() > 1e-3


def test_the_seed_draws_the_z_of_nvlabs_scripts(pack: Pack, tiny: Any) -> None:  # noqa: F811
    _, code = draw(pack, tiny, seed=12, truncation_psi=1.0)
    z = torch.from_numpy(np.random.RandomState(12).randn(1, tiny.generator.z_dim)).float()
    assert torch.allclose(code.tensor, tiny.generator.mapping(z)[:, 0], atol=1e-6)


def test_no_truncation_left_is_the_average_picture(pack: Pack, tiny: Any) -> None:  # noqa: F811
    image, code = draw(pack, tiny, truncation_psi=0.0, batch_size=2)
    assert torch.allclose(code.tensor[0], tiny.generator.w_avg, atol=1e-6)
    assert torch.allclose(image[0], image[1], atol=1e-5)


def test_the_code_draws_the_picture(pack: Pack, tiny: Any) -> None:  # noqa: F811
    image, code = draw(pack, tiny, seed=2)
    assert torch.allclose(pack.host.to_host(tiny.generator.synthesis(code.tensor)), image, atol=1e-5)


def test_classes_are_chosen_or_drawn(pack: Pack, conditional: Any) -> None:  # noqa: F811
    count = 12
    chosen = [draw(pack, conditional, class_label=c, batch_size=count)[1].tensor for c in range(CLASSES)]
    drawn = draw(pack, conditional, batch_size=count)[1].tensor
    matches = torch.stack([(drawn - one).abs().amax(dim=1) < 1e-5 for one in chosen])
    assert (matches.sum(dim=0) == 1).all()  # each picture is of exactly one class
    assert (matches.sum(dim=1) > 0).all()  # and every class occurs


def test_wrong_classes_are_refused(pack: Pack, tiny: Any, conditional: Any) -> None:  # noqa: F811
    with pytest.raises(pack.errors.InvalidInputError, match="class 3 was given; expected 0 to 2"):
        draw(pack, conditional, class_label=CLASSES)
    with pytest.raises(pack.errors.InvalidInputError, match="class 0 was given; this generator has no"):
        draw(pack, tiny, class_label=0)


def test_progress_counts_pictures_and_cancelling_stops(pack: Pack, tiny: Any) -> None:  # noqa: F811
    pack.sent.clear()
    draw(pack, tiny, batch_size=4, noise_mode="random")  # made one by one
    assert [(value, total) for value, total, _ in pack.sent] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    pack.sent.clear()
    pack.management.interrupted = True
    with pytest.raises(pack.management.InterruptProcessingException):
        draw(pack, tiny, batch_size=4, noise_mode="random")
    assert not pack.sent


def test_weights_stay_differentiable_after_an_unload_in_inference_mode(pack: Pack, tiny: Any) -> None:  # noqa: F811
    (hosted,) = pack.run("ChunkyGAN_LoadStyleGAN", name=TINY)
    before, _ = draw(pack, hosted)
    with torch.inference_mode():  # the host's way of moving weights off a device
        for part in hosted.generator.module.modules():
            for name, parameter in list(part.named_parameters(recurse=False)):
                setattr(part, name, torch.nn.Parameter(parameter.clone(), requires_grad=False))
            for name, buffer in list(part.named_buffers(recurse=False)):
                setattr(part, name, buffer.clone())
    assert any(tensor.is_inference() for tensor in hosted.generator.module.state_dict().values())
    after, code = draw(pack, hosted)
    assert torch.equal(before, after)
    w = code.tensor.requires_grad_()
    hosted.generator.synthesis(w).square().mean().backward()
    assert w.grad is not None and w.grad.abs().sum() > 0


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 0.0), ("fp16", 0.02)])
def test_a_saved_generator_draws_the_same(
    pack: Pack,  # noqa: F811
    tiny: Any,
    precision: str,
    tolerance: float,
) -> None:
    name = f"kept/{precision}"
    (file,) = pack.run(
        "ChunkyGAN_SaveStyleGAN", generator=tiny, name=name, precision=precision, licence=" CC0 "
    )
    (opened,) = pack.run("ChunkyGAN_LoadStyleGAN", name=f"{name}.safetensors")
    difference = (draw(pack, opened, seed=3)[0] - draw(pack, tiny, seed=3)[0]).abs().max()
    assert difference <= tolerance
    assert opened.generator.metadata["licence"] == "CC0"
    with safe_open(file, framework="pt") as content:
        stored = content.get_tensor("mapping.fc0.weight").dtype
    assert stored == {"fp32": torch.float32, "fp16": torch.float16}[precision]


def test_saving_never_overwrites(pack: Pack, tiny: Any) -> None:  # noqa: F811
    files = [
        Path(pack.run("ChunkyGAN_SaveStyleGAN", generator=tiny, name=name)[0])
        for name in ("twice", "twice.safetensors", "twice")
    ]
    assert [file.name for file in files] == [f"twice{end}.safetensors" for end in ("", "_2", "_3")]
    assert {file.parent for file in files} == {(pack.base / "models" / "stylegan").resolve()}


@pytest.mark.parametrize("name", ["", "  ", ".safetensors", "../out", "a/../../out", "/tmp/out", "folder/"])
def test_names_outside_the_folder_are_refused(pack: Pack, tiny: Any, name: str) -> None:  # noqa: F811
    with pytest.raises(pack.errors.InvalidInputError, match="expected one inside models/stylegan"):
        pack.run("ChunkyGAN_SaveStyleGAN", generator=tiny, name=name)


def test_info_names_what_matters_and_keeps_the_statistics(pack: Pack, tiny: Any, conditional: Any) -> None:  # noqa: F811
    (text,) = pack.run("ChunkyGAN_StyleGANInfo", generator=tiny)
    lines = dict(line.split(": ", 1) for line in text.splitlines())
    assert lines["architecture"] == "stylegan2-skip" and lines["resolution"] == f"{SIZE} x {SIZE}"
    assert lines["classes"] == "none" and lines["fingerprint"] == tiny.generator.fingerprint
    parameters = sum(tensor.numel() for tensor in tiny.generator.module.state_dict().values())
    assert int(lines["parameters"].replace(",", "")) == parameters
    codes = torch.cat([draw(pack, tiny, batch_size=200, truncation_psi=1.0)[1].tensor])
    spread = float(codes.sub(codes.mean(dim=0)).square().sum(dim=1).mean().sqrt())
    assert float(lines["w sigma"].split(", ")[1].split()[0]) == pytest.approx(spread, rel=0.1)
    kept = pack.base / "models" / "chunkygan" / "statistics" / f"{tiny.generator.fingerprint}.safetensors"
    assert kept.is_file()
    assert f"classes: {CLASSES}" in pack.run("ChunkyGAN_StyleGANInfo", generator=conditional)[0]


def test_every_format_is_listed_and_other_packs_endings_are_left_alone(pack: Pack) -> None:  # noqa: F811
    generators = importlib.import_module(f"{NAME}.nodes.generators")
    registered = generators.folder_paths.folder_names_and_paths[generators.FOLDER]
    root, endings = Path(registered[0][0]), set(registered[1])
    wanted = ["deep/er/a.pkl", "deep/b.pt", "c.pth", "D.PKL"]
    for name in [*wanted, "deep/readme.txt", "deep/picture.png"]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    registered[1].add(".pkl")  # as another pack would
    try:
        (entry,) = pack.schemas["ChunkyGAN_LoadStyleGAN"].inputs
        generators.register_folders()
        assert {*wanted, TINY} <= set(entry.widget["options"])
        assert not [name for name in entry.widget["options"] if name.endswith((".txt", ".png"))]
        assert registered[1] == {*endings, ".pkl"}
    finally:
        registered[1].discard(".pkl")
        for name in wanted:
            (root / name).unlink()
