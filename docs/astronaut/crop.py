"""Cut the face out of scikit-image's public-domain portrait of Eileen Collins, as the demo generator frames a face.

    python docs/astronaut/crop.py PHOTO.png

The label map labels.png beside this file was drawn roughly, by hand, on exactly this crop.
"""

from __future__ import annotations

import sys

import cv2
from skimage import data

from chunky_core.images import from_uint8, save_image

LEFT, TOP, SIDE = 146, 33, 158  # eyes and mouth fall where the demo portraits have them
RESOLUTION = 256


def main() -> None:
    face = data.astronaut()[TOP : TOP + SIDE, LEFT : LEFT + SIDE]
    save_image(
        sys.argv[1], from_uint8(cv2.resize(face, (RESOLUTION, RESOLUTION), interpolation=cv2.INTER_CUBIC))
    )


if __name__ == "__main__":
    main()
