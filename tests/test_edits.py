"""Edits: a list on top of an inversion, exact to undo, and directions read from files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from chunky_core.checkpoints.generators import load_generator
from chunky_core.compositing.render import render
from chunky_core.editing import edit, edited_code, load_directions, parse_edit
from chunky_core.errors import InvalidInputError
from chunky_core.evaluation.metrics import mse, psnr
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction, LatentCode, convert, synthesis_input
from chunky_core.inversion import Edit, Inversion, SegmentCode
from chunky_core.segments import segments_from_masks
from tests.devices import FILES, tolerance


def random_direction(generator: Generator, name: str, space: str = "w") -> Direction:
    shapes = {
        "w": (generator.w_dim,),
        "w+": (generator.num_ws, generator.w_dim),
        "s": (sum(channels for _, channels in generator.style_layout),),
    }
    rng = torch.Generator().manual_seed(sum(map(ord, name)))
    return Direction(name, space, torch.randn(*shapes[space], generator=rng))


def random_code(generator: Generator, space: str) -> LatentCode:
    z = torch.randn(1, generator.z_dim, generator=torch.Generator().manual_seed(1))
    return convert(generator, LatentCode("z", z), space)


def picture(generator: Generator, code: LatentCode) -> torch.Tensor:
    return generator.synthesis(synthesis_input(generator, code))


@pytest.fixture
def inversion(generator: Generator) -> Inversion:
    """Two eyes and a face, one random W+ code each, over a grey photo."""
    size = generator.img_resolution
    masks = {name: torch.zeros(size, size) for name in ("left_eye", "right_eye", "face")}
    masks["left_eye"][4:8, 3:8] = 1
    masks["right_eye"][4:8, 18:24] = 1
    masks["face"][:] = 1
    parts = segments_from_masks(masks)
    z = torch.randn(3, generator.z_dim, generator=torch.Generator().manual_seed(2))
    segments = [
        SegmentCode(name, mask[None], LatentCode("w+", ws[None]))
        for name, mask, ws in zip(parts.names, parts.masks, generator.mapping(z), strict=True)
    ]
    photo = torch.zeros(1, 3, size, size)
    return Inversion(photo, tuple(segments), parts.static, generator.fingerprint)


def test_strength_zero_and_no_edits_give_the_very_same_picture(
    generator: Generator, inversion: Inversion
) -> None:
    smile = random_direction(generator, "smile")
    plain = render(generator, inversion)
    assert torch.equal(render(generator, inversion.with_edits(Edit(smile, 0.0))), plain)
    edited = inversion.with_edits(Edit(smile, 2.0))
    assert torch.equal(render(generator, edited, edited=False), plain)
    assert torch.equal(render(generator, edited.without_edit(0)), plain)
    code = inversion.segments[0].code
    assert edited_code(generator, code, [Edit(smile, 0.0)]) is code
    assert edited_code(generator, code, []) is code


def test_an_edit_changes_its_segments_only(generator: Generator, inversion: Inversion) -> None:
    edited = inversion.with_edits(Edit(random_direction(generator, "gaze"), 1.5, ("eyes",)))
    change = (render(generator, edited) - render(generator, inversion)).abs().amax(dim=1, keepdim=True)
    eyes = inversion.segments[0].mask + inversion.segments[1].mask
    assert change[eyes == 0].max() == 0
    assert change[eyes == 1].min() > 0


def test_edits_can_be_removed_and_reordered(generator: Generator, inversion: Inversion) -> None:
    a, b, c = (Edit(random_direction(generator, name), 1.0) for name in ("smile", "age", "yaw"))
    edited = inversion.with_edits(a, b).with_edits(c)
    assert inversion.edits == () and edited.edits == (a, b, c)
    assert edited.without_edit(1).edits == (a, c)
    assert edited.with_edit_order([2, 0, 1]).edits == (c, a, b)
    assert torch.allclose(
        render(generator, edited), render(generator, edited.with_edit_order([2, 0, 1])), atol=1e-5
    )
    for order in ([0, 1], [0, 1, 1], [1, 2, 3]):
        with pytest.raises(InvalidInputError, match="each of the 3 edits once"):
            edited.with_edit_order(order)
    with pytest.raises(InvalidInputError, match="no edit 3; the inversion has 3"):
        edited.without_edit(3)


def test_unknown_segments_are_refused_with_the_known_names(
    generator: Generator, inversion: Inversion
) -> None:
    with pytest.raises(InvalidInputError, match="left_eye, right_eye, face"):
        inversion.with_edits(Edit(random_direction(generator, "smile"), 1.0, ("nose",)))


@pytest.mark.parametrize("space", ["z", "w", "w+", "s"])
def test_a_w_direction_means_the_same_in_every_space(generator: Generator, space: str) -> None:
    """The picture is that of w + 1.3 d, whichever space the code is in."""
    smile = random_direction(generator, "smile")
    w = random_code(generator, "w")
    expected = picture(generator, LatentCode("w", w.tensor + 1.3 * smile.tensor))
    moved = edited_code(generator, random_code(generator, space), [Edit(smile, 1.3)])
    assert moved.space == ("w" if space == "z" else space)
    bound = max(1e-4, tolerance(generator.dtype) * float(expected.abs().max()))
    assert torch.allclose(picture(generator, moved), expected, atol=bound)


@pytest.mark.parametrize("space", ["w", "w+", "s"])
def test_later_spaces_move_the_code_there(generator: Generator, space: str) -> None:
    code = random_code(generator, "w")
    direction = random_direction(generator, "channels", space)
    moved = edited_code(generator, code, [Edit(direction, -0.5)])
    assert moved.space == space
    expected = convert(generator, code, space).tensor - 0.5 * direction.tensor
    bound = max(1e-5, tolerance(generator.dtype))
    assert torch.allclose(moved.tensor.to(expected), expected, rtol=bound, atol=bound)


def test_a_direction_of_another_generator_is_named(generator: Generator) -> None:
    wrong = Direction("smile", "w", torch.zeros(generator.w_dim + 1))
    with pytest.raises(InvalidInputError, match=rf"'smile' has .* numbers in W, .* {generator.w_dim};"):
        edited_code(generator, random_code(generator, "w+"), [Edit(wrong, 1.0)])


def test_parse_edit(generator: Generator) -> None:
    directions = {name: random_direction(generator, name) for name in ("smile", "gaze_x")}
    edit = parse_edit("left_eye + mouth:smile=-1.5", directions)
    assert (edit.segments, edit.direction, edit.strength) == (
        ("left_eye", "mouth"),
        directions["smile"],
        -1.5,
    )
    assert parse_edit("smile=2", directions).segments == ("all",)
    for text, message in (
        ("mouth:frown=1", "'frown'.*gaze_x, smile"),
        ("mouth:smile", "SEGMENT"),
        ("mouth+:smile=1", "SEGMENT"),
        (":smile=1", "SEGMENT"),
        ("mouth:smile=much", "'much'"),
        ("mouth:smile=nan", "'nan'"),
        ("mouth:smile=1e30", "'1e30' .* from -100 to 100"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            parse_edit(text, directions)


@pytest.mark.cpu(FILES)
def test_direction_files(tmp_path: Path) -> None:
    tensors = {"directions/smile": torch.ones(6), "directions/gaze_x": torch.ones(6, dtype=torch.float16)}
    save_file(tensors | {"readout/weight": torch.ones(2, 6)}, str(tmp_path / "demo.safetensors"))
    loaded = load_directions(tmp_path / "demo.safetensors")
    assert sorted(loaded) == ["gaze", "gaze_x", "smile"]
    assert loaded["gaze"] is loaded["gaze_x"] and loaded["gaze"].tensor.dtype == torch.float32
    for shape, space, expected in (((6,), "w", (6,)), ((1, 6), "w", (6,)), ((4, 6), "w+", (4, 6))):
        np.save(tmp_path / "older.npy", np.ones(shape))
        (direction,) = load_directions(tmp_path / "older.npy").values()
        assert (direction.name, direction.space, tuple(direction.tensor.shape)) == ("older", space, expected)


@pytest.mark.cpu(FILES)
def test_bad_direction_files_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "cube.npy", np.ones((2, 2, 2)))
    np.save(tmp_path / "nan.npy", np.array([1.0, np.nan]))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "text.npy").write_text("hello")
    (tmp_path / "text.safetensors").write_text("hello")
    save_file({"x": torch.zeros(1)}, str(tmp_path / "other.safetensors"))
    (tmp_path / "x.pt").write_bytes(b"")
    for name in (
        "cube.npy",
        "nan.npy",
        "objects.npy",
        "text.npy",
        "text.safetensors",
        "other.safetensors",
        "x.pt",
        "absent.npy",
    ):
        with pytest.raises(InvalidInputError, match=name):
            load_directions(tmp_path / name)


def test_metrics_on_exact_figures() -> None:
    target = torch.zeros(1, 3, 4, 4)
    image = target.clone()
    image[..., :2] = 0.5
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :2] = 1
    assert mse(image, target) == pytest.approx(0.125)
    assert mse(image, target, mask) == pytest.approx(0.25)
    assert mse(image, target, 1 - mask) == 0 and psnr(image, target, 1 - mask) == float("inf")
    assert psnr(image, target, mask) == pytest.approx(10 * np.log10(4 / 0.25))
    for other, empty in ((torch.zeros(1, 3, 4, 5), None), (target, 0 * mask), (target, mask[..., 1:])):
        with pytest.raises(InvalidInputError):
            mse(image, other, empty)


def test_an_edit_by_name_is_the_edit_by_direction(inversion: Inversion) -> None:
    smile = Direction("smile", "w", torch.ones(4))
    by_direction = edit(inversion, smile, 1.5, "eyes")
    (added,) = by_direction.edits
    assert (added.direction, added.strength, added.segments) == (smile, 1.5, ("eyes",))
    assert inversion.edits == () and by_direction.segments == inversion.segments
    (named,) = edit(inversion, "smile", -2, ["face", "left_eye"], directions={"smile": smile}).edits
    assert (named.direction, named.strength, named.segments) == (smile, -2, ("face", "left_eye"))
    assert edit(by_direction, smile, 1).edits[0] is added  # the earlier one stays first
    with pytest.raises(InvalidInputError, match="direction 'grin' is unknown; there are smile"):
        edit(inversion, "grin", 1, directions={"smile": smile})
    with pytest.raises(InvalidInputError, match="strength is nan; expected a number from -100 to 100"):
        edit(inversion, smile, float("nan"))
    with pytest.raises(InvalidInputError, match="nose"):
        edit(inversion, smile, 1, "nose")


def test_names_alone_mean_the_directions_that_come_with_the_generator(inversion: Inversion) -> None:
    with pytest.raises(InvalidInputError, match="no directions come with generator .*load_directions"):
        edit(inversion, "smile", 1)
    demo = replace(inversion, fingerprint=load_generator("demo").fingerprint)
    (added,) = edit(demo, "smile", 1).edits
    assert torch.equal(added.direction.tensor, load_directions("demo")["smile"].tensor)


@pytest.mark.parametrize("space", ["w", "w+", "s"])
def test_layers_restrict_an_edit(generator: Generator, space: str) -> None:
    direction = random_direction(generator, "smile", space)
    code = random_code(generator, "s" if space == "s" else "w+")
    plain = edited_code(generator, code, [Edit(direction, 2.0)]).tensor
    moved = edited_code(generator, code, [Edit(direction, 2.0, layers=(2, 1))]).tensor
    count = len(generator.style_layout) if space == "s" else generator.num_ws
    widths = [width for _, width in generator.style_layout] if space == "s" else [1] * count
    for layer, parts in enumerate(
        zip(*(t.split(widths, dim=1) for t in (moved, plain, code.tensor)), strict=True)
    ):
        assert torch.equal(parts[0], parts[1 if layer in (1, 2) else 2])
    both = Edit(replace(direction, layers=(0, 1)), 2.0, layers=(1, 2))
    alone = edited_code(generator, code, [Edit(direction, 2.0, layers=(1,))]).tensor
    assert torch.equal(edited_code(generator, code, [both]).tensor, alone)
    with pytest.raises(
        InvalidInputError, match=f"layer {count}, this generator's of .* are 0 to {count - 1}"
    ):
        edited_code(generator, code, [Edit(direction, 1.0, layers=(count,))])
    with pytest.raises(InvalidInputError, match="whole numbers from 0"):
        Edit(direction, 1.0, layers=(-1,))


def test_a_w_edit_of_some_layers_moves_styles_of_those_layers_alone(generator: Generator) -> None:
    edit_of_coarse = Edit(random_direction(generator, "age"), 1.0, layers=(0,))
    in_plus = edited_code(generator, random_code(generator, "w"), [edit_of_coarse])
    in_styles = edited_code(generator, random_code(generator, "s"), [edit_of_coarse])
    expected = convert(generator, in_plus, "s").tensor
    assert torch.allclose(in_styles.tensor, expected, atol=1e-5)


def test_a_disabled_edit_has_no_effect(generator: Generator, inversion: Inversion) -> None:
    smile = Edit(random_direction(generator, "smile"), 2.0, enabled=False)
    muted = inversion.with_edits(smile)
    assert torch.equal(render(generator, muted), render(generator, inversion))
    heard = muted.with_edit_replaced(0, replace(smile, enabled=True))
    assert not torch.equal(render(generator, heard), render(generator, inversion))
    with pytest.raises(InvalidInputError, match="there is no edit 1"):
        muted.with_edit_replaced(1, smile)


@pytest.mark.parametrize("space", ["w", "w+", "s"])
def test_directions_of_all_spaces_stand_in_one_list(generator: Generator, space: str) -> None:
    """What moves W comes before the affine layers, what moves S after them, in whatever order they stand."""
    in_w, in_plus, in_s = (random_direction(generator, f"one of {name}", name) for name in ("w", "w+", "s"))
    edits = [
        Edit(in_s, -0.5, layers=(1, 4)),
        Edit(in_w, 1.5),
        Edit(in_plus, 0.7, layers=(2, 3)),
        Edit(in_s, 2.0, enabled=False),
    ]
    ws = random_code(generator, "w+").tensor + 1.5 * in_w.tensor
    ws[:, 2:4] += 0.7 * in_plus.tensor[2:4]
    styles = generator.styles(ws)
    parts = in_s.tensor.split([width for _, width in generator.style_layout])
    for layer in (1, 4):
        styles[layer] = styles[layer] - 0.5 * parts[layer]
    for order in ((0, 1, 2, 3), (2, 3, 0, 1)):
        moved = edited_code(generator, random_code(generator, space), [edits[index] for index in order])
        assert moved.space == "s"
        bound = max(1e-4, 10 * tolerance(generator.dtype))
        assert torch.allclose(moved.tensor, torch.cat(styles, dim=1), rtol=bound, atol=bound)
