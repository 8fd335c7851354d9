"""Segment Channels: the style channels that change a segment and hardly anything else, to choose an edit from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import ref

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..chunky_core.editing.channels import (
    ChannelSearchConfig,
    SegmentChannel,
    channel_direction,
    masked_codes,
    rank_channels,
)
from ..chunky_core.editing.edits import STRONGEST
from ..chunky_core.errors import InvalidInputError
from ..chunky_core.generator.generator import Generator
from ..chunky_core.generator.statistics import statistics
from ..chunky_core.inversion import Edit, Inversion
from ..chunky_core.segments.label_names import split_names
from ..chunky_core.visualization.channel_sheet import channel_cells, channel_sheet, common_views
from .host import HostedGenerator, loaded, plain_tensors, step_reporter, to_host
from .notices import show_on_node
from .sampling import statistics_folders
from .types import DirectionIO, GeneratorIO, InversionBatch, InversionIO
from .widgets import check_limits, number, seed, switch

UI_CHANNELS = "chunkygan_channels"  # what web/js/segment_channels.js shows
MOST = 48  # channels on a sheet
KEPT = 4  # searches whose results are kept with the generator


@dataclass(frozen=True)
class Found:
    """Channels, the best first, and for each photo their cells, [1,3,h,w] in [-1,1] each."""

    channels: tuple[SegmentChannel, ...]
    cells: tuple[list[Tensor], ...]


@dataclass(frozen=True)
class KeptSearch:
    """What was found, of which records, which don't live on for its sake, and by which names, count and config."""

    records: tuple[ref[Inversion], ...]
    asked: tuple[Any, ...]
    found: Found


class SegmentChannels(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_SegmentChannels",
            display_name="Segment Channels",
            category="ChunkyGAN/editing",
            description="Finds the style channels that change a segment most and everything else least, shows what "
            "each does to the photo, and edits with the one that you choose.",
            search_aliases=[
                "stylespace",
                "style channel",
                "s space",
                "find edit",
                "local edit",
                "discover direction",
                "face edit",
                "gan",
            ],
            is_output_node=True,
            inputs=[
                GeneratorIO.Input("generator", tooltip="The generator that the inversion was made with."),
                InversionIO.Input("inversion", tooltip="The inversion to edit; it stays as it is."),
                io.String.Input(
                    "segment",
                    default="mouth",
                    tooltip="The segment to change, by name. A plural such as 'eyes', or several names separated by "
                    "commas, count as one area: both eyes move together.",
                ),
                io.Int.Input(
                    "rank",
                    default=1,
                    min=1,
                    max=MOST,
                    tooltip="Which of the channels to use; 1 = the best. A click on its picture below sets it, a "
                    "double click runs, too.",
                ),
                number(
                    "strength",
                    "How far the chosen channel is moved, in standard deviations of what the generator has seen. "
                    "Negative = the picture on the left; 0 = no edit.",
                    default=3.0,
                    low=-STRONGEST,
                    high=STRONGEST,
                    step=0.5,
                    advanced=False,
                ),
                io.Int.Input("count", default=12, min=1, max=MOST, tooltip="How many channels to show."),
                number(
                    "sigma",
                    "The pictures show each channel moved down and up by this many standard deviations, and its "
                    "effect is measured there.",
                    default=ChannelSearchConfig.sigma,
                    low=0.5,
                    high=20.0,
                    step=0.5,
                ),
                seed(
                    0,
                    "Of the random probes that narrow the search down. Rarely matters: what they find is drawn.",
                ),
                io.Int.Input(
                    "candidates",
                    default=ChannelSearchConfig.candidates,
                    min=1,
                    max=1024,
                    tooltip="How many channels are drawn to be compared; more = slower, and less may be missed.",
                    advanced=True,
                ),
                switch(
                    "rgb_layers",
                    "On = also the channels of the layers that make colours, which mostly act on the whole picture.",
                    default=False,
                ),
            ],
            outputs=[
                InversionIO.Output(
                    display_name="inversion", tooltip="The inversion with the chosen channel's edit appended."
                ),
                DirectionIO.Output(
                    display_name="direction",
                    tooltip="The chosen channel as a direction; strength 1 = one standard deviation.",
                ),
                io.Image.Output(
                    display_name="sheet",
                    tooltip="All channels with their names, moved down (left) and up (right); one sheet per photo.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(
        cls, segment: str | None = None, rank: int | None = None, count: int | None = None
    ) -> bool | str:
        """What can be told before the projection; which segments there are can't."""
        try:
            check_limits("rank", rank, 1, MOST)
            check_limits("count", count, 1, MOST)
            check_choice(segment, rank, count)
        except InvalidInputError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls,
        generator: HostedGenerator,
        inversion: InversionBatch,
        segment: str,
        rank: int,
        strength: float,
        count: int,
        sigma: float,
        seed: int,
        candidates: int,
        rgb_layers: bool,
    ) -> io.NodeOutput:
        check_choice(segment, rank, count)
        names = tuple(split_names(segment))
        config = ChannelSearchConfig(sigma=sigma, candidates=candidates, rgb_layers=rgb_layers, seed=seed)
        found = search_once(generator, inversion, names, count, config)
        chosen = found.channels[rank - 1]
        with plain_tensors():
            direction = channel_direction(generator.generator, chosen, ", ".join(names))
            edits = [Edit(direction, strength, names)] if strength else []
            edited = tuple(record.with_edits(*edits) for record in inversion)
            sheets = torch.cat([channel_sheet(found.channels, cells) for cells in found.cells])
        show_on_node(f"{rank}: {chosen}")
        return io.NodeOutput(edited, direction, to_host(sheets), ui=shown(found))


def check_choice(segment: str | None, rank: int | None, count: int | None) -> None:
    """Raise InvalidInputError for a rank beyond the count, and where no segment is named; None = not known yet."""
    if rank is not None and count is not None and rank > count:
        raise InvalidInputError(
            f"rank is {rank}, and {count} channels are looked for; choose 1 to {count}, or raise count"
        )
    if segment is not None and not split_names(segment):
        raise InvalidInputError("segment is empty; write the name of a segment, such as mouth")


def shown(found: Found) -> dict[str, list[dict[str, Any]]]:
    """What the page is told: for each channel its rank, its name, and the file with its cell of the first photo."""
    cells = to_host(torch.cat(found.cells[0]))
    files = ui.PreviewImage(cells).as_dict()["images"]
    entries = [
        {"rank": rank, "caption": str(channel), "image": dict(file)}
        for rank, (channel, file) in enumerate(zip(found.channels, files, strict=True), start=1)
    ]
    return {UI_CHANNELS: entries}


def search_once(
    hosted: HostedGenerator,
    inversion: InversionBatch,
    names: tuple[str, ...],
    count: int,
    config: ChannelSearchConfig,
) -> Found:
    """`search`, or what it found before of the very same records, so that another rank or strength takes no time."""
    for kept in hosted.searches:
        if kept.asked == (names, count, config) and [known() for known in kept.records] == list(inversion):
            return kept.found
    with loaded(hosted) as generator:
        found = search(generator, inversion, names, count, config)
    hosted.searches.insert(0, KeptSearch(tuple(map(ref, inversion)), (names, count, config), found))
    del hosted.searches[KEPT:]
    return found


def search(
    generator: Generator,
    inversion: InversionBatch,
    names: tuple[str, ...],
    count: int,
    config: ChannelSearchConfig,
) -> Found:
    """The best channels of all photos together, and what they do to each."""
    masked = [one for record in inversion for one in masked_codes(generator, record, names)]
    known = statistics(generator, statistics_folders())
    channels = rank_channels(
        masked, count, config=config, statistics=known, callback=step_reporter(previews=False)
    )
    views = common_views(inversion, names)
    cells = [
        channel_cells(
            generator,
            record,
            names,
            channels,
            view=view,
            callback=step_reporter(index, len(inversion), previews=False),
        )
        for index, (record, view) in enumerate(zip(inversion, views, strict=True))
    ]
    return Found(channels, tuple(cells))


NODES = [SegmentChannels]
