"""Training of the masked encoder with pictures that the generator draws itself."""

from .config import EncoderTrainingConfig
from .pictures import PhotoExamples
from .state import TrainingState, load_training, save_training
from .trainer import encoder_of, train_masked_encoder

__all__ = [
    "EncoderTrainingConfig",
    "PhotoExamples",
    "TrainingState",
    "encoder_of",
    "load_training",
    "save_training",
    "train_masked_encoder",
]
