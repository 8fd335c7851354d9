"""Sheets of what peers and ours made of the photos, from the folder of `python -m benchmarks.peers --pictures`.

    python -m benchmarks.peers.pictures FOLDER [--out docs/images]

peers.jpg: the whole picture, a photo in each row (after P1 = Futschik et al. 2021, fig. 8). peers_segments.jpg: one
segment alone laid over the photo, and tuned (P1 fig. 3). Columns of which a picture is missing are left out visibly.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from benchmarks.lone_cases import Case, lone_case
from benchmarks.sheets import save_sheet
from chunky_core.boxes import Box
from chunky_core.images import load_image
from chunky_core.segments import mask_box
from chunky_core.visualization.sheets import contact_sheet

from .subjects import SUBJECTS, picture_name

SIDE = 128  # pixels of one picture
WHOLE = (
    "one code, W+",
    "official projector, W+",
    "Pivotal Tuning",
    "Chunkmogrify, W+",
    "ours, draft",
    "ours, good",
    "ours, best",
)
ALONE = (
    "Chunkmogrify, W",
    "Chunkmogrify, W, tuned",
    "Chunkmogrify, W+",
    "ours, W+",
    "ours, draft",
    "ours, good",
    "ours, best",
)
TITLES = {
    "one code, W+": "one code W+",
    "official projector, W+": "official W+",
    "Chunkmogrify, W": "Chunkm. W",
    "Chunkmogrify, W, tuned": "Chunkm. tuned",
    "Chunkmogrify, W+": "Chunkm. W+",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    cases = [lone_case(seed, part, "hard") for seed, part in SUBJECTS.items()]
    save_sheet(whole_sheet(options.folder, cases), options.out / "peers.jpg")
    save_sheet(alone_sheet(options.folder, cases), options.out / "peers_segments.jpg")


def whole_sheet(folder: Path, cases: Sequence[Case]) -> Tensor:
    arms = complete(folder, WHOLE, [(case.seed, "whole") for case in cases])
    panels = []
    for case in cases:
        panels.append(("photo", small(case.photo)))
        panels += [(title(arm), small(drawn(folder, case.seed, "whole", arm))) for arm in arms]
    return contact_sheet(panels, columns=len(arms) + 1)


def alone_sheet(folder: Path, cases: Sequence[Case]) -> Tensor:
    arms = complete(folder, ALONE, [(case.seed, case.part) for case in cases])
    panels = []
    for case in cases:
        window, mask = square_around(case.segments.masks), case.segments.masks
        panels.append((case.part, small(cut(case.photo, window))))
        for arm in arms:
            picture = case.photo + mask * (drawn(folder, case.seed, case.part, arm) - case.photo)
            panels.append((title(arm), small(cut(picture, window))))
    return contact_sheet(panels, columns=len(arms) + 1)


def complete(folder: Path, arms: Sequence[str], subjects: Sequence[tuple[int, str]]) -> list[str]:
    """The arms that have a picture of each subject."""
    found = []
    for arm in arms:
        missing = [subject for subject in subjects if not (folder / picture_name(*subject, arm)).exists()]
        if missing:
            print(f"{arm} is left out: no picture of {missing[0]}", file=sys.stderr)
        else:
            found.append(arm)
    return found


def drawn(folder: Path, seed: int, part: str, arm: str) -> Tensor:
    return load_image(folder / picture_name(seed, part, arm))


def title(arm: str) -> str:
    return TITLES.get(arm, arm.replace(", ", " "))


def square_around(mask: Tensor) -> Box:
    """A square that holds the mask, with some room, inside the picture."""
    box, size = mask_box(mask), mask.shape[-1]
    side = min(size, round(1.3 * max(box.height, box.width)))
    top, left = (
        min(max((low + high - side) // 2, 0), size - side)
        for low, high in ((box.top, box.bottom), (box.left, box.right))
    )
    return Box(top, left, top + side, left + side)


def cut(image: Tensor, box: Box) -> Tensor:
    return image[..., box.top : box.bottom, box.left : box.right]


def small(image: Tensor) -> Tensor:
    return interpolate(image, size=(SIDE, SIDE), mode="bilinear", antialias=True).clamp(-1, 1)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
