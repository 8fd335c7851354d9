"""Channels for a segment: how near the quick search comes to drawing every channel, what it costs, and how much more
of a change lies inside the segment than with directions of W.

    python benchmarks/segment_channels.py --inversions a.safetensors b.safetensors --segments mouth hair --json o.jsonl
    python benchmarks/segment_channels.py --resolution 1024 --candidates 12
    python benchmarks/segment_channels.py --report o.jsonl

For each inversion (of the demo generator) and segment every channel is drawn up and down by 3 standard deviations: the
truth. The search with several numbers of probes is compared with it: how many of the true best 12 it finds, and the
sum of its scores relative to theirs. Directions of W: the demo's, at 1.5 and 3 standard deviations up and down, of
which the best share counts. Process CPU seconds, one thread. --resolution: time and memory of a search by a random
network of the papers' size and a mouth instead.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median
from time import process_time
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.memory import peak_of_tensors
from benchmarks.portrait import SEGMENTS, filled, seeded_network
from benchmarks.rows import append_row
from benchmarks.timing import markdown
from chunky_core.checkpoints import load_generator
from chunky_core.editing import load_directions
from chunky_core.editing.channel_effects import Effects, MaskedCode, changes, measure_effects, ranked_layers
from chunky_core.editing.channels import ChannelSearchConfig, masked_codes, rank_channels
from chunky_core.editing.edits import edited_code
from chunky_core.generator.architecture import GeneratorModule
from chunky_core.generator.generator import Generator
from chunky_core.generator.mapping import MappingNetwork
from chunky_core.generator.spaces import Direction, LatentCode, convert
from chunky_core.generator.statistics import GeneratorStatistics, measure_statistics
from chunky_core.inversion import Edit, load_inversion

Row = dict[str, Any]
PROBES = (2, 4, 8, 16)
BEST = 12
STRENGTHS = (-3.0, -1.5, 1.5, 3.0)


def main(arguments: Sequence[str]) -> None:
    options = parsed(arguments)
    if options.report:
        print(report([json.loads(line) for path in options.report for line in path.read_text().splitlines()]))
        return
    rows = [cost_row(options.resolution, options.candidates)] if options.resolution else []
    for row in rows:
        append_row(row, options.json)
    generator = load_generator("demo") if options.inversions else None
    for path in options.inversions:
        assert generator is not None
        statistics = measure_statistics(generator)
        for name in options.segments:
            (masked,) = masked_codes(generator, load_inversion(path), name)
            rows.append({"photo": path.name, "segment": name, **quality(masked, statistics)})
            append_row(rows[-1], options.json)
            print(path.name, name, file=sys.stderr, flush=True)
    print(report(rows))


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inversions", type=Path, nargs="*", default=[])
    parser.add_argument("--segments", nargs="+", default=["mouth", "hair", "nose"])
    parser.add_argument("--resolution", type=int, choices=(256, 1024))
    parser.add_argument("--candidates", type=int, default=ChannelSearchConfig.candidates)
    parser.add_argument("--json", type=Path, help="JSON lines: appended to")
    parser.add_argument("--report", type=Path, nargs="+", help="only print the tables of these files")
    return parser.parse_args(arguments)


def quality(masked: MaskedCode, statistics: GeneratorStatistics) -> Row:
    """The figures of one segment."""
    config = ChannelSearchConfig()
    scores, shares, seconds = drawn_channels(masked, statistics, config)
    best = scores.topk(BEST).indices.tolist()
    searches = {}
    for probes in PROBES:
        start = process_time()
        found = rank_channels(
            [masked], BEST, config=ChannelSearchConfig(probes=probes), statistics=statistics
        )
        searches[str(probes)] = {
            "seconds": process_time() - start,
            "found": len({one.index for one in found} & set(best)),
            "first": found[0].index == best[0],
            "ratio": sum(one.score for one in found) / float(scores[best].sum()),
        }
    return {
        "area": float(masked.mask.mean()),
        "exhaustive_seconds": seconds,
        "searches": searches,
        "shares": shares[best].tolist(),
        "of_all": float(shares[shares > 0].median()),
        "directions": direction_shares(masked),
    }


def drawn_channels(
    masked: MaskedCode, statistics: GeneratorStatistics, config: ChannelSearchConfig
) -> tuple[Tensor, Tensor, float]:
    """Scores and shares of all ranked channels, 0 for others, and the seconds that drawing them took."""
    layout = masked.generator.style_layout
    starts = [sum(width for _, width in layout[:layer]) for layer in range(len(layout))]
    layers = ranked_layers(masked.generator, rgb_layers=False)
    indices = [starts[layer] + channel for layer in layers for channel in range(layout[layer][1])]
    start = process_time()
    effects = measure_effects(masked, config.sigma * statistics.style_std[indices], indices)
    seconds = process_time() - start
    scores, shares = torch.zeros(2, len(statistics.style_std))
    scores[indices], shares[indices] = effects.scores(config.floor), effects.shares()
    return scores, shares, seconds


@torch.no_grad()
def direction_shares(masked: MaskedCode) -> dict[str, float]:
    """The best share of each of the demo's directions, of those strengths that change the inside by 5 gray levels."""
    return {name: direction_share(masked, one) for name, one in load_directions("demo").items()}


def direction_share(masked: MaskedCode, direction: Direction) -> float:
    code = LatentCode(masked.code.space, masked.code.tensor)
    moved = [edited_code(masked.generator, code, [Edit(direction, strength)]) for strength in STRENGTHS]
    styles = torch.cat([convert(masked.generator, one, "s").tensor for one in moved])
    inside, outside = changes(masked, styles)
    effects = Effects(inside, outside, float(masked.mask.sum()), float(masked.mask.numel()))
    seen = effects.rms()[0] >= ChannelSearchConfig.floor
    return float((effects.shares() * seen).max())


def cost_row(resolution: int, candidates: int) -> Row:
    """Seconds and the peak of tensors of a search at the papers' size."""
    synthesis = seeded_network(resolution)
    mapping = MappingNetwork(z_dim=512, w_dim=512, num_ws=synthesis.num_ws, num_layers=8)
    generator = Generator(GeneratorModule(mapping, synthesis))
    w = torch.randn(1, 512, generator=torch.Generator().manual_seed(1))
    mask = filled(resolution, SEGMENTS["mouth"], rectangle=False)[None, None]
    masked, statistics = MaskedCode(generator, LatentCode("w", w), mask), measure_statistics(generator, 1000)
    config = ChannelSearchConfig(candidates=candidates)
    marks = [process_time()]

    def search() -> None:
        rank_channels(
            [masked],
            min(BEST, candidates),
            config=config,
            statistics=statistics,
            callback=lambda *_: marks.append(process_time()),
        )

    search()
    timed = list(marks)
    return {
        "resolution": resolution,
        "channels": sum(width for _, width in generator.style_layout),
        "candidates": candidates,
        "probes": config.probes,
        "estimate_seconds": timed[1] - timed[0],
        "draw_seconds": timed[-1] - timed[1],
        "peak": peak_of_tensors(search),
    }


def report(rows: Sequence[Row]) -> str:
    costs = [row for row in rows if "resolution" in row]
    tables = [cost_table(costs)] if costs else []
    for name in dict.fromkeys(row["segment"] for row in rows if "segment" in row):
        tables.append(quality_table(name, [row for row in rows if row.get("segment") == name]))
    return "\n\n".join(tables)


def cost_table(rows: Sequence[Row]) -> str:
    header = ("resolution", "channels", "estimate, s", "per candidate, s", "peak of tensors, MiB")
    lines = [
        (
            str(row["resolution"]),
            str(row["channels"]),
            f"{row['estimate_seconds']:.1f} ({row['probes']} probes)",
            f"{row['draw_seconds'] / row['candidates']:.2f}",
            f"{row['peak'] / 2**20:.0f}",
        )
        for row in rows
    ]
    return markdown(header, lines)


def quality_table(name: str, rows: Sequence[Row]) -> str:
    """Means over the photos."""
    area = mean(row["area"] for row in rows)
    drawn = mean(row["exhaustive_seconds"] for row in rows)
    title = (
        f"{name}: {len(rows)} photos, {area:.1%} of the picture; drawing every channel takes {drawn:.0f} s"
    )
    lines = []
    for probes in rows[0]["searches"]:
        found = [row["searches"][probes] for row in rows]
        lines.append(
            (
                probes,
                f"{mean(one['seconds'] for one in found):.1f}",
                f"{mean(one['found'] for one in found):.1f} of {BEST}",
                f"{sum(one['first'] for one in found)} of {len(found)}",
                f"{mean(one['ratio'] for one in found):.3f}",
            )
        )
    searches = markdown(("probes", "s", "of the true best", "first one right", "sum of scores"), lines)
    names = sorted(rows[0]["directions"], key=lambda one: -mean(row["directions"][one] for row in rows))
    directions = ", ".join(f"{one} {mean(row['directions'][one] for row in rows):.0%}" for one in names[:4])
    shares = (
        f"inside: best channel {mean(row['shares'][0] for row in rows):.0%}, median of the best {BEST} "
        f"{mean(median(row['shares']) for row in rows):.0%}, median of all {mean(row['of_all'] for row in rows):.1%}; "
        f"directions of W {directions}"
    )
    return "\n\n".join([title, searches, shares])


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
