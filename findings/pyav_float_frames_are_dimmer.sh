#!/usr/bin/env bash
# av 18.1.0, pillow 12.0.0, numpy 2.2.6
# PyAV (FFmpeg's swscale) turns pictures of 8 bits into floats (format "gbrpf32le") by way of 16 bits that are shifted and
# not scaled: white becomes 65280 / 65535 = 0.9961 and level v becomes about v / 255.996, for grey and for RGB. A loader that
# decodes grey PNGs so, as ComfyUI's does with everything that isn't RGB, makes each a little darker: level 1 of a label map is
# 0.996 of 255, white 254.008, and no level but 0 is whole. The format "rgb24" keeps the levels.
# Seen: levels 1, 128, 255 become 0.996, 127.502, 254.008 (grey) and 0.996, 127.498, 254.019 (RGB); by rgb24 1, 128, 255.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 pillow==12.0.0 numpy==2.2.6
"$folder/env/bin/python" - <<'PYTHON'
import io

import av
import numpy as np
from PIL import Image

levels = np.repeat(np.arange(256, dtype=np.uint8)[None], 64, 0)
found, kept = {}, {}
for mode in ("L", "RGB"):
    file = io.BytesIO()
    Image.fromarray(levels).convert(mode).save(file, "PNG")
    file.seek(0)
    with av.open(file) as container:
        frame = next(container.decode(video=0))
        found[mode] = frame.to_ndarray(format="gbrpf32le")[0, :, 0].astype(float)
        kept[mode] = frame.to_ndarray(format="rgb24")[0, :, 0]
        print(f"PyAV {av.__version__}, {mode} ({frame.format.name}): levels 1, 128, 255 of 255 become", *(found[mode][[1, 128, 255]] * 255).round(3))
assert np.abs(found["L"] * 65535 / 256 - np.arange(256)).max() < 1e-2 and abs(found["L"][255] - 65280 / 65535) < 1e-6
assert np.abs(found["RGB"] * 65535 / 256 - np.arange(256)).max() < 5e-2 and found["RGB"][255] < 0.9963
assert (kept["L"] == np.arange(256)).all() and (kept["RGB"] == np.arange(256)).all()
PYTHON
