"""A tiny SegFormer of random weights in the format of the package transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

NAMES = ("background", "skin", "l_eye", "r_eye", "mouth")
TINY = {
    "num_encoder_blocks": 2,
    "depths": [1, 1],
    "sr_ratios": [2, 1],
    "hidden_sizes": [8, 16],
    "patch_sizes": [7, 3],
    "strides": [4, 2],
    "num_attention_heads": [1, 2],
    "mlp_ratios": [2, 2],
    "decoder_hidden_size": 16,
    "initializer_range": 0.5,  # so that the labels differ over a photo
}


def write_tiny_parser(folder: Path, size: int = 64, seed: int = 0, names: Sequence[str] = NAMES) -> None:
    """config.json, preprocessor_config.json and model.safetensors, written by transformers itself."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = SegformerForSemanticSegmentation(SegformerConfig(**TINY, id2label=dict(enumerate(names))))
    network.save_pretrained(folder)
    SegformerImageProcessor(size={"height": size, "width": size}).save_pretrained(folder)
