#!/usr/bin/env bash
# opencv-python-headless 5.0.0.93, numpy 2.2.6
# cv2.seamlessClone writes into the mask that it is given if that mask has one channel: only a rim three pixels wide is
# left of it, even where the array is marked read-only. A second call with the same mask therefore gives another
# picture. A mask of three channels stays as it is.
# Seen: mask of 2000 pixels -> 504; the second picture differs from the first; three channels: 2000 -> 2000.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check opencv-python-headless==5.0.0.93 numpy==2.2.6
"$folder/env/bin/python" - <<'PYTHON'
import cv2
import numpy as np

rng = np.random.default_rng(0)
source, target = (rng.integers(0, 256, (120, 120, 3), np.uint8) for _ in range(2))
mask = np.zeros((120, 120), np.uint8)
mask[40:80, 35:85] = 255
three = np.repeat(mask[..., None], 3, 2)
mask.flags.writeable = False


def clone(region):
    return cv2.seamlessClone(source, target, region, (60, 60), cv2.NORMAL_CLONE)


first = clone(mask)
left = int((mask > 0).sum())
second = clone(mask)
again = clone(three)
print(f"OpenCV {cv2.__version__}: mask of 2000 pixels -> {left}, three channels -> {int((three[..., 0] > 0).sum())}")
print(f"second picture equal to the first: {bool((first == second).all())}; by three channels: {bool((first == again).all())}")
assert left == 504 and (three[..., 0] > 0).sum() == 2000
assert (first != second).any() and (first == again).all()
PYTHON
