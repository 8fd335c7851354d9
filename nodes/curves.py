"""Projection Curves: how the loss of every segment fell, as a plot."""

from __future__ import annotations

import torch
from comfy_api.latest import io, ui

from ..chunky_core.inversion import Inversion
from ..chunky_core.visualization.curves import SCALES, loss_curves
from .host import plain_tensors, to_host
from .types import InversionBatch, InversionIO


class ProjectionCurves(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_ProjectionCurves",
            display_name="Projection Curves",
            category="ChunkyGAN/inversion",
            description="Plots the loss of every segment over the steps of its projection.",
            search_aliases=["loss curve", "loss plot", "convergence", "projection loss"],
            is_output_node=True,
            inputs=[
                InversionIO.Input("inversion", tooltip="The inversion, or a batch: one plot per photo."),
                io.Combo.Input(
                    "scale",
                    options=list(SCALES),
                    default=SCALES[0],
                    tooltip="Of the losses. log shows late progress, linear the size of what is left.",
                ),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="One plot per photo.")],
        )

    @classmethod
    def execute(cls, inversion: InversionBatch, scale: str) -> io.NodeOutput:
        with plain_tensors():
            titles = [title(record, index, len(inversion)) for index, record in enumerate(inversion, 1)]
            pairs = zip(inversion, titles, strict=True)
            plots = [loss_curves(record.losses, text, scale=scale) for record, text in pairs]
            result = to_host(torch.cat(plots))
        return io.NodeOutput(result, ui=ui.PreviewImage(result, cls=cls))


def title(record: Inversion, number: int, count: int) -> str:
    """Which photo it is, and why its projection ended early if it did."""
    which = "Loss per segment" if count == 1 else f"Photo {number} of {count}: loss per segment"
    return which if record.stopped is None else f"{which}; {record.stopped}"


NODES = [ProjectionCurves]
