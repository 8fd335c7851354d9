"""Which points of MediaPipe's face mesh (478, or 468 without irises) go round which part of a face.

Left and right are the person's. MediaPipe itself lists the edges of the oval, the eyes and the lips as closed rings, of
the brows and the nose as open lines; the rings of these two are the project's own. All run along edges of the mesh, but
across the corners of the lips.
"""

from __future__ import annotations

OVAL = (
    *(10, 109, 67, 103, 54, 21, 162, 127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148),
    *(152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 356, 389, 251, 284, 332, 297, 338),
)
RINGS: dict[str, tuple[int, ...]] = {
    "left_eye": (249, 263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390),
    "right_eye": (7, 33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163),
    "left_brow": (276, 283, 282, 295, 285, 336, 296, 334, 293, 300),
    "right_brow": (46, 53, 52, 65, 55, 107, 66, 105, 63, 70),
    "nose": (
        *(168, 193, 245, 188, 174, 217, 126, 142, 129, 98, 97, 2),
        *(326, 327, 358, 371, 355, 437, 399, 412, 465, 417),
    ),
    "upper_lip": (
        *(61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291),
        *(308, 415, 310, 311, 312, 13, 82, 81, 80, 191, 78),
    ),
    "lower_lip": (
        *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291),
        *(308, 324, 318, 402, 317, 14, 87, 178, 88, 95, 78),
    ),
    "mouth": (13, 82, 81, 80, 191, 78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312),
}
IRISES: dict[str, tuple[int, ...]] = {  # the center, then four points of the rim
    "left_iris": (473, 474, 475, 476, 477),
    "right_iris": (468, 469, 470, 471, 472),
}
EYES = {"left_iris": "left_eye", "right_iris": "right_eye"}
REGIONS = ("skin", *RINGS, *IRISES)  # in the order of the segments
MESH_SIZES = (468, 478)

# Eye centers and mouth corners by which FFHQ's frame is met best (shift .3 % of its side, tilt .4 degrees against
# dlib's 68 points, for which it was made); centers of irises follow the gaze and miss it by twice as much.
RIGHT_EYE_CENTER = (33, 160, 158, 133, 153, 144)
LEFT_EYE_CENTER = (362, 385, 387, 263, 373, 380)
MOUTH_CORNERS = (61, 291)
