"""Latent codes in the files that other tools leave, as codes, as inversions and as starts of projections."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import chunky_core as cg
from chunky_core.errors import InvalidInputError, MissingWeightsError, UnsupportedCheckpointError
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import LatentCode
from chunky_core.inversion.latent_files import NOT_ITS_NOISE, load_latent, read_codes
from chunky_core.inversion.presets import project_preset
from chunky_core.segments import single_segment
from tests.cli_tools import edit, furnish
from tests.hostile_tools import written
from tests.pack_on_double import NAME, SIZE, TINY, Pack

LAYERS, WIDTH = 10, 32  # of the generator of the tests


@pytest.fixture(scope="module")
def rows() -> Tensor:
    return torch.randn(3, LAYERS, WIDTH, generator=torch.Generator().manual_seed(0))


def saved(path: Path, value: Any) -> Path:
    """As each ending is written by the tools."""
    if path.suffix == ".npz":
        np.savez(path, **value)
    elif path.suffix == ".npy":
        np.save(path, value)
    elif path.suffix == ".safetensors":
        save_file(value, path)
    elif path.suffix == ".pkl":
        path.write_bytes(pickle.dumps(value))
    else:
        torch.save(value, path)
    return path


def noise_maps(generator: Generator) -> list[Tensor]:
    rng = torch.Generator().manual_seed(4)
    return [torch.randn(1, 1, size, size, generator=rng) for _, size in generator.noise_layout]


def projector_file(generator: Generator, rows: Tensor) -> dict[str, Any]:
    """What rosinality's projector.py saves."""
    return {
        name: {"img": torch.zeros(3, 8, 8), "latent": code, "noise": noise_maps(generator)}
        for name, code in zip(("a.png", "b.png"), rows, strict=False)
    }


# name of the file, its contents by tool, space and number of codes
WHOLE = {
    "projected_w.npz": (lambda rows: {"w": rows[:1].numpy()}, "w+", 1),  # NVlabs, StyleGAN-XL
    "other.npz": (lambda rows: {"noise": np.zeros(3), "latents": rows.numpy()}, "w+", 3),
    "0.pt": (lambda rows: rows[:1].clone().requires_grad_(), "w+", 1),  # Pivotal Tuning
    "latents.pt": (lambda rows: rows.half(), "w+", 3),  # e4e
    "one.npy": (lambda rows: rows[0].numpy(), "w+", 1),
    "four.npy": (lambda rows: rows[:, None].numpy().astype("f8"), "w+", 3),
    "w.npy": (lambda rows: rows[0, 0].numpy(), "w", 1),
    "w1.npy": (lambda rows: rows[:1, 0].numpy(), "w", 1),
    "w3.npy": (lambda rows: rows[:, :1].numpy(), "w", 3),
    "pictures.pkl": (lambda rows: {f"{i}.jpg": one.numpy() for i, one in enumerate(rows)}, "w+", 3),
    "listed.pt": (lambda rows: list(rows), "w+", 3),
    "named.safetensors": (lambda rows: {"w_plus": rows[:2].contiguous()}, "w+", 2),
}


@pytest.mark.parametrize("name", WHOLE)
def test_the_tools_files(name: str, generator: Generator, rows: Tensor, tmp_path: Path) -> None:
    content, space, count = WHOLE[name]
    code = cg.load_latent(generator, saved(tmp_path / name, content(rows)))
    assert (code.space, len(code.tensor), code.tensor.dtype) == (space, count, torch.float32)
    expected = rows[:count] if space == "w+" else rows[:count, 0]
    torch.testing.assert_close(code.tensor, expected, atol=2e-3 if name == "latents.pt" else 0, rtol=0)
    assert not code.tensor.requires_grad


def test_rows_that_are_all_equal_are_a_code_in_w(generator: Generator, rows: Tensor, tmp_path: Path) -> None:
    ws = rows[:, :1].expand(-1, LAYERS, -1)
    path = saved(tmp_path / "projected_w.npz", {"w": ws.numpy()})
    assert torch.equal(load_latent(generator, path).tensor, rows[:, 0])
    assert load_latent(generator, path, "w+").tensor.shape == (3, LAYERS, WIDTH)
    mixed = saved(tmp_path / "mixed.pt", [ws[0], rows[1]])
    assert load_latent(generator, mixed).space == "w+"


def test_styles_as_one_row_or_a_list(generator: Generator, rows: Tensor, tmp_path: Path) -> None:
    styles = [one.cpu() for one in generator.styles(rows[:1].to(generator.device))]
    expected = torch.cat(styles, dim=1)
    for name, value in (("row.npy", expected[0].numpy()), ("list.pt", styles), ("named.pt", {"s": styles})):
        code = load_latent(generator, saved(tmp_path / name, value))
        assert code.space == "s"
        torch.testing.assert_close(code.tensor, expected)


def test_a_space_that_is_said(generator: Generator, rows: Tensor, tmp_path: Path) -> None:
    path = saved(tmp_path / "x.npy", rows[:, 0].numpy())  # three rows, which no space of one code has
    with pytest.raises(InvalidInputError, match=r"3 codes in w, give the space w"):
        load_latent(generator, path)
    for space in ("w", "z"):
        code = load_latent(generator, path, space)
        assert code.space == space and torch.equal(code.tensor, rows[:, 0])
    assert load_latent(generator, saved(tmp_path / "z.npz", {"z": rows[:1, 0].numpy()})).space == "z"
    with pytest.raises(InvalidInputError, match="in s, or a batch"):
        load_latent(generator, path, "s")
    with pytest.raises(InvalidInputError, match="expected one of"):
        load_latent(generator, path, "w++")


@pytest.mark.parametrize("shape", [(18, 512), (1, 18, 512), (18, WIDTH), (512,), (2, 3, LAYERS + 1, WIDTH)])
def test_a_wrong_size_names_both(shape: tuple[int, ...], generator: Generator, tmp_path: Path) -> None:
    path = saved(tmp_path / "projected_w.npz", {"w": np.ones(shape, np.float32)})
    with pytest.raises(InvalidInputError) as caught:
        load_latent(generator, path)
    message = str(caught.value)
    assert message.startswith("projected_w.npz: ") and str(list(shape)) in message
    assert f"[{LAYERS}, {WIDTH}] in w+" in message


BAD = {
    "nan.npy": (np.full(WIDTH, np.nan, np.float32), "NaN"),
    "whole.npy": (np.ones(WIDTH, np.int64), "int64"),
    "empty.npy": (np.ones((0, LAYERS, WIDTH), np.float32), r"shape \[0"),
    "network.pt": ({"g_ema": {"style.1.weight": torch.ones(2, 2)}}, "g_ema"),
    "text.pt": ({"w": "no numbers"}, "expected latent codes"),
    "some.pt": ({"a": torch.ones(WIDTH), "b": "text"}, "expected latent codes"),
    "none.pt": ([], "an empty list"),
    "spaces.pt": ({"a": {"z": torch.ones(WIDTH)}, "b": {"w": torch.ones(WIDTH)}}, "different spaces"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_holds_no_codes_is_named(name: str, generator: Generator, tmp_path: Path) -> None:
    value, message = BAD[name]
    with pytest.raises(InvalidInputError, match=message) as caught:
        load_latent(generator, saved(tmp_path / name, value))
    assert name in str(caught.value)


def test_files_that_are_no_files_of_codes(
    generator: Generator, rows: Tensor, tmp_path: Path, nothing_created: None
) -> None:
    with pytest.raises(MissingWeightsError, match="no file"):
        load_latent(generator, tmp_path / "absent.npz")
    hostile = written(tmp_path / "hostile.pt", b"cos\nsystem\n(S'touch PWNED'\ntR.")
    with pytest.raises(UnsupportedCheckpointError, match=r"os\.system"):
        load_latent(generator, hostile)
    objects = tmp_path / "latents.npy"
    np.save(objects, {"a.jpg": rows[0].numpy()}, allow_pickle=True)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedCheckpointError, match="objects"):
        load_latent(generator, objects)
    cg.save_inversion(
        cg.inversion_from_code(generator, LatentCode("w", rows[:1, 0])), tmp_path / "i.safetensors"
    )
    with pytest.raises(InvalidInputError, match="Load Inversion"):
        load_latent(generator, tmp_path / "i.safetensors")
    content = saved(tmp_path / "cut.pt", rows).read_bytes()
    for end in (10, len(content) // 2, len(content) - 5):
        with pytest.raises(UnsupportedCheckpointError):
            load_latent(generator, written(tmp_path / "cut.pt", content[:end]))


def test_rosinalitys_projector_keeps_names_and_noise(
    generator: Generator, rows: Tensor, tmp_path: Path
) -> None:
    stored = read_codes(generator, saved(tmp_path / "a.pt", projector_file(generator, rows)))
    assert stored.names == ("a.png", "b.png") and stored.code.tensor.shape == (2, LAYERS, WIDTH)
    one = stored.one(1)
    record = cg.inversion_from_code(generator, one.code, noise=one.noise[0])
    maps = [one.to(generator.device) for one in noise_maps(generator)]
    expected = generator.synthesis(rows[1:2].to(generator.device), noise=[one[0, 0] for one in maps])
    torch.testing.assert_close(cg.render(generator, record), expected, atol=1e-4, rtol=1e-4)
    with pytest.raises(InvalidInputError, match="holds 2"):
        stored.one(2)


def test_noise_of_another_size_is_left_out_and_said(
    generator: Generator, rows: Tensor, tmp_path: Path
) -> None:
    content = projector_file(generator, rows)
    content["a.png"]["noise"] = content["a.png"]["noise"][:-1]
    stored = read_codes(generator, saved(tmp_path / "a.pt", content))
    assert stored.notes == (NOT_ITS_NOISE,) and stored.noise[0] == () and stored.noise[1]


def test_an_inversion_of_a_code(generator: Generator, rows: Tensor) -> None:
    code = LatentCode("w+", rows[:1])
    record = cg.inversion_from_code(generator, code)
    drawn = generator.synthesis(rows[:1].to(generator.device)).cpu()
    assert record.names == ("all",) and (record.photo - drawn.clamp(-1, 1)).abs().max() < 1 / 127
    halves = torch.zeros(2, 1, SIZE, SIZE)
    halves[0, :, :20], halves[1, :, 20:] = 1, 1
    masks = cg.SegmentMasks(("upper", "lower"), halves, torch.zeros(1, 1, SIZE, SIZE))
    photo = torch.zeros(1, 3, SIZE, SIZE)
    both = cg.inversion_from_code(generator, code, photo, masks)
    assert both.names == ("upper", "lower") and both.photo is photo
    torch.testing.assert_close(cg.render(generator, both).cpu(), drawn, atol=1e-4, rtol=1e-4)
    with pytest.raises(InvalidInputError, match="2 codes were given"):
        cg.inversion_from_code(generator, LatentCode("w+", rows[:2]))
    with pytest.raises(InvalidInputError, match="another generator"):
        cg.inversion_from_code(generator, LatentCode("w", rows[:1, 0, :5]))
    with pytest.raises(InvalidInputError, match="photo is 8x8"):
        cg.inversion_from_code(generator, code, torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize("space", ["w", "w+", "s"])
def test_a_projection_sets_out_from_a_code(space: str, generator: Generator, rows: Tensor) -> None:
    """From the code that drew the photo it starts far nearer than from the mean."""
    w = LatentCode("w", rows[:1, 0])
    photo = generator.synthesis(w.tensor.to(generator.device))
    halves = torch.zeros(2, 1, SIZE, SIZE)
    halves[0, :, :20], halves[1, :, 20:] = 1, 1
    masks = cg.SegmentMasks(("upper", "lower"), halves, torch.zeros(1, 1, SIZE, SIZE))
    options = {"num_steps": 2, "space": space, "warmup": 0.0, "coarse": 0.0}
    near = cg.project(generator, photo, masks, start=w, **options)
    far = cg.project(generator, photo, masks, **options)
    for name in masks.names:
        assert near.losses[name][0] < 0.05 * far.losses[name][0]
    with pytest.raises(InvalidInputError, match="nothing to go on|no projection to go on"):
        cg.project(generator, photo, masks, start=w, resume=True, **options)
    with pytest.raises(InvalidInputError, match="2 codes"):
        cg.project(generator, photo, masks, start=LatentCode("w", rows[:2, 0]), **options)


def test_a_preset_sets_out_from_a_code(generator: Generator, rows: Tensor) -> None:
    class EnoughError(Exception):
        pass

    first: list[float] = []

    def stop(step: int, total: int, image: Tensor | None) -> None:
        if image is not None:
            first.append(float((image.cpu() - photo.cpu()).square().mean()))
        raise EnoughError

    w = LatentCode("w", rows[:1, 0])
    photo = generator.synthesis(w.tensor.to(generator.device))
    masks = single_segment((SIZE, SIZE))
    for start in (w, None):
        with pytest.raises(EnoughError):
            project_preset(generator, photo, masks, "draft", start=start, callback=stop)
    assert first[0] < 0.6 * first[1]  # one step of the preset away from the photo's own code


def test_the_command_line_starts_from_files(
    generator: Generator, rows: Tensor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    furnish(tmp_path, generator)
    start = saved(tmp_path / "projected_w.npz", {"w": rows[:1].numpy()})
    assert edit(tmp_path, "--start", str(start), "--steps", "1") == 0
    started = cg.load_inversion(tmp_path / "out" / "inversion.safetensors")
    moved = [(segment.code.tensor - rows[:1]).abs().max() for segment in started.segments]
    assert max(moved) < 0.5  # one step away
    again = tmp_path / "start.safetensors"
    cg.save_inversion(started, again)
    assert edit(tmp_path, "--start", str(again), "--steps", "1", "--out", str(tmp_path / "two")) == 0
    wrong = saved(tmp_path / "wrong.npy", np.ones((18, 512), np.float32))
    capsys.readouterr()
    assert edit(tmp_path, "--start", str(wrong), "--out", str(tmp_path / "three")) == 2
    assert "wrong.npy: its code is [18, 512]" in capsys.readouterr().err
    assert edit(tmp_path, "--start", str(tmp_path / "absent.npz"), "--out", str(tmp_path / "four")) == 2


@pytest.fixture
def inputs(pack: Pack) -> Path:
    return pack.base / "input"


def test_load_latent_on_the_page(pack: Pack, rows: Tensor, inputs: Path) -> None:
    (hosted,) = pack.run("ChunkyGAN_LoadStyleGAN", name=TINY)
    generator = hosted.generator
    inputs.mkdir(exist_ok=True)
    path = saved(inputs / "someone.pt", projector_file(generator, rows))
    try:
        offered = next(e for e in pack.schemas["ChunkyGAN_LoadLatent"].inputs if e.id == "file")
        assert path.name in offered.widget["options"]
        code, records, images = pack.run("ChunkyGAN_LoadLatent", generator=hosted, file=path.name)
        assert len(code.tensor) == len(records) == len(images) == 2 and records[0].noise
        (drawn,) = pack.run("ChunkyGAN_RenderInversion", generator=hosted, inversion=records)
        assert (drawn - images).abs().max() < 0.01
        code, records, images = pack.run("ChunkyGAN_LoadLatent", generator=hosted, file=path.name, index=1)
        assert torch.equal(code.tensor, rows[1:2]) and len(records) == 1
        photo = torch.rand(1, SIZE, SIZE, 3).mul(255).round() / 255
        _, records, images = pack.run(
            "ChunkyGAN_LoadLatent", generator=hosted, file=path.name, index=0, photo=photo
        )
        assert not torch.equal(images, photo)
        (composite, *_) = pack.run("ChunkyGAN_PoissonComposite", generator=hosted, inversion=records)
        assert torch.equal(composite, photo)
        with pytest.raises(pack.errors.InvalidInputError, match="holds 2"):
            pack.run("ChunkyGAN_LoadLatent", generator=hosted, file=path.name, index=2)
    finally:
        path.unlink()
    node = pack.nodes["ChunkyGAN_LoadLatent"]
    assert "no latent file" in node.validate_inputs(file=path.name)
    with pytest.raises(pack.errors.InvalidInputError, match="Press R|press R"):
        pack.run("ChunkyGAN_LoadLatent", generator=hosted, file=path.name)


def test_sampled_codes_fit_wherever_codes_are_taken(pack: Pack) -> None:
    (hosted,) = pack.run("ChunkyGAN_LoadStyleGAN", name=TINY)
    images, code = pack.run("ChunkyGAN_SampleStyleGAN", generator=hosted, batch_size=2)
    records, photos = pack.run("ChunkyGAN_CodeToInversion", generator=hosted, code=code)
    assert len(records) == 2 and (photos - images).abs().max() < 0.01
    masks = (sys.modules[f"{NAME}.chunky_core.segments"].single_segment((SIZE, SIZE)),)
    for start in (code, records):
        (found, _) = pack.run(
            "ChunkyGAN_SegmentedProjection",
            generator=hosted,
            image=images,
            segments=masks,
            start=start,
            steps=1,
            space="w",
        )
        for record, one in zip(found, code.tensor, strict=True):
            assert (record.segments[0].code.tensor - one).abs().max() < 0.5
    with pytest.raises(pack.errors.InvalidInputError, match="3 starting codes for 2 photos"):
        three = type(code)("w", code.tensor[:1].repeat(3, 1))
        pack.run("ChunkyGAN_SegmentedProjection", generator=hosted, image=images, segments=masks, start=three)
