"""Sheets of pictures as files for the documentation."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
from torch import Tensor

from chunky_core.images import to_uint8


def save_sheet(sheet: Tensor, path: Path) -> None:
    """The sheet [1,3,H,W] as a JPEG or PNG file, by its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = cv2.cvtColor(to_uint8(sheet)[0].numpy(), cv2.COLOR_RGB2BGR)
    if not cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, 90]):
        sys.exit(f"{path} could not be written; give a .jpg or .png file in a folder that can be written to")
