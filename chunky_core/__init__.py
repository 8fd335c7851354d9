"""Segment-wise projection of photos into a StyleGAN (chunky inversion) and local editing: `import chunky_core as cg`.

Everything a script needs is offered here and imported on first use, so that importing the package stays cheap. Public
functions take a generator first, then an inversion or an image, then masks, then options; of two images the photo comes
first, then the rendering; what is saved comes before its path. Images are [B,3,H,W] in [-1,1]; one mask is [H,W] or
[1,1,H,W], several are [N,1,H,W], in [0,1] with 1 = inside. Bad input raises a `ChunkyError` of `errors`, a ValueError.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import errors
    from .alignment import (
        Face,
        align,
        average_landmarks,
        choose_face,
        detect_faces,
        faces_from_landmarks,
        landmarks_in_crop,
        paste_back,
    )
    from .callbacks import Callback
    from .checkpoints import load_generator, save_generator
    from .compositing import (
        Renderings,
        composite,
        composite_series,
        fill_region,
        harmonize,
        poisson_blend,
        refine_boundaries,
        render,
    )
    from .compositing.generated_labels import mask_follower
    from .compositing.incremental import append_step, next_photo, replay
    from .editing import (
        change_edits,
        describe_edits,
        edit,
        load_directions,
        parse_edit,
        parse_strengths,
        save_directions,
        strength_series,
    )
    from .editing.channels import ChannelSearchConfig, SegmentChannel, channel_direction, segment_channels
    from .editing.discovery import (
        codes_of_inversions,
        codes_of_pictures,
        direction_from_groups,
        direction_from_scores,
        feature_directions,
        ganspace_directions,
        scored_samples,
        sefa_directions,
    )
    from .editing.scorers import load_scorer
    from .encoders.encoder import Encoder, load_encoder
    from .encoders.masked_encoder import MaskedEncoder, load_masked_encoder, save_masked_encoder
    from .encoders.training import EncoderTrainingConfig, train_masked_encoder
    from .evaluation import metrics
    from .evaluation.calibration import CalibrationConfig, calibrate
    from .generator.generator import Generator
    from .generator.sampling import sample
    from .generator.spaces import Direction, LatentCode
    from .images import load_image, read_label_map, read_mask, save_image, save_label_map
    from .inversion import (
        PRESETS,
        Edit,
        Inversion,
        ProjectionConfig,
        SegmentCode,
        SegmentFit,
        StopProjection,
        TuningConfig,
        fit_mask_code,
        fit_report,
        inversion_from_code,
        load_inversion,
        load_latent,
        project,
        project_preset,
        save_inversion,
        tune,
    )
    from .inversion.automatic_masks import PhotoMasks, masks_of_photo
    from .inversion.encoded import inversion_from_encoder
    from .losses import LossConfig
    from .segments import (
        LABEL_PRESETS,
        NamedLabels,
        SegmentMasks,
        read_named_labels,
        segments_from_label_map,
        segments_from_masks,
        single_segment,
    )
    from .segments.face_mesh import read_face_landmarks, segment_face
    from .segments.mask_generator import (
        MaskGenerator,
        MaskTrainingConfig,
        StopTraining,
        labels_from_exemplar,
        load_mask_generator,
        save_mask_generator,
        train_mask_generator,
    )
    from .visualization.curves import plot_losses
    from .visualization.direction_sheet import direction_sheet

__version__ = "0.1.0"  # and in pyproject.toml
__all__ = [
    "LABEL_PRESETS",
    "PRESETS",
    "CalibrationConfig",
    "Callback",
    "ChannelSearchConfig",
    "Direction",
    "Edit",
    "Encoder",
    "EncoderTrainingConfig",
    "Face",
    "Generator",
    "Inversion",
    "LatentCode",
    "LossConfig",
    "MaskedEncoder",
    "MaskGenerator",
    "MaskTrainingConfig",
    "NamedLabels",
    "PhotoMasks",
    "ProjectionConfig",
    "Renderings",
    "SegmentChannel",
    "SegmentCode",
    "SegmentFit",
    "SegmentMasks",
    "StopProjection",
    "StopTraining",
    "TuningConfig",
    "__version__",
    "align",
    "append_step",
    "average_landmarks",
    "calibrate",
    "channel_direction",
    "change_edits",
    "choose_face",
    "codes_of_inversions",
    "codes_of_pictures",
    "composite",
    "composite_series",
    "describe_edits",
    "detect_faces",
    "direction_from_groups",
    "direction_from_scores",
    "direction_sheet",
    "edit",
    "errors",
    "faces_from_landmarks",
    "feature_directions",
    "fill_region",
    "fit_mask_code",
    "fit_report",
    "harmonize",
    "ganspace_directions",
    "inversion_from_code",
    "labels_from_exemplar",
    "landmarks_in_crop",
    "load_directions",
    "inversion_from_encoder",
    "load_encoder",
    "load_generator",
    "load_image",
    "load_inversion",
    "load_latent",
    "load_masked_encoder",
    "load_mask_generator",
    "load_scorer",
    "mask_follower",
    "masks_of_photo",
    "metrics",
    "next_photo",
    "parse_edit",
    "parse_strengths",
    "paste_back",
    "plot_losses",
    "poisson_blend",
    "project",
    "project_preset",
    "read_face_landmarks",
    "read_label_map",
    "read_mask",
    "read_named_labels",
    "refine_boundaries",
    "render",
    "replay",
    "sample",
    "save_directions",
    "save_generator",
    "save_image",
    "save_inversion",
    "save_label_map",
    "save_masked_encoder",
    "save_mask_generator",
    "segment_channels",
    "scored_samples",
    "sefa_directions",
    "segment_face",
    "segments_from_label_map",
    "segments_from_masks",
    "single_segment",
    "strength_series",
    "train_masked_encoder",
    "train_mask_generator",
    "tune",
]
_ROOMS = {  # where names come from; as above, for those who run it
    "": ("errors",),
    "alignment": (
        *("Face", "align", "average_landmarks", "choose_face", "detect_faces", "faces_from_landmarks"),
        *("landmarks_in_crop", "paste_back"),
    ),
    "callbacks": ("Callback",),
    "checkpoints": ("load_generator", "save_generator"),
    "compositing": (
        *("Renderings", "composite", "composite_series", "fill_region", "harmonize", "poisson_blend"),
        *("refine_boundaries", "render"),
    ),
    "compositing.generated_labels": ("mask_follower",),
    "compositing.incremental": ("append_step", "next_photo", "replay"),
    "editing": (
        *("change_edits", "describe_edits", "edit", "load_directions", "parse_edit", "parse_strengths"),
        *("save_directions", "strength_series"),
    ),
    "editing.discovery": (
        *("codes_of_inversions", "codes_of_pictures", "direction_from_groups", "direction_from_scores"),
        *("feature_directions", "ganspace_directions", "scored_samples", "sefa_directions"),
    ),
    "editing.scorers": ("load_scorer",),
    "editing.channels": ("ChannelSearchConfig", "SegmentChannel", "channel_direction", "segment_channels"),
    "inversion.encoded": ("inversion_from_encoder",),
    "encoders.encoder": ("Encoder", "load_encoder"),
    "encoders.masked_encoder": ("MaskedEncoder", "load_masked_encoder", "save_masked_encoder"),
    "encoders.training": ("EncoderTrainingConfig", "train_masked_encoder"),
    "evaluation": ("metrics",),
    "evaluation.calibration": ("CalibrationConfig", "calibrate"),
    "generator.generator": ("Generator",),
    "generator.sampling": ("sample",),
    "generator.spaces": ("Direction", "LatentCode"),
    "images": ("load_image", "read_label_map", "read_mask", "save_image", "save_label_map"),
    "inversion": (
        *(
            "PRESETS",
            "Edit",
            "Inversion",
            "ProjectionConfig",
            "SegmentCode",
            "SegmentFit",
            "StopProjection",
            "TuningConfig",
        ),
        *("fit_report", "inversion_from_code", "load_inversion", "load_latent", "project", "project_preset"),
        *("fit_mask_code", "save_inversion", "tune"),
    ),
    "inversion.automatic_masks": ("PhotoMasks", "masks_of_photo"),
    "losses": ("LossConfig",),
    "segments": (
        *("LABEL_PRESETS", "NamedLabels", "SegmentMasks", "read_named_labels"),
        *("segments_from_label_map", "segments_from_masks", "single_segment"),
    ),
    "segments.face_mesh": ("read_face_landmarks", "segment_face"),
    "segments.mask_generator": (
        *(
            "MaskGenerator",
            "MaskTrainingConfig",
            "StopTraining",
            "labels_from_exemplar",
            "load_mask_generator",
        ),
        *("save_mask_generator", "train_mask_generator"),
    ),
    "visualization.curves": ("plot_losses",),
    "visualization.direction_sheet": ("direction_sheet",),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}
_MODULES = ("errors", "metrics")  # which are offered as they are


if not TYPE_CHECKING:  # which would take any name for one that is there

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = f"{__name__}.{_HOMES[name]}".rstrip(".")
        if name in _MODULES:
            found = import_module(f"{home}.{name}")
        else:
            found = getattr(import_module(home), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted(__all__)
