"""YuNet (Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector"), as OpenCV runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..checkpoints.containers.mapped_file import absent
from ..errors import MissingWeightsError, UnsupportedCheckpointError

FILE = "face_detection_yunet_2023mar.onnx"
SOURCE = (
    "from OpenCV's model zoo (opencv_zoo on GitHub, folder models/face_detection_yunet; 232589 bytes, MIT licence "
    "there; Apache-2.0 in libfacedetection.train, where it was trained)"
)
EXPECTED = f"expected YuNet, {FILE} {SOURCE}"
LEAST_SCORE, LARGEST_OVERLAP, MOST_FACES = 0.6, 0.3, 200
_MIRROR_PARTNERS = (1, 0, 2, 4, 3)  # of eye, eye, nose, mouth corner, mouth corner


class YuNet:
    """The detector of a file.

    Rows are float64 [n,15]: left, top, width, height of the face; x and y of the eye at the picture's left, the other
    eye, the nose, the mouth corner at the left, the other one; score in 0..1. In pixels, the corner of the picture is
    (0, 0).
    """

    def __init__(self, path: Path, advice: str) -> None:
        """Raises MissingWeightsError without a file, UnsupportedCheckpointError where OpenCV can't use it.

        advice: what to do, at the end of both.
        """
        import cv2

        if not path.is_file():
            raise MissingWeightsError(f"{absent(path)}; {EXPECTED}; {advice}")
        self._problem = (
            f"OpenCV {cv2.__version__} cannot use {path} ({path.stat().st_size} bytes) as a face detector; {EXPECTED}; "
            f"{advice}"
        )
        try:
            self._detector = cv2.FaceDetectorYN.create(
                str(path), "", (320, 320), LEAST_SCORE, LARGEST_OVERLAP, MOST_FACES
            )
        except (cv2.error, AttributeError) as error:
            raise UnsupportedCheckpointError(self._problem) from error

    def rows(self, pixels: np.ndarray) -> np.ndarray:
        """The faces in pixels, uint8 [h,w,3], BGR: of 10 to 300 pixels, upright or nearly so."""
        import cv2

        try:
            self._detector.setInputSize(pixels.shape[1::-1])
            found = self._detector.detect(np.ascontiguousarray(pixels))[1]
        except cv2.error as error:
            raise UnsupportedCheckpointError(self._problem) from error
        return np.zeros((0, 15)) if found is None else found.astype(np.float64)

    def mirrored_rows(self, pixels: np.ndarray) -> np.ndarray:
        """What it finds in the mirrored pixels, in coordinates of the pixels as they are."""
        return mirrored(self.rows(pixels[:, ::-1]), pixels.shape[1])


def mirrored(rows: np.ndarray, width: int) -> np.ndarray:
    """Rows of a picture of `width` pixels as of its mirror image: left and right change places."""
    result = rows.copy()
    result[:, 0] = width - rows[:, 0] - rows[:, 2]
    points = rows[:, 4:14].reshape(-1, 5, 2)[:, _MIRROR_PARTNERS]
    result[:, 4:14:2] = width - points[..., 0]
    result[:, 5:14:2] = points[..., 1]
    return result
