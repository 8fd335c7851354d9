"""An average face's mesh at the eyes and the mouth of a face of which no more is known."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from ..checks import check_type
from ..errors import InvalidInputError
from ..segments.face_mesh.landmarks import FaceLandmarks
from ..segments.face_mesh.regions import MOUTH_CORNERS
from .face_points import FacePoints, mean_point
from .faces import Face

# MediaPipe's mesh [478,2] with a closed and with an open mouth: the means over 11 and 10 faces of public photos and
# their mirror images, by MediaPipe 0.10.21, the closed lips made to touch. The eyes' centers are (-.5, 0) and (.5, 0),
# the middle between the corners of the mouth is (0, 1).
AVERAGE = Path(__file__).with_name("average_face.json")
ESTIMATED = "estimated"  # the key of FACE_LANDMARKS that says so


def average_landmarks(face: Face) -> FaceLandmarks:
    """The mesh of an average face, brought to a face's eyes and mouth, for `segment_face` where nothing has found the
    face's own.

    A wide mouth is taken for an open one (it smiles). `data["estimated"]` is True. On the four labeled photos of
    CelebAMask-HQ's repository, segments by it agree with the labels to IoU .69 (eyes), .74 (lips with mouth), .73
    (nose), .49 (brows), .78 (skin with all of these); by YuNet's points to .46, .67, .72, .45, .79: let them grow; by
    the face's own mesh to .80, .87, .76, .64, .81. The parts of an open mouth are told apart badly: merge upper_lip,
    lower_lip and mouth. Raises InvalidInputError for a face without points.
    """
    check_type(face, "the face", Face, "choose_face gives one of those that detect_faces finds")
    if face.points is None:
        raise InvalidInputError(
            "only the face's rectangle is known, which tells nothing of eyes and mouth; give a face that has points: "
            "one of detect_faces, or Face(points.rectangle(), points) with points = FacePoints(eyes, mouth_corners)"
        )
    across, down = _upright_axes(face.points)
    frame = torch.tensor([across, down], dtype=torch.float64)
    corners = torch.tensor(face.points.mouth, dtype=torch.float64)
    width = torch.linalg.solve(frame.T, corners[1] - corners[0]).norm()
    middle = torch.tensor(mean_point(face.points.eyes), dtype=torch.float64)
    return FaceLandmarks(
        middle + _mesh(float(width)) @ frame, face.score, {"score": face.score, ESTIMATED: True}
    )


def _mesh(mouth_width: float) -> Tensor:
    """[478,2], between the closed mouth and the open one by the mouth's width."""
    shapes = json.loads(AVERAGE.read_text(encoding="utf-8"))
    closed, opened = (torch.tensor(shapes[name], dtype=torch.float64) for name in ("closed", "open"))
    narrow, wide = (float((one[MOUTH_CORNERS[1]] - one[MOUTH_CORNERS[0]]).norm()) for one in (closed, opened))
    share = min(max((mouth_width - narrow) / (wide - narrow), 0.0), 1.0)
    return closed + share * (opened - closed)


def _upright_axes(points: FacePoints) -> tuple[tuple[float, float], tuple[float, float]]:
    """From the person's right eye to the left one, and from between the eyes to the mouth."""
    (ex, ey), (mx, my) = points.axes()
    return ((ex, ey) if ex * my - ey * mx > 0 else (-ex, -ey)), (mx, my)
