"""What the command line says of a photo's file that its pictures can't keep."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from chunky_core.cli.photo_file import note_dropped
from chunky_core.images import open_image

DEEP, ALPHA = (
    "has more than 8 bits per channel, the pictures are written with 8",
    "written without transparency",
)


def pixels(channels: int, alpha: int = 255, dtype: type = np.uint8) -> np.ndarray:
    made = np.full((8, 8, channels), 90, dtype)
    if channels == 4:
        made[..., 3] = np.iinfo(dtype).max
        made[:2, :2, 3] = alpha
    return made


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("plain.png", pixels(3), []),
        ("plain.jpg", pixels(3), []),
        ("opaque.png", pixels(4), []),
        ("see_through.png", pixels(4, 250), [ALPHA]),
        ("see_through.webp", pixels(4, 0), [ALPHA]),
        ("see_through.tif", pixels(4, 0), [ALPHA]),
        ("deep.png", pixels(3, dtype=np.uint16), [DEEP]),
        ("deep_gray.png", pixels(1, dtype=np.uint16), [DEEP]),
        ("deep.tif", pixels(3, dtype=np.uint16), [DEEP]),
        ("both.png", pixels(4, 0, np.uint16), [DEEP, ALPHA]),
    ],
)
def test_what_is_dropped_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: np.ndarray, said: list[str]
) -> None:
    assert cv2.imwrite(str(tmp_path / name), content)
    note_dropped(open_image(tmp_path / name))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(said)
    assert all(name in line and part in line for line, part in zip(lines, said, strict=True))
