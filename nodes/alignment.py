"""Align Face and Paste Back: faces out of a photo into the generator's frame, and their changes back in."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..chunky_core.alignment.face_crop import AlignedCrop, extract_crop, face_alignment
from ..chunky_core.alignment.face_detection import draw_quads
from ..chunky_core.alignment.pasting import paste_back
from ..chunky_core.errors import InvalidInputError
from ..chunky_core.images import from_uint8, to_uint8
from .face_sources import chosen, face_source, source_inputs
from .fitted import chosen_mask
from .host import HostedGenerator, each_photo, image_size, mask_to_core, per_photo, plain_tensors, to_host
from .photos import into_photo
from .types import AlignmentBatch, AlignmentIO, GeneratorIO


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
                    tooltip="The generator that will draw the face: the crop gets its resolution.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="crop", tooltip="The aligned faces, one picture each."),
                AlignmentIO.Output(
                    display_name="alignment", tooltip="Where the crops come from; for Paste Back."
                ),
                io.Image.Output(
                    display_name="preview", tooltip="The photos with the crops' outlines, red at their tops."
                ),
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
    ) -> io.NodeOutput:
        side = size if generator is None else generator.generator.img_resolution
        with plain_tensors():
            photos = each_photo(image)
            source = face_source(model, points, box, keypoints, mask, len(photos))
            found = tuple(
                tuple(face_alignment(photo, face) for face in chosen(source(photo, i), faces, number, i))
                for i, photo in enumerate(photos)
            )
            crops = [
                extract_crop(photo, one, side)
                for photo, ones in zip(photos, found, strict=True)
                for one in ones
            ]
            # whole grey levels, so that a crop which was saved and loaded again equals itself
            crop = from_uint8(to_uint8(torch.cat(crops)).cpu().numpy())
            drawn = [draw_quads(photo, ones) for photo, ones in zip(photos, found, strict=True)]
            return io.NodeOutput(to_host(crop), found, to_host(torch.cat(drawn)))


class PasteBack(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_PasteBack",
            display_name="Paste Back",
            category="ChunkyGAN/compositing",
            description="Brings what was changed in aligned crops back into the photo, at the photo's own "
            "resolution. Everything else stays exactly as it was.",
            search_aliases=["unalign", "uncrop", "stitch face", "paste face", "inverse align"],
            inputs=[
                io.Image.Input("photo", tooltip="The original photo that Align Face got, or several."),
                io.Image.Input("before", tooltip="The crops as Align Face gave them."),
                io.Image.Input(
                    "after", tooltip="The crops after editing, in the same order; differences count."
                ),
                AlignmentIO.Input("alignment", tooltip="Align Face's alignment."),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="On the crop: 1 = changes count, 0 = the photo stays. One for all crops or one each.",
                ),
                io.Float.Input(
                    "detail",
                    optional=True,
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="How much of the photo's detail finer than the crop stays where shapes changed: "
                    "0 = none, no ghosts; 1 = all.",
                    advanced=True,
                ),
                io.Boolean.Input(
                    "move_detail",
                    optional=True,
                    default=True,
                    tooltip="On = detail finer than the crop that doesn't stay is carried along to where the change "
                    "took the face. Off = it is left out there.",
                    advanced=True,
                ),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="The photos with the changed faces.")],
        )

    @classmethod
    def execute(
        cls,
        photo: Tensor,
        before: Tensor,
        after: Tensor,
        alignment: AlignmentBatch,
        mask: Tensor | None = None,
        detail: float = 0.0,
        move_detail: bool = True,
    ) -> io.NodeOutput:
        with plain_tensors():
            count = sum(map(len, alignment))
            check_counts(alignment, {"before": before, "after": after}, count, len(photo))
            masks = (None,) if mask is None else chosen_mask(mask_to_core(mask), image_size(before)).split(1)
            crops = zip(
                each_photo(before), each_photo(after), per_photo(tuple(masks), count, "masks"), strict=True
            )
            pasted = []
            for picture, faces in zip(each_photo(photo), alignment, strict=True):
                for one in faces:
                    old, new, weight = next(crops)
                    picture = paste_back(
                        picture, new, AlignedCrop(old, one), weight, detail=detail, move_detail=move_detail
                    )
                pasted.append(picture)
            return io.NodeOutput(into_photo(photo, torch.cat(pasted)))


def check_counts(alignment: AlignmentBatch, crops: dict[str, Tensor], count: int, photos: int) -> None:
    """Raises InvalidInputError unless every face has its crops and every photo its faces."""
    if photos != len(alignment):
        raise InvalidInputError(
            f"{photos} photos for the alignment of {len(alignment)}; connect the photos that Align Face got"
        )
    for name, crop in crops.items():
        if len(crop) != count:
            raise InvalidInputError(f"{name} has {len(crop)} crops, the alignment {count}; give one per face")


NODES = [AlignFace, PasteBack]
