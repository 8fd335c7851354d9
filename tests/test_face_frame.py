"""The frame in which an embedder sees a face: constant in FFHQ crops, by five points elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from chunky_core.errors import InvalidInputError
from chunky_core.losses.face_frame import ARCFACE_TEMPLATE, align_to_template, arcface_frame
from chunky_core.losses.identity import FaceEmbedder
from tests.embedders import embedder, faces

# Where the five points lie in an FFHQ crop, the mean of real faces in shares of its side.
FFHQ_POINTS = ((0.375, 0.473), (0.624, 0.474), (0.50, 0.61), (0.389, 0.746), (0.614, 0.745))


def picture_of_points(points: object, height: int, width: int, radius: float) -> Tensor:
    """A black picture [1,3,height,width] with a soft white spot at each point."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    spots = [
        torch.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * radius**2)) for a, b in np.asarray(points).tolist()
    ]
    return (torch.stack(spots).amax(0) * 2 - 1).expand(1, 3, -1, -1)


def spots(picture: Tensor) -> np.ndarray:
    """[5,2]: the brightness' centre around each point of the template."""
    light, found = (picture[0, 0].numpy() + 1) / 2, []
    for x, y in ARCFACE_TEMPLATE:
        left, top = round(x) - 9, round(y) - 9
        part = light[top : top + 19, left : left + 19]
        rows, columns = np.mgrid[top : top + 19, left : left + 19] + 0.5
        found.append(((part * columns).sum() / part.sum(), (part * rows).sum() / part.sum()))
    return np.array(found)


@pytest.mark.parametrize("side", [128, 256, 1024])
def test_the_points_of_an_ffhq_face_come_where_arcface_wants_them(side: int) -> None:
    picture = picture_of_points(np.array(FFHQ_POINTS) * side, side, side, side / 60)
    off = np.abs(spots(arcface_frame(picture)) - ARCFACE_TEMPLATE)
    assert off.max() < 2.0  # pixels of 112; the whole picture brought to 112 would be off by 10


@pytest.mark.parametrize("degrees", [0, 40, 180, -75])
@pytest.mark.parametrize("scale", [0.7, 1.0, 4.0])
def test_five_points_are_brought_onto_the_template(degrees: int, scale: float) -> None:
    angle = math.radians(degrees)
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    points = (np.array(ARCFACE_TEMPLATE) - 56) @ turn.T + (300, 280)
    picture = picture_of_points(points, 560, 600, 2.5 * scale)
    for known in (points, points[[0, 1, 3, 4]]):  # with and without the nose
        assert np.abs(spots(align_to_template(picture, known.tolist())) - ARCFACE_TEMPLATE).max() < 0.3


def test_what_lies_beyond_the_picture_is_black() -> None:
    points = (np.array(ARCFACE_TEMPLATE) - (60, 0)).tolist()
    aligned = align_to_template(torch.ones(1, 3, 112, 112), points)
    assert bool((aligned[..., :58] == -1).all()) and bool((aligned[..., 62:] > 0.999).all())


def test_other_points_are_refused() -> None:
    for points, words in (
        (ARCFACE_TEMPLATE[:3], "3 points; expected x, y of two eyes"),
        (((5.0, 5.0),) * 5, "one place"),
        (((float("nan"), 5.0),) * 5, "expected x, y"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            align_to_template(torch.zeros(1, 3, 32, 32), points)


def test_an_embedder_sees_the_aligned_face_and_can_be_differentiated() -> None:
    network = FaceEmbedder(embedder(), (112, 112), "bgr", "toy", torch.device("cpu"))
    pictures = faces(2, 150).requires_grad_()
    points = (np.array(ARCFACE_TEMPLATE) * 1.2 + 5).tolist()
    found = network.embed_at(pictures, points)
    expected = embedder()(align_to_template(pictures, points).flip(1))
    assert torch.allclose(found, torch.nn.functional.normalize(expected, dim=1), atol=1e-6)
    (gradient,) = torch.autograd.grad(network.embed(pictures)[0, 0], pictures)
    assert bool(gradient[0].any()) and not bool(gradient[1].any())


def test_only_square_pictures_and_networks_of_112_pixels_are_framed() -> None:
    toy = embedder()
    seen: list[Tensor] = []

    def watched(picture: Tensor) -> Tensor:
        seen.append(picture)
        return toy(picture)

    for size, width, is_framed in (
        ((112, 112), 96, True),
        ((112, 112), 48, False),
        ((64, 64), 96, False),
    ):
        picture = faces(1, 96)[..., :width]
        network = FaceEmbedder(watched, size, "rgb", "toy", torch.device("cpu"))
        network.embed(picture)
        whole = torch.nn.functional.interpolate(picture, size, mode="bilinear", antialias=True)
        assert torch.allclose(seen[-1], arcface_frame(picture, size) if is_framed else whole)
