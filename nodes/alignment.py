"""Align Face: faces out of a photo into the generator's frame, with what lies on the photo."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..chunky_core.alignment.face_crop import face_alignment
from ..chunky_core.alignment.face_detection import draw_quads
from ..chunky_core.boxes import Size
from .face_sources import (
    ByHand,
    chosen,
    face_source,
    landmark_inputs,
    landmarks_per_photo,
    source_inputs,
    subject_source,
)
from .host import HostedGenerator, each_photo, image_size, plain_tensors, to_host
from .taken_along import (
    along_inputs,
    along_outputs,
    average_along,
    crops_of,
    labels_along,
    landmarks_along,
    masks_along,
    painted_along,
)
from .types import AlignmentIO, GeneratorIO


class AlignFace(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_AlignFace",
            display_name="Align Face",
            category="ChunkyGAN/compositing",
            description="Cuts faces out of photos of any size, upright and framed as FFHQ generators expect.",
            search_aliases=[
                "ffhq",
                "face crop",
                "crop face",
                "face detection",
                "yunet",
                "align",
                "landmarks",
                "face edit",
            ],
            inputs=[
                io.Image.Input("image", tooltip="The photo, or several. Transparency is not looked at."),
                io.Int.Input(
                    "size",
                    default=1024,
                    min=16,
                    max=4096,
                    step=16,
                    tooltip="Side of the crop in pixels: the generator's resolution. Not used if generator is "
                    "connected.",
                ),
                io.Combo.Input(
                    "faces",
                    options=["largest", "leftmost", "all", "number"],
                    default="largest",
                    tooltip="Which faces of each photo; all = one crop each, from left to right.",
                ),
                io.Int.Input(
                    "number",
                    default=1,
                    min=1,
                    max=99,
                    tooltip="With faces = number: 1 is the leftmost face.",
                ),
                *source_inputs(),
                GeneratorIO.Input(
                    "generator",
                    optional=True,
                    tooltip="The generator that will draw the face: the crop gets its size. Where that isn't "
                    "square, as for whole people, the place comes from box, mask or bounding_boxes.",
                ),
                *landmark_inputs(),
                *along_inputs(),
            ],
            outputs=[
                io.Image.Output(display_name="crop", tooltip="The aligned faces, one picture each."),
                AlignmentIO.Output(
                    display_name="alignment", tooltip="Where the crops come from; for Paste Back."
                ),
                io.Image.Output(
                    display_name="preview", tooltip="The photos with the crops' outlines, red at their tops."
                ),
                *along_outputs(),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        size: int,
        faces: str,
        number: int,
        model: str,
        points: str,
        box: str,
        keypoints: Any = None,
        mask: Tensor | None = None,
        generator: HostedGenerator | None = None,
        face_landmarks: Any = None,
        bounding_boxes: Any = None,
        photo_masks: Tensor | None = None,
        photo_labels: Tensor | None = None,
        photo_painted: Tensor | None = None,
    ) -> io.NodeOutput:
        crop_size = Size(size, size) if generator is None else generator.generator.img_size
        with plain_tensors():
            photos = tuple(each_photo(image))
            sizes = [image_size(image)] * len(photos)
            meshes = (
                None if face_landmarks is None else landmarks_per_photo(face_landmarks, sizes[0], len(photos))
            )
            by_hand = ByHand(points, box, keypoints, mask)
            if crop_size.height == crop_size.width:
                source = face_source(model, by_hand, meshes, bounding_boxes, len(photos))
            else:
                source = subject_source(crop_size, by_hand, bounding_boxes, len(photos))
            picked = [chosen(source(photo, i), faces, number, i) for i, photo in enumerate(photos)]
            found = tuple(
                tuple(face_alignment(photo, face, crop_size) for face in ones)
                for photo, ones in zip(photos, picked, strict=True)
            )
            drawn = [draw_quads(photo, ones) for photo, ones in zip(photos, found, strict=True)]
            return io.NodeOutput(
                crops_of(photos, found, crop_size),
                found,
                to_host(torch.cat(drawn)),
                average_along(picked, found, crop_size)
                if meshes is None
                else landmarks_along(face_landmarks, meshes, found, crop_size),
                masks_along(photo_masks, found, sizes, crop_size),
                labels_along(photo_labels, found, sizes, crop_size),
                painted_along(photo_painted, found, crop_size),
            )


NODES = [AlignFace]
