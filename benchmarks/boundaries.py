"""Level set and Poisson compositing against what others do, in one report (Markdown).

    python benchmarks/boundaries.py [--size 1024] [--rounds 5]

The level set in a narrow band against the authors' plain iteration over the whole picture (benchmarks/level_set.py);
the Poisson composite against scipy's direct solver and OpenCV's seamlessClone (benchmarks/poisson.py).
"""

from __future__ import annotations

import argparse

import cv2
import level_set
import poisson
import torch
from timing import markdown


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="of the Poisson composite")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    print("## Level set: a disc grows\n")
    print(markdown(level_set.COLUMNS, [level_set.row(options.size, options.rounds)]), flush=True)
    print(f"\n## Poisson: a disc of {poisson.AREA:.0%}\n")
    print(markdown(poisson.COLUMNS, [poisson.row(options.size, options.rounds, options.device)]))


if __name__ == "__main__":
    main()
