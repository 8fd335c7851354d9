"""Generators of unequal sides in the nodes and on the command line, from the file to the picture in the photo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from chunky_core.alignment import Face, align, paste_back
from chunky_core.alignment.face_points import parse_points
from chunky_core.alignment.faces import quad_from_rectangle
from chunky_core.checkpoints.generators import save_generator
from chunky_core.cli import main
from chunky_core.errors import InvalidInputError
from chunky_core.images import load_image, save_image
from tests.pack_on_double import Pack
from tests.rectangles import stylegan2

TALL = "tall.safetensors"  # draws pictures of 16x32 pixels (width x height)
BOX = "40, 10, 20, 70"


def photo() -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(256, (1, 90, 120, 3), generator=rng) / 255


@pytest.fixture(scope="module")
def hosted(pack: Pack) -> Any:
    path = pack.base / "models" / "stylegan" / TALL
    save_generator(stylegan2((4, 2)), path)
    (generator,) = pack.run("ChunkyGAN_LoadStyleGAN", name=TALL)
    path.unlink()
    return generator


def test_the_nodes_take_it_from_a_box_on_the_photo_to_the_picture_in_it(pack: Pack, hosted: Any) -> None:
    crop, alignment, preview = pack.run("ChunkyGAN_AlignFace", image=photo(), generator=hosted, box=BOX)[:3]
    assert crop.shape == (1, 32, 16, 3) and preview.shape == (1, 90, 120, 3)
    masks = torch.zeros(1, 32, 16)
    masks[:, 8:20, 3:12] = 1
    (segments,) = pack.run("ChunkyGAN_SegmentMasks", image=crop, masks=masks, names="coat")
    given = {"generator": hosted, "image": crop, "segments": segments, "alignment": alignment}
    inversion, _ = pack.run("ChunkyGAN_SegmentedProjection", steps=3, **given)
    (drawn,) = pack.run("ChunkyGAN_RenderInversion", generator=hosted, inversion=inversion, edited=False)
    assert drawn.shape == crop.shape and not torch.equal(drawn, crop)
    around = {"photo": photo(), "before": crop, "alignment": alignment}
    changed, same = (pack.run("ChunkyGAN_PasteBack", after=one, **around)[0] for one in (drawn, crop))
    assert torch.equal(same, photo())
    rows, columns = torch.nonzero((changed != photo()).any(-1)[0], as_tuple=True)
    assert len(rows) and rows.min() >= 10 and rows.max() < 80  # the box's rows; 35 columns around its middle
    assert columns.min() >= 32 and columns.max() < 68


def test_samples_are_as_tall_as_the_generator_draws(pack: Pack, hosted: Any) -> None:
    images, _ = pack.run("ChunkyGAN_SampleStyleGAN", generator=hosted, seed=1, batch_size=2)
    assert images.shape == (2, 32, 16, 3)


def test_a_mask_or_bounding_boxes_tell_the_subject(pack: Pack, hosted: Any) -> None:
    mask = torch.zeros(1, 90, 120)
    mask[:, 10:80, 40:60] = 1
    boxes = [{"x": 40, "y": 10, "width": 20, "height": 70}]
    (by_box, by_mask, by_boxes) = (
        pack.run("ChunkyGAN_AlignFace", image=photo(), generator=hosted, **given)[1]
        for given in ({"box": BOX}, {"mask": mask}, {"bounding_boxes": boxes})
    )
    assert by_box == by_mask == by_boxes
    assert by_box[0][0].quad == quad_from_rectangle((40, 10, 20, 70), shape=(2, 1))


@pytest.mark.parametrize("given", [{}, {"points": "70,40 90,50 58,62 74,70"}])
def test_faces_do_not_fit_its_frame(pack: Pack, hosted: Any, given: dict[str, str]) -> None:
    with pytest.raises(pack.errors.InvalidInputError, match="pictures of 16x32 .*FFHQ's frame.*box, mask"):
        pack.run("ChunkyGAN_AlignFace", image=photo(), generator=hosted, **given)


def test_the_shape_around_a_rectangle() -> None:
    assert quad_from_rectangle((10, 0, 20, 60), shape=(2, 1)) == ((5, 0), (5, 60), (35, 60), (35, 0))
    assert quad_from_rectangle((10, 0, 20, 20), shape=(2, 1)) == ((10, -10), (10, 30), (30, 30), (30, -10))
    assert quad_from_rectangle((10, 20, 40, 20), shape=(7, 7)) == quad_from_rectangle((10, 20, 40, 20))


def test_the_library_cuts_and_pastes_the_same_shape() -> None:
    picture = photo().movedim(-1, 1) * 2 - 1
    crop = align(picture, Face((40, 10, 20, 70)), (32, 16))
    assert crop.image.shape == (1, 3, 32, 16)
    assert torch.equal(paste_back(picture, crop.image, crop), picture)
    own = align(picture, Face((0, 0, 120, 90)), (90, 120))  # the photo's own corners and size
    assert float((own.image - picture).abs().max()) < 1e-4
    (points,) = parse_points("70,40 90,50 58,62 74,70")
    with pytest.raises(InvalidInputError, match="16x32 .* has no frame for a face"):
        align(picture, Face(points.rectangle(), points), (32, 16))


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = tmp_path / TALL
    save_generator(stylegan2((4, 2)), generator)
    assert main(["inspect", str(generator)]) == 0
    assert "resolution:   16 x 32" in capsys.readouterr().out
    source = torch.rand(1, 3, 32, 16, generator=torch.Generator().manual_seed(2)) * 2 - 1
    save_image(source, tmp_path / "photo.png")
    mask = torch.full((1, 3, 32, 16), -1.0)
    mask[..., 8:20, 3:12] = 1
    (tmp_path / "masks").mkdir()
    save_image(mask, tmp_path / "masks" / "coat.png")
    command = ["edit", str(tmp_path / "photo.png"), "--generator", str(generator)]
    command += ["--masks", str(tmp_path / "masks"), "--steps", "3", "--out", str(tmp_path / "out")]
    assert main(command) == 0
    assert json.loads((tmp_path / "out" / "figures.json").read_text())["changed_pixels"] == 0
    assert load_image(tmp_path / "out" / "reconstruction.png").shape == source.shape
    save_image(source[..., :16, :], tmp_path / "photo.png")
    assert main(command) == 2
    assert "the photo is 16x16, the generator makes 16x32" in capsys.readouterr().err
