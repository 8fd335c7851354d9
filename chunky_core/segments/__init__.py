"""Photo -> soft masks: segments that add up to one with a static rest, and the blend of what is drawn for them.

Made from masks, label maps, images of named colors, strokes or a face parser; edited by name; moved by a level set.
"""

from __future__ import annotations

from ..deprecated import old_modules, old_names
from .blend import blend
from .edit_segments import (
    add_segment,
    feather_segments,
    fill_holes,
    grow_segments,
    keep_largest_parts,
    merge_segments,
    remove_segments,
    rename_segment,
    shrink_segments,
    smooth_segments,
)
from .label_files.named_labels import NamedLabels
from .label_files.presets import LABEL_PRESETS
from .label_files.reading import read_named_labels
from .label_images import Palette, labels_from_colors, palette_of, parse_palette
from .label_names import parse_renames, renamed_labels, renamed_masks, split_names
from .level_set import boundary_speed, evolve, feature_speed, refine_segments
from .masks import mask_box
from .names import resolve_names
from .partition import segments_from_label_map, segments_from_masks
from .relayer import relayer
from .segment_masks import SegmentMasks, single_segment
from .symmetry import mirror_segments

__all__ = [
    "LABEL_PRESETS",
    "NamedLabels",
    "Palette",
    "SegmentMasks",
    "add_segment",
    "blend",
    "boundary_speed",
    "evolve",
    "feather_segments",
    "feature_speed",
    "fill_holes",
    "grow_segments",
    "keep_largest_parts",
    "labels_from_colors",
    "mask_box",
    "merge_segments",
    "mirror_segments",
    "palette_of",
    "parse_palette",
    "parse_renames",
    "read_named_labels",
    "refine_segments",
    "relayer",
    "remove_segments",
    "rename_segment",
    "renamed_labels",
    "renamed_masks",
    "resolve_names",
    "segments_from_label_map",
    "segments_from_masks",
    "shrink_segments",
    "single_segment",
    "smooth_segments",
    "split_names",
]
__path__.append(old_modules("segments"))
__getattr__ = old_names(__name__)
