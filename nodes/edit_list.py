"""Edit List and Strength Strip: the edits of an inversion shown, changed, and drawn at several strengths."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..chunky_core.compositing import KEEP_DETAIL, REPLACE, KeepDetail, Replace
from ..chunky_core.editing import change_edits, describe_edits, parse_strengths, strength_series
from ..chunky_core.editing.edit_list import parse_changes
from ..chunky_core.errors import InvalidInputError
from ..chunky_core.inversion import Inversion
from ..chunky_core.visualization import contact_sheet
from .compositing import edited_picture, pictures, replace_inputs
from .host import HostedGenerator, output_is_used, plain_tensors, to_core, to_host
from .notices import show_on_node
from .types import GeneratorIO, InversionBatch, InversionIO

CHANGES_TIP = (
    "One change per line, by the numbers of the list as it comes in: '2: off', '2: on', '2: remove', "
    "'1: strength 0.8', '1: strength *0.5' (times what it is), '1: layers 4-7', '1: segments eyes, mouth', "
    "'3: move 1', 'order 3, 1, 2'. Several: '1, 3: off', 'all: strength *0.5'. What follows # doesn't count."
)


class EditList(io.ComfyNode):
    IMAGE = 2  # index of the output that is drawn only if it is used

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_EditList",
            display_name="Edit List",
            category="ChunkyGAN/editing",
            description="Shows the edits of an inversion with their numbers, and mutes, removes, moves or changes "
            "them. Nothing is lost: take a line away, and the edit is as it was.",
            search_aliases=[
                "edit stack",
                "mute edit",
                "remove edit",
                "undo",
                "reorder",
                "layers",
                "latent edit",
                "non-destructive",
            ],
            is_output_node=True,
            inputs=[
                GeneratorIO.Input("generator", tooltip="The generator that the inversion was made with."),
                InversionIO.Input("inversion", tooltip="The inversion with its edits; it stays as it is."),
                io.String.Input("changes", default="", multiline=True, tooltip=CHANGES_TIP),
                *replace_inputs(advanced=True),
            ],
            outputs=[
                InversionIO.Output(display_name="inversion", tooltip="The inversion with its edits changed."),
                io.String.Output(display_name="list", tooltip="The edits after the changes, one per line."),
                io.Image.Output(
                    display_name="image",
                    tooltip="The edited picture, softly blended, before Poisson Composite. Drawn only if it is "
                    "connected.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, changes: str | None = None) -> bool | str:
        """Whether the lines can be read, with what they set; which edits there are is known only when the node runs."""
        try:
            parse_changes(changes or "")
        except InvalidInputError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, **inputs: Any) -> bool:
        """An image that wasn't drawn is no result for a node that is linked to it later."""
        return output_is_used(cls.IMAGE)

    @classmethod
    def execute(
        cls,
        generator: HostedGenerator,
        inversion: InversionBatch,
        changes: str,
        replace: Replace = REPLACE[0],
        keep_detail: KeepDetail = KEEP_DETAIL[-1],
    ) -> io.NodeOutput:
        changed = tuple(change_edits(generator.generator, record, changes) for record in inversion)
        text = lists_of(changed)
        image = None
        if output_is_used(cls.IMAGE):
            image = pictures(generator, changed, edited_picture(replace, keep_detail))
        show_on_node(text)
        return io.NodeOutput(changed, text, image, ui=ui.PreviewText(text))


class StrengthStrip(io.ComfyNode):
    IMAGES, STRIP = 0, 1  # indices of the outputs that are drawn only if they are used

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_StrengthStrip",
            display_name="Strength Strip",
            category="ChunkyGAN/editing",
            description="Draws an inversion with one of its edits at several strengths: a batch of pictures, and a "
            "strip to compare them. Only what the edit touches is drawn again.",
            search_aliases=[
                "strength schedule",
                "xy plot",
                "edit strength",
                "interpolate edit",
                "animate edit",
                "slider",
                "batch of strengths",
            ],
            inputs=[
                GeneratorIO.Input("generator", tooltip="The generator that the inversion was made with."),
                InversionIO.Input("inversion", tooltip="The inversion with its edits; it stays as it is."),
                io.String.Input(
                    "strengths",
                    default="-2, -1, 0, 1, 2",
                    tooltip="Numbers separated by commas, or a range and how many: '-2..2 / 5'. With one_per_photo a "
                    "range alone, '0..2', is spread over the photos.",
                ),
                io.Int.Input(
                    "edit",
                    default=0,
                    min=0,
                    max=1000,
                    tooltip="Whose strength changes: its number in Edit List, 1 = the first; 0 = the last one. The "
                    "others stay.",
                ),
                io.Boolean.Input(
                    "one_per_photo",
                    default=False,
                    tooltip="Off = every photo of a batch at every strength; on = the first photo at the first "
                    "strength, the second at the second, as for the frames of a video.",
                    advanced=True,
                ),
                *replace_inputs(advanced=True),
            ],
            outputs=[
                io.Image.Output(
                    display_name="images",
                    tooltip="One picture per strength, of a batch those of the first photo first; softly blended. "
                    "Drawn only if images or strip is connected.",
                ),
                io.Image.Output(
                    display_name="strip",
                    tooltip="The same side by side with their strengths, one strip per photo.",
                ),
                InversionIO.Output(
                    display_name="inversion",
                    tooltip="The inversions at these strengths as a batch, for Poisson Composite.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, strengths: str | None = None, one_per_photo: bool | None = None) -> bool | str:
        """Whether the text can be read; only with one_per_photo a range needs no number of strengths."""
        try:
            if strengths is not None:
                parse_strengths(strengths, None if one_per_photo is False else 1)
        except InvalidInputError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, **inputs: Any) -> bool:
        """As Edit List's."""
        return output_is_used(cls.IMAGES) or output_is_used(cls.STRIP)

    @classmethod
    def execute(
        cls,
        generator: HostedGenerator,
        inversion: InversionBatch,
        strengths: str,
        edit: int,
        one_per_photo: bool,
        replace: Replace = REPLACE[0],
        keep_detail: KeepDetail = KEEP_DETAIL[-1],
    ) -> io.NodeOutput:
        series = series_of(inversion, strengths, edit, one_per_photo)
        records = tuple(record for one in series for record in one)
        if not (output_is_used(cls.IMAGES) or output_is_used(cls.STRIP)):
            return io.NodeOutput(None, None, records)
        images = pictures(generator, records, edited_picture(replace, keep_detail))
        rows = [records] if one_per_photo else series
        with plain_tensors():
            drawn = to_core(images).split([len(row) for row in rows])
            strips = [strip(row, own, edit) for row, own in zip(rows, drawn, strict=True)]
            return io.NodeOutput(images, to_host(torch.cat(strips)), records)


def lists_of(inversions: InversionBatch) -> str:
    """The edits as text: once where all photos have the same, else one list per photo."""
    lists = list(map(describe_edits, inversions))
    if len(set(lists)) == 1:
        return lists[0]
    return "\n".join(f"photo {number}\n{text}" for number, text in enumerate(lists, 1))


def series_of(
    inversions: InversionBatch, text: str, number: int, one_per_photo: bool
) -> list[tuple[Inversion, ...]]:
    """For each photo its inversions at the strengths of a text; number: of the edit, 0 = the last one.

    Raises InvalidInputError for what isn't a strength, an edit that isn't there, and with one_per_photo another number
    of strengths than of photos.
    """
    for record in inversions:
        if number > len(record.edits):
            raise InvalidInputError(f"there is no edit {number}; the inversion has {len(record.edits)}")
    index = number - 1 if number else None
    if not one_per_photo:
        return [strength_series(record, parse_strengths(text), index) for record in inversions]
    strengths = parse_strengths(text, len(inversions))
    if len(strengths) != len(inversions):
        raise InvalidInputError(
            f"there are {len(strengths)} strengths for {len(inversions)} photos; give one for each, or switch "
            "one_per_photo off"
        )
    pairs = zip(inversions, strengths, strict=True)
    return [strength_series(record, (strength,), index) for record, strength in pairs]


def strip(inversions: tuple[Inversion, ...], images: Tensor, number: int) -> Tensor:
    """The pictures [N,3,H,W] in a row, each under its direction and strength; number: of the edit, 0 = the last one."""
    edits = [record.edits[number - 1] for record in inversions]
    titles = [f"{edit.direction.name} {edit.strength:g}" for edit in edits]
    return contact_sheet(list(zip(titles, images.split(1), strict=True)), columns=len(titles))


NODES = [EditList, StrengthStrip]
