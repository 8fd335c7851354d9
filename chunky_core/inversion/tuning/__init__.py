"""Pivotal tuning: the generator's weights moved a little, so that fixed codes draw their segments better."""

from __future__ import annotations

from .config import TuningConfig
from .deltas import segment_generator, segment_generators
from .tuner import tune

__all__ = ["TuningConfig", "segment_generator", "segment_generators", "tune"]
