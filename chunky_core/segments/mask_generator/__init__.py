"""Masks of what a generator draws, from its own features: the mask generator G^S of P2 §3, after DatasetGAN (Zhang et
al. 2021). Learnt from a few labelled codes, or from one; the code of a picture gives the masks of its parts.
"""

from __future__ import annotations

from .exemplar import ExemplarConfig, labels_from_exemplar
from .files import load_mask_generator, save_mask_generator
from .record import MaskGenerator
from .training import UNLABELED, MaskTrainingConfig, StopTraining, check_resumed, train_mask_generator

__all__ = [
    "UNLABELED",
    "ExemplarConfig",
    "MaskGenerator",
    "MaskTrainingConfig",
    "StopTraining",
    "check_resumed",
    "labels_from_exemplar",
    "load_mask_generator",
    "save_mask_generator",
    "train_mask_generator",
]
