"""Paste Back: what was changed in aligned crops, and masks on them, back in the photo."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

from ..chunky_core.alignment.face_crop import AlignedCrop
from ..chunky_core.alignment.pasting import paste_back, paste_mask
from ..chunky_core.errors import InvalidInputError
from ..chunky_core.wording import counted
from .fitted import chosen_mask, fitted_mask
from .host import each_photo, image_size, mask_to_core, mask_to_host, per_photo, plain_tensors
from .photos import into_photo
from .taken_along import shared_out
from .types import AlignmentBatch, AlignmentIO


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
                io.Mask.Input(
                    "crop_masks",
                    optional=True,
                    tooltip="Masks on the crops, to be brought onto the photos as well; as many for each crop, or one "
                    "for all.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The photos with the changed faces."),
                io.Mask.Output(
                    display_name="photo_masks",
                    tooltip="crop_masks as they lie on the photos, photo by photo; of several faces together.",
                ),
            ],
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
        crop_masks: Tensor | None = None,
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
            return io.NodeOutput(
                into_photo(photo, torch.cat(pasted)), masks_back(crop_masks, before, alignment)
            )


def masks_back(masks: Tensor | None, crops: Tensor, alignment: AlignmentBatch) -> Any:
    """MASK of the photos from masks on the crops; those of several faces of one photo are united."""
    if masks is None:
        return ExecutionBlocker("Paste Back has no masks to give here: connect crop_masks to it")
    fitted = fitted_mask(mask_to_core(masks), image_size(crops), "crop_masks")
    of_crops = iter(shared_out(fitted, len(crops), "crop"))
    pasted = []
    for faces in alignment:
        of_faces = [torch.cat([paste_mask(one[None], place) for one in next(of_crops)]) for place in faces]
        pasted.append(torch.stack(of_faces).amax(0))
    return mask_to_host(torch.cat(pasted))


def check_counts(alignment: AlignmentBatch, crops: dict[str, Tensor], count: int, photos: int) -> None:
    """Raises InvalidInputError unless every face has its crops and every photo its faces."""
    if photos != len(alignment):
        raise InvalidInputError(
            f"{photos} photos for the alignment of {len(alignment)}; connect the photos that Align Face got"
        )
    for name, crop in crops.items():
        if len(crop) != count:
            raise InvalidInputError(
                f"{name} has {counted(len(crop), 'crop')}, the alignment {count}; give one per face"
            )


NODES = [PasteBack]
