"""Labels that data sets and face parsers number in a fixed order."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ...images import Color
from .tables import LabelTable

CELEBAMASK = "CelebAMask-HQ"
BISENET = "BiSeNet"
SEGFORMER = "SegFormer face parsing"
PASCAL_VOC = "PASCAL VOC"
VOID = 255  # of pixels that belong to no area, in PASCAL VOC and in tools that follow it
VOID_COLOR: Color = (224, 224, 192)  # voc_color(VOID)

# switchablenorms/CelebAMask-HQ, face_parsing/Data_preprocessing/g_mask.py: also the order in which parts are laid over
# one another; left and right are the person's
CELEBAMASK_NAMES = (
    *("background", "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear", "mouth", "u_lip"),
    *("l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth"),
)  # fmt: skip
_CELEBAMASK_COLORS = (  # g_color.py there
    *("000000", "cc0000", "4c9900", "cccc00", "3333ff", "cc00cc", "00ffff", "ffcccc", "663300", "ff0000", "66cc00"),
    *("ffff00", "000099", "0000cc", "ff3399", "00cccc", "003300", "ff9933", "00cc00"),
)  # fmt: skip
# zllrunning/face-parsing.PyTorch, prepropess_data.py
BISENET_NAMES = (
    *("background", "skin", "l_brow", "r_brow", "l_eye", "r_eye", "eye_g", "l_ear", "r_ear", "ear_r", "nose", "mouth"),
    *("u_lip", "l_lip", "neck", "neck_l", "cloth", "hair", "hat"),
)  # fmt: skip
# the development kit of 2012, VOCinit.m
VOC_NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)  # fmt: skip


def voc_color(label: int) -> Color:
    """The color that PASCAL VOC, LabelMe and Datumaro show a label 0..255 in (VOCcode/VOClabelcolormap.m)."""
    bits = [
        sum((label >> 3 * place + channel & 1) << 7 - place for place in range(3)) for channel in range(3)
    ]
    return bits[0], bits[1], bits[2]


def _rgb(digits: str) -> Color:
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


VOC_COLORS = {label: voc_color(label) for label in range(256)}
CELEBAMASK_COLORS = {label: _rgb(digits) for label, digits in enumerate(_CELEBAMASK_COLORS)}


def numbered(
    origin: str,
    names: Mapping[int, str],
    ignored: Collection[int] = (),
    colors: Mapping[int, Color] | None = None,
) -> LabelTable:
    """A table of numbers. ignored: those of pixels that belong to no area, unless they have a name. colors: in which
    pictures show the numbers, if they do.
    """
    void = frozenset(ignored) - set(names)
    shown = {colors[label]: label for label in (*names, *void) if label in colors} if colors else {}
    return LabelTable(origin, numbers=dict(names), shown=shown, void=void, add=_range(names))


def _range(names: Collection[int]) -> str:
    return f"it has {len(names)}, {min(names)} to {max(names)}: choose the names that belong to this picture"


def _preset(name: str, names: Sequence[str], **options: Any) -> LabelTable:
    return numbered(f"the preset {name}", dict(enumerate(names)), **options)


LABEL_PRESETS: dict[str, LabelTable] = {
    CELEBAMASK: _preset(CELEBAMASK, CELEBAMASK_NAMES, colors=CELEBAMASK_COLORS),
    BISENET: _preset(BISENET, BISENET_NAMES),
    SEGFORMER: _preset(SEGFORMER, CELEBAMASK_NAMES),  # the order of jonathandinu/face-parsing, config.json
    PASCAL_VOC: _preset(PASCAL_VOC, VOC_NAMES, ignored=(VOID,), colors=VOC_COLORS),
}
_SHORT = {
    **{"celebamask": CELEBAMASK, "celeba": CELEBAMASK, "celebamaskhq": CELEBAMASK, "bisenet": BISENET},
    **{"segformer": SEGFORMER, "segformerfaceparsing": SEGFORMER, "voc": PASCAL_VOC, "pascalvoc": PASCAL_VOC},
    "pascal": PASCAL_VOC,
}


def label_preset(name: str) -> LabelTable | None:
    """The preset of a name in any case, also short: "celebamask", "bisenet", "segformer", "voc". None = unknown."""
    return LABEL_PRESETS.get(_SHORT.get(re.sub(r"[\W_]+", "", name.casefold()), ""))
