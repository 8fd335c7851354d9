"""Compare: two pictures, what differs between them, and figures. The host's own Compare Images has a slider."""

from __future__ import annotations

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..chunky_core.errors import InvalidInputError
from ..chunky_core.images import to_uint8
from ..chunky_core.visualization.sheets import contact_sheet, heat_map
from .host import each_photo, per_photo, plain_tensors, to_host
from .notices import show_on_node


class Compare(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_Compare",
            display_name="Compare Pictures",
            category="ChunkyGAN/editing",
            description="Shows two pictures beside each other with a heat map of what differs, and says how much: what "
            "an edit changed, and that the rest stayed.",
            search_aliases=["before after", "heat map", "difference", "image diff", "compare images"],
            is_output_node=True,
            inputs=[
                io.Image.Input("before", tooltip="The photo, or a batch."),
                io.Image.Input("after", tooltip="The edited picture, in the same size."),
                io.Float.Input(
                    "full_scale",
                    default=0.25,
                    min=0.001,
                    max=1.0,
                    step=0.001,
                    round=False,
                    tooltip="The difference that is white in the heat map, as a share of black to white. Smaller = "
                    "faint differences glow.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="image", tooltip="Before, after and heat map in a row, one per photo."
                ),
                io.Image.Output(display_name="heat_map", tooltip="The difference alone: black = none."),
                io.String.Output(display_name="figures", tooltip="How many pixels changed, and by how much."),
            ],
        )

    @classmethod
    def execute(cls, before: Tensor, after: Tensor, full_scale: float) -> io.NodeOutput:
        with plain_tensors():
            count = max(len(before), len(after))
            pairs = list(
                zip(
                    per_photo(tuple(each_photo(before)), count, "pictures before"),
                    per_photo(tuple(each_photo(after)), count, "pictures after"),
                    strict=True,
                )
            )
            for one, other in pairs:
                check_sizes(one, other)
            maps = [heat_map(one, other, full_scale) for one, other in pairs]
            rows = [
                contact_sheet([("before", one), ("after", other), ("difference", heat)], columns=3)
                for (one, other), heat in zip(pairs, maps, strict=True)
            ]
            text = "\n".join(figures(one, other) for one, other in pairs)
            sheet = to_host(torch.cat(rows))
            show_on_node(text)
            return io.NodeOutput(sheet, to_host(torch.cat(maps)), text, ui=ui.PreviewImage(sheet, cls=cls))


def check_sizes(before: Tensor, after: Tensor) -> None:
    if before.shape != after.shape:
        found, expected = (f"{one.shape[-1]}x{one.shape[-2]}" for one in (after, before))
        raise InvalidInputError(
            f"the picture after is {found}, the one before {expected}; give pictures of one size, such as the outputs "
            "of Poisson Composite"
        )


def figures(before: Tensor, after: Tensor) -> str:
    """How many pixels differ in 8 bits, by how many grey levels at most and on average over those."""
    change = (to_uint8(before).int() - to_uint8(after).int()).abs().amax(-1)
    moved = change[change > 0].double()
    if not len(moved):
        return "no pixel differs"
    return (
        f"{len(moved)} of {change.numel()} pixels differ ({len(moved) / change.numel():.1%}), by {moved.mean():.1f} "
        f"grey levels on average and {int(moved.max())} at most"
    )


NODES = [Compare]
