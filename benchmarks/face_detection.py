"""How well faces are found and measured in turned photos, against dlib's 68 landmarks of the upright ones.

    python benchmarks/face_detection.py --model face_detection_yunet_2023mar.onnx --json rows.jsonl PHOTO...

Needs dlib and face_recognition_models (pip: dlib-bin, face-recognition-models). Faces count that dlib finds with a
score of 1 and of which the eyes lie 60 pixels apart. Each photo is turned about its middle, on a larger grey canvas.
One line per face and angle goes to --json; the summary has the figures of docs/alignment.md.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from chunky_core.alignment import detect_faces, ffhq_quad
from chunky_core.alignment.face_points import FacePoints, points_from_landmarks
from chunky_core.alignment.faces import Face
from chunky_core.images import from_uint8, load_image, to_uint8

ANGLES = (0, 15, 30, 90, 135, 180)  # degrees clockwise
SAME = 0.3  # of a crop's side between the middles of two crops of one face


def main() -> None:
    options = _options()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    landmarks = _Landmarks()
    rows: list[dict[str, Any]] = []
    for path in options.photos:
        photo = load_image(path)
        known = landmarks.of(to_uint8(photo)[0].numpy())
        for angle in options.angles:
            rows += measured("/".join(path.parts[-2:]), photo, known, angle, options.model)
            if options.json:
                options.json.write_text("".join(json.dumps(row) + "\n" for row in rows))
    summarize(rows)


def measured(
    name: str, photo: torch.Tensor, known: list[np.ndarray], angle: float, model: Path
) -> list[dict]:
    """A row per known face (68 landmarks each): its errors, or that it was missed."""
    turned, turn, shift = rotated(to_uint8(photo)[0].numpy(), angle)
    started = time.process_time()
    found = detect_faces(from_uint8(turned), model=model)
    seconds = time.process_time() - started
    rows = []
    for landmarks in known:
        row: dict[str, Any] = {"photo": name, "angle": angle, "seconds": seconds, "faces": len(found)}
        truth = _face(points_from_landmarks([tuple(p) for p in landmarks @ turn.T + shift]))
        rows.append(row | compared(truth, found))
    return rows


def compared(truth: Face, found: tuple[Face, ...]) -> dict[str, Any]:
    """Errors of the found face that is nearest: tilt in degrees, shift and scale in shares of the crop's side."""
    middle, side = _middle_and_side(truth)
    near = [(math.dist(_middle_and_side(face)[0], middle) / side, face) for face in found]
    distance, face = min(near, key=lambda pair: pair[0], default=(math.inf, truth))
    if distance > SAME:
        return {"missed": True}
    tilt = (face.tilt - truth.tilt + 180) % 360 - 180
    return {
        "missed": False,
        "tilt": tilt,
        "shift": distance,
        "scale": _middle_and_side(face)[1] / side - 1,
        "score": face.score,
    }


def rotated(pixels: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The picture turned clockwise, and the turn [2,2] and shift [2] that its points go through."""
    height, width = pixels.shape[:2]
    if degrees == 0:
        return pixels, np.eye(2), np.zeros(2)
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = np.array([[c, -s], [s, c]])
    size = [math.ceil(side - 1e-6) for side in np.abs(turn) @ (width, height)]
    shift = np.array(size) / 2 - turn @ (width / 2, height / 2)
    matrix = np.column_stack([turn, shift + turn @ (0.5, 0.5) - 0.5])
    return cv2.warpAffine(pixels, matrix, size, borderValue=(127, 127, 127)), turn, shift


def summarize(rows: list[dict[str, Any]]) -> None:
    hits = [row for row in rows if not row["missed"]]
    tilts = np.abs([row["tilt"] for row in hits])
    photos = len({row["photo"] for row in rows})
    print(f"{photos} photos, {len(rows)} faces in all angles, {len(rows) - len(hits)} missed")
    middle, most = np.quantile(tilts, (0.5, 0.9))
    print(f"tilt error: median {middle:.2f}, 90th percentile {most:.2f}, worst {tilts.max():.2f} degrees")
    for name in ("shift", "scale"):
        values = np.abs([row[name] for row in hits])
        print(f"{name}: median {np.median(values):.1%}, 90th percentile {np.quantile(values, 0.9):.1%}")
    seconds, score = np.mean([row["seconds"] for row in rows]), min(row["score"] for row in hits)
    print(f"CPU time per photo: {seconds:.2f} s; lowest score {score:.2f}")
    for row in sorted(hits, key=lambda row: -abs(row["tilt"]))[:5]:
        print(f"  {row['photo']} at {row['angle']}: {row['tilt']:+.2f}")


class _Landmarks:
    """dlib's detector of faces and its 68 landmarks."""

    def __init__(self) -> None:
        import dlib
        import face_recognition_models

        self.find = dlib.get_frontal_face_detector()
        self.shape = dlib.shape_predictor(face_recognition_models.pose_predictor_model_location())

    def of(self, pixels: np.ndarray) -> list[np.ndarray]:
        """[68,2] of each face of uint8 RGB pixels that counts."""
        boxes, scores, _ = self.find.run(pixels, int(max(pixels.shape) < 1300), 1.0)
        faces = [np.array([(p.x + 0.5, p.y + 0.5) for p in self.shape(pixels, box).parts()]) for box in boxes]
        return [face for face in faces if math.dist(face[36:42].mean(0), face[42:48].mean(0)) >= 60]


def _face(points: FacePoints) -> Face:
    return Face(points.rectangle(), points)


def _middle_and_side(face: Face) -> tuple[list[float], float]:
    assert face.points is not None
    quad = ffhq_quad(face.points)
    return [float(number) for number in np.mean(quad, axis=0)], math.dist(quad[0], quad[1])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="the YuNet file")
    parser.add_argument("--angles", nargs="+", type=float, default=ANGLES)
    parser.add_argument("--json", type=Path, help="a row for each face")
    return parser.parse_args()


if __name__ == "__main__":
    main()
