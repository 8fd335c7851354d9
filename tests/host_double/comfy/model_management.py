"""Double of comfy.model_management: one CPU device, an interruption switch."""

from __future__ import annotations

from typing import Any

import torch

interrupted = False


class InterruptProcessingException(BaseException):
    pass


def get_torch_device() -> torch.device:
    return torch.device("cpu")


def unet_offload_device() -> torch.device:
    return torch.device("cpu")


def intermediate_device() -> torch.device:
    return torch.device("cpu")


def load_models_gpu(models: list[Any], memory_required: int = 0, force_full_load: bool = False) -> None:
    for patcher in models:
        patcher.model.to(patcher.load_device)


def soft_empty_cache() -> None:
    pass


def throw_exception_if_processing_interrupted() -> None:
    global interrupted
    if interrupted:
        interrupted = False
        raise InterruptProcessingException()
