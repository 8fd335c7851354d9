"""What travels along the links between the nodes; for a batch of photos, a tuple with one record each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from comfy_api.latest import io

from ..chunky_core.inversion import Alignment, Inversion
from ..chunky_core.inversion.record import EarlierStep
from ..chunky_core.segments import SegmentMasks

BoundingBoxIO = io.Custom("BOUNDING_BOX")  # the host's, as its core nodes give it
FaceLandmarksIO = io.Custom("FACE_LANDMARKS")  # the host's
AlignmentIO = io.Custom("CHUNKYGAN_ALIGNMENT")  # AlignmentBatch
CodeIO = io.Custom("CHUNKYGAN_CODE")  # LatentCode, one or a batch
EncoderIO = io.Custom("CHUNKYGAN_ENCODER")  # Encoder
GeneratorIO = io.Custom("CHUNKYGAN_GENERATOR")  # host.HostedGenerator
DirectionIO = io.Custom("CHUNKYGAN_DIRECTION")  # Direction
LabelMapIO = io.Custom("CHUNKYGAN_LABEL_MAP")  # LabelMap
SegmentsIO = io.Custom("CHUNKYGAN_SEGMENTS")  # SegmentsBatch
InversionIO = io.Custom("CHUNKYGAN_INVERSION")  # InversionBatch
MaskGeneratorIO = io.Custom("CHUNKYGAN_MASK_GENERATOR")  # MaskGenerator, on the CPU
LossIO = io.Custom("CHUNKYGAN_LOSS")  # LossConfig
StepIO = io.Custom("CHUNKYGAN_STEP")  # StepBatch

SegmentsBatch: TypeAlias = tuple[SegmentMasks, ...]
InversionBatch: TypeAlias = tuple[Inversion, ...]
StepBatch: TypeAlias = tuple[EarlierStep, ...]
AlignmentBatch: TypeAlias = tuple[tuple[Alignment, ...], ...]  # for each photo the crops of its faces


@dataclass(frozen=True)
class LabelMap:
    """labels: whole numbers [B,H,W]; names: what each means, labels without one belong to no area."""

    labels: torch.Tensor
    names: dict[int, str]
