"""Demo Portrait: an invented photo with everything known about it, so that the pack can be tried at once."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

from ..chunky_core.demo.landmarks import portrait_landmarks
from ..chunky_core.demo.photos import demo_photo
from ..chunky_core.demo.portraits import EXTRAS, LABELS, PALETTE
from ..chunky_core.errors import InvalidInputError
from ..chunky_core.images import from_uint8
from ..chunky_core.segments.face_mesh.landmarks import write_face_landmarks
from .host import mask_to_host, plain_tensors, to_host
from .types import FaceLandmarksIO, LabelMap, LabelMapIO

ABOUT_EXTRAS = {
    "bindi": "A dot on the forehead.",
    "face_mask": "A cloth mask over nose and mouth.",
    "hand": "A hand before the cheek.",
    "hat": "A hat.",
    "jewellery": "Ear-rings and a necklace.",
    "odd_glasses": "Glasses of a kind that the generator has never seen.",
}


class DemoPortrait(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        extras = [io.Boolean.Input(name, default=False, tooltip=ABOUT_EXTRAS[name]) for name in EXTRAS]
        return io.Schema(
            node_id="ChunkyGAN_DemoPortrait",
            display_name="Demo Portrait",
            category="ChunkyGAN/demo",
            description="Draws a photo of an invented person, with exact masks and labels of all its parts.",
            search_aliases=[
                "test portrait",
                "synthetic face",
                "sample photo",
                "label map",
                "example face",
                "random face",
            ],
            inputs=[
                io.Int.Input(
                    "seed",
                    default=7,
                    min=0,
                    max=0xFFFFFFFF,
                    control_after_generate=io.ControlAfterGenerate.fixed,
                    tooltip="Another number is another person.",
                ),
                io.Int.Input(
                    "size",
                    default=256,
                    min=64,
                    max=1024,
                    step=64,
                    tooltip="Width and height in pixels; the built-in generator needs 256.",
                ),
                io.Float.Input(
                    "part_deviation",
                    default=0.8,
                    min=0.0,
                    max=1.5,
                    step=0.05,
                    tooltip="How far every part goes its own way: 0 = all parts fit together, "
                    "0.8 = two different eyes, a half smile, as in real photos.",
                ),
                io.Boolean.Input(
                    "nuisances",
                    default=True,
                    tooltip="Freckles, moles, loose hair, patterned clothes, colour cast and grain, "
                    "none of which the generator knows.",
                ),
                *extras,
                io.Image.Input(
                    "photo",
                    optional=True,
                    tooltip="In the portrait's place: comes out as image, so that a workflow opens with the portrait "
                    "and goes on with a photo as soon as there is one.",
                ),
                FaceLandmarksIO.Input(
                    "photo_landmarks",
                    optional=True,
                    tooltip="With photo: comes out as face_landmarks. Without it there are none, and Align Face looks "
                    "for the face itself.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The photo."),
                io.Mask.Output(display_name="masks", tooltip="One mask for each part that can be seen."),
                io.String.Output(display_name="names", tooltip="The names of the masks, in their order."),
                LabelMapIO.Output(display_name="label_map", tooltip="Which part each pixel shows."),
                io.Image.Output(display_name="label_image", tooltip="The label map in colours."),
                FaceLandmarksIO.Output(
                    display_name="face_landmarks",
                    tooltip="A stand-in for Detect Face Landmarks: an average face's, put where the "
                    "portrait has its eyes and mouth.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        seed: int,
        size: int,
        part_deviation: float,
        nuisances: bool,
        photo: Tensor | None = None,
        photo_landmarks: Any = None,
        **extras: bool,
    ) -> io.NodeOutput:
        if photo is not None:
            return in_its_place(photo, photo_landmarks)
        if photo_landmarks is not None:
            raise InvalidInputError(
                "photo_landmarks are given without photo; connect the photo they were found in"
            )
        chosen = [name for name in EXTRAS if extras[name]]
        with plain_tensors():
            drawn = demo_photo(
                seed, resolution=size, extras=chosen, part_deviation=part_deviation, nuisances=nuisances
            )
            present = drawn.labels.unique().tolist()
            return io.NodeOutput(
                to_host(drawn.image),
                mask_to_host(masks_of(drawn.labels, present)),
                ", ".join(LABELS[label] for label in present),
                LabelMap(drawn.labels[None], dict(enumerate(LABELS))),
                to_host(from_uint8(PALETTE[drawn.labels.long()])),
                landmarks_of(drawn.labels),
            )


def in_its_place(photo: Tensor, landmarks: Any) -> io.NodeOutput:
    """A photo and the landmarks found in it, None if there are none; all else is known of portraits only."""
    unknown = ExecutionBlocker(
        "Demo Portrait knows masks and labels of its own portraits only; disconnect photo"
    )
    return io.NodeOutput(photo.clone(), unknown, unknown, unknown, unknown, landmarks)


def landmarks_of(labels: Tensor) -> dict[str, Any]:
    """FACE_LANDMARKS of a portrait with labels [H,W]; without a face where eyes or mouth are covered."""
    mesh = portrait_landmarks(labels)
    height, width = labels.shape
    return write_face_landmarks([[mesh] if mesh else []], (height, width), {"connection_sets": {}})


def masks_of(labels: Tensor, present: list[int]) -> Tensor:
    """[H,W] -> one mask [N,1,H,W] for each of the labels."""
    return torch.stack([(labels == label).float() for label in present])[:, None]


NODES = [DemoPortrait]
