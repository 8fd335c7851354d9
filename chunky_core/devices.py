"""Devices by name, as users give them."""

from __future__ import annotations

import torch

from .errors import InvalidInputError

WITHOUT_FLOAT64 = {"mps"}


def usable_device(name: str | torch.device, what: str = "the device") -> torch.device:
    """The device of that name: "cpu", "cuda", "cuda:1", ...

    what: its name in the error. Raises InvalidInputError where torch knows none, or can't compute on it here.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (
        RuntimeError,
        AssertionError,
        ImportError,
        AttributeError,
        TypeError,
    ) as error:  # each backend has its own
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise InvalidInputError(
            f"{what} {name} can't be used here ({reason:.100}); give {' or '.join(_devices())}"
        ) from error
    return device


def float64_device(device: torch.device) -> torch.device:
    """Where float64 is computed for tensors of a device: there, or on the CPU where it knows no float64."""
    return torch.device("cpu") if device.type in WITHOUT_FLOAT64 else device


def _devices() -> list[str]:
    return ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
