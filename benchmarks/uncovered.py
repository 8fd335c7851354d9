"""What an edit uncovers: masks that follow it, and fills, against the demo photo drawn anew with the attribute changed.

    python benchmarks/uncovered.py --cache out/inversions --json uncovered.jsonl --photos 8
    python benchmarks/uncovered.py --report uncovered.jsonl

Masks: the labels of the edited picture against the true ones, as intersection over union (IoU) of all parts, of the
background, and of the part that the edit is about: unmoved, carried along the optical flow alone, and as `follow` finds
them. Composites ("as needed", detail kept): masks unmoved; followed, the background inpainted and all else drawn by
codes (the default); with --fills also what is uncovered drawn by codes alone, and always inpainted. Error: mean squared
distance to the truth; perceptual: the demo network's; background, other parts: the squared distance where they
are uncovered; old outline: how much the differences across the old outlines exceed the truth's, over 3 pixels, in grey
levels; seconds: process CPU time, without finding the labels. Photos turn further than the generator's people
(demo/photos.py), so the truth of a yaw is turned by as much as the generator turns. The inversions are those of the
preset "good". Medians over the photos.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from statistics import mean, median
from time import process_time
from unittest.mock import patch

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.arms import Arm, Inverter, Subject
from benchmarks.rows import Row, append_row, check_rows, read_rows, row_key, versions
from benchmarks.sheets import save_sheet
from benchmarks.timing import markdown
from chunky_core.checkpoints import load_generator
from chunky_core.compositing import composite, transferred_labels, with_followed_masks
from chunky_core.compositing.flow import backward_warp, optical_flow
from chunky_core.compositing.segment_drawing import draw_segment
from chunky_core.compositing.uncovered import INPAINTED
from chunky_core.demo.photos import BEYOND, Photo, demo_photo
from chunky_core.demo.portraits import INDEX, PARTS
from chunky_core.demo.shipped import LABEL_NAMES
from chunky_core.editing.directions import load_directions
from chunky_core.evaluation.metrics import lpips_distance, mse
from chunky_core.evaluation.seam_visibility import seam_gradient_error
from chunky_core.generator import Generator
from chunky_core.inversion import Edit, Inversion
from chunky_core.inversion.tuning import segment_generators
from chunky_core.losses import LossConfig
from chunky_core.losses.perceptual import load_perceptual_network
from chunky_core.segments import SegmentMasks, segments_from_label_map
from chunky_core.segments.edit_segments import STATIC
from chunky_core.visualization.sheets import contact_sheet

FIRST_SEED = 5000
LOSS = LossConfig(l2=1.0, lpips=1.0, lpips_net="demo")
ARM = Arm(preset="good")
HEAD = tuple(part for part in PARTS if part != "background")
EDITS: dict[
    str, tuple[str, float, tuple[str, ...], str]
] = {  # direction, strength, segments, what it is about
    "yaw 2": ("yaw", 2.0, HEAD, "hair"),
    "yaw -2": ("yaw", -2.0, HEAD, "hair"),
    "hair_length -2": ("hair_length", -2.0, ("hair",), "hair"),
    "mouth_open -2": ("mouth_open", -2.0, ("mouth",), "mouth"),
    "smile 2": ("smile", 2.0, ("mouth",), "mouth"),
}
MASKS = ("unmoved", "flow", "followed")
FOLLOW = "follow"
FILLS: dict[str, Collection[str]] = {  # of whom what is uncovered is inpainted
    FOLLOW: INPAINTED,
    "follow, codes": (),
    "follow, inpainted": (*PARTS, STATIC),
}
FIGURES = ("error", "perceptual", "background", "other parts", "old outline", "seconds")
YAW_BOUNDS = 0.002, 0.998  # fractions that still have a deviation


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, help="folder in which inversions are kept")
    parser.add_argument("--photos", type=int, default=8)
    parser.add_argument("--first", type=int, default=FIRST_SEED)
    parser.add_argument("--json", type=Path, help="JSON lines: read, then added to")
    parser.add_argument("--fills", action="store_true", help="the other ways to fill what is uncovered, too")
    parser.add_argument("--report", type=Path, nargs="+", help="only print the tables of these files")
    parser.add_argument(
        "--sheet", type=Path, help="a JPEG or PNG file with the pictures of the photos measured"
    )
    options = parser.parse_args(arguments)
    if options.report:
        print(report(read_rows(options.report)))
        return
    rows = read_rows([options.json]) if options.json else []
    bench, panels = Bench(options.cache, options.fills), []
    for seed in range(options.first, options.first + options.photos):
        for name in EDITS:
            if (seed, (), name) in {row_key(row) for row in rows}:
                continue
            row, pictures = bench.measured(seed, name)
            check_rows([*rows, row])
            rows.append(row)
            append_row(row, options.json)
            panels += pictures
            print(f"photo {seed}, {name}", file=sys.stderr, flush=True)
    if options.sheet and panels:
        save_sheet(contact_sheet(panels, columns=4), options.sheet)
    print(report(rows))


class Bench:
    """The generator, its directions, and what inverts and judges."""

    def __init__(self, cache: Path | None, fills: bool) -> None:
        self.fills = FILLS if fills else {FOLLOW: INPAINTED}
        self.generator, self.directions = load_generator("demo"), load_directions("demo")
        self.perceptual = load_perceptual_network("demo")
        self.inverter = Inverter(self.generator, LOSS, cache)

    def measured(self, seed: int, name: str) -> tuple[Row, list[tuple[str, Tensor]]]:
        """The figures of one edit of one photo; and photo, unmoved, followed and true picture."""
        direction, strength, segments, about = EDITS[name]
        subject = Subject.drawn(seed)
        inversion, _ = self.inverter.invert(ARM, subject)
        truth = true_photo(seed, direction, strength)
        present = tuple(one for one in segments if one in inversion.names)
        edited = inversion.with_edits(Edit(self.directions[direction], strength, present))
        labels = self.labels(edited, present[0])
        pictures = dict(self.pictures(edited, labels["followed"]))
        uncovered = uncovered_masks(self.generator, edited, labels["followed"])
        row = {
            "seed": seed,
            "extras": [],
            "arm": name,
            "spec": {"strength": strength, "segments": list(segments)},
            "settings": {
                **versions(self.generator),
                "arm": ARM.described(),
                "loss": LOSS.lpips_net,
                "fills": list(self.fills),
            },
            "masks": {way: overlaps(one, edited.names, truth, about) for way, one in labels.items()},
            "composites": {
                way: self.figures(picture, truth.image, subject.parts, uncovered) + [seconds]
                for way, (picture, seconds) in pictures.items()
            },
        }
        shown = [("unmoved masks", pictures["unmoved"][0]), ("masks follow", pictures[FOLLOW][0])]
        return row, [(f"photo {seed}", subject.photo.image), *shown, (f"{name}: truth", truth.image)]

    def labels(self, edited: Inversion, name: str) -> dict[str, Tensor]:
        """Of each pixel of the edited picture, [N+1,H,W]: where the masks were, along the flow, and as followed."""
        masks = edited.masks
        still = torch.cat([masks.masks, masks.static])
        index = edited.names.index(name)
        own = list(segment_generators(self.generator, edited))[index]
        segment = edited.segments[index]
        with torch.no_grad():
            plain, moved = (draw_segment(own, edited, segment, some) for some in ([], edited.edits))
        along = backward_warp(still.movedim(1, 0), optical_flow(moved, plain)).clamp(0, 1)[0]
        return {
            "unmoved": still[:, 0],
            "flow": along,
            "followed": transferred_labels(own, edited, segment, edited.edits),
        }

    def pictures(self, edited: Inversion, labels: Tensor) -> Iterator[tuple[str, tuple[Tensor, float]]]:
        """Composites by way, and process CPU seconds; those of the ways to fill are without finding the labels."""
        start = process_time()
        yield "unmoved", (composite(self.generator, edited, mode="as needed"), process_time() - start)
        for title, names in self.fills.items():
            start = process_time()
            with patch("chunky_core.compositing.uncovered.INPAINTED", names):
                picture = composite(self.generator, edited, mode="as needed", follow=lambda *_: labels)
            yield title, (picture, process_time() - start)

    def figures(
        self, picture: Tensor, truth: Tensor, old: SegmentMasks, uncovered: Sequence[Tensor]
    ) -> list[float]:
        """FIGURES but the last."""
        return [
            mse(picture, truth),
            lpips_distance(picture, truth, self.perceptual),
            *(mse(picture, truth, one) if one.any() else math.nan for one in uncovered),
            127.5 * seam_gradient_error(truth, picture, old, width=3),
        ]


def uncovered_masks(generator: Generator, edited: Inversion, labels: Tensor) -> list[Tensor]:
    """What is uncovered of the background, and of other parts, [1,1,H,W] each."""
    found = with_followed_masks(generator, edited, lambda *_: labels)
    masks = [torch.zeros_like(edited.static_mask) for _ in range(2)]
    for segment in found.inversion.segments:
        if segment.name in found.uncovered:
            masks[not segment.name.startswith("background")] += segment.mask
    return masks


def true_photo(seed: int, direction: str, strength: float) -> Photo:
    """The photo with the attribute changed, of a yaw by as much as the generator's people turn."""
    change = strength
    if direction == "yaw":
        row = demo_photo(seed, resolution=16).attributes[PARTS.index("skin"), INDEX["yaw"]]
        normal = torch.distributions.Normal(0.0, 1.0)
        before = 0.5 + BEYOND * (normal.cdf(row) - 0.5)  # the photo's turn, as a generator's person has it
        after = normal.cdf(normal.icdf(before.clamp(*YAW_BOUNDS)) + strength)
        change = float(normal.icdf((0.5 + (after - 0.5) / BEYOND).clamp(*YAW_BOUNDS)) - row)
    return demo_photo(seed, changes={direction: change})


def overlaps(labels: Tensor, names: Sequence[str], truth: Photo, about: str) -> list[float]:
    """IoU of the parts of a truth: the mean, the background's, and that of the part that the edit is about."""
    parts = segments_from_label_map(truth.labels, LABEL_NAMES, grow=4, feather=1.5, gaps="static")
    true_labels, found = parts.masks[:, 0].argmax(dim=0), labels.argmax(dim=0)
    by_name = {}
    for index, name in enumerate(parts.names):
        one = true_labels == index
        other = found == names.index(name) if name in names else torch.zeros_like(one)
        if one.any():
            by_name[name] = float((one & other).sum() / (one | other).sum())
    return [mean(by_name.values()), by_name["background"], by_name.get(about, 0.0)]


def report(rows: Sequence[Row]) -> str:
    """Two tables of medians over the photos."""
    edits = [name for name in EDITS if any(row["arm"] == name for row in rows)]
    masks, composites = [], []
    for name in edits:
        own = [row for row in rows if row["arm"] == name]
        masks += [
            [name, way, *(f"{median(row['masks'][way][k] for row in own):.3f}" for k in range(3))]
            for way in MASKS
        ]
        for way in own[0]["composites"]:
            figures = [known_median([row["composites"][way][k] for row in own]) for k in range(len(FIGURES))]
            composites.append([name, way, *figures])
    photos = len({row["seed"] for row in rows})
    return (
        f"IoU, {photos} photos\n\n{markdown(['edit', 'masks', 'all parts', 'background', 'its part'], masks)}\n\n"
        f"Composites\n\n{markdown(['edit', 'masks', *FIGURES], composites)}"
    )


def known_median(values: Sequence[float]) -> str:
    """Of those that are numbers, as text."""
    known = [one for one in values if not math.isnan(one)]
    return f"{median(known):.4f}" if known else "-"


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
