#!/usr/bin/env bash
# scikit-image 0.26.0, numpy 2.2.6
# skimage.segmentation.chan_vese gives a boolean segmentation whose True side isn't the bright one, the dark one, the
# smaller one or the object: it is the side on which the initial level set was positive. The same picture and its
# negative give the same True side; turning the sign of the initial level set swaps it.
# Seen: with a start that is positive inside the disc, True is the disc for a bright and for a dark one (100 %); with that
# start times -1 it is everything else (0 %).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check scikit-image==0.26.0 numpy==2.2.6
"$folder/env/bin/python" - <<'PYTHON'
import numpy as np
import skimage
from skimage.segmentation import chan_vese

y, x = np.mgrid[:64, :64] - 31.5
disc = np.hypot(x, y) < 16
start = 20 - np.hypot(x, y)
found = {}
for name, picture in (("bright disc", disc * 1.0), ("dark disc", 1.0 - disc)):
    for sign in (1, -1):
        inside = chan_vese(picture, mu=0.1, max_num_iter=200, init_level_set=sign * start)
        agrees = (inside == disc).mean()
        found[name, sign] = agrees
        print(f"scikit-image {skimage.__version__}, {name}, start times {sign:+d}: True is the disc at {agrees:.0%} of the pixels")
assert all(share > 0.95 if sign > 0 else share < 0.05 for (_, sign), share in found.items()), found
PYTHON
