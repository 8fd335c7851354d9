"""The suite on other devices and in other dtypes: the options, what is left out there and why, and tolerances."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from unittest import mock

import _pytest
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from tests import simulated_device

DTYPES = {
    str(one).removeprefix("torch."): one
    for one in (torch.float32, torch.float64, torch.float16, torch.bfloat16)
}
_BETWEEN = (__file__, simulated_device.__file__, *(str(Path(one.__file__).parent) for one in (torch, np)))
_ASKING = (str(Path(__file__).parent), str(Path(_pytest.__file__).parent))
_READERS = {Tensor.numpy, Tensor.__array__}
_COMPARISONS = {torch.equal, torch.allclose}
_DOUBLE = {Tensor.double}
_SHAPED = {torch.empty, torch.eye, torch.full, torch.ones, torch.tensor, torch.zeros}
_RANGES = {torch.arange, torch.linspace, torch.logspace}
_DRAWN = {torch.normal, torch.rand, torch.randint, torch.randn, torch.randperm}
_MAKERS = _SHAPED | _RANGES | _DRAWN
WITHOUT_FLOAT64 = ("mps", "simulated-mps")
SIMULATED = {"simulated": True, "simulated-mps": False}  # whether it knows float64

FILES = "about files, which are read and written on the CPU"
TEXT = "about what a program prints, run in processes of their own on the CPU"
NODES = "about nodes, which the host gives its device; what they call is tested here"
ARRAYS = "about pictures and label maps as arrays, before they reach a device"
HOUSE = "about the repository itself"
TRAINING = "about the demo domain's own drawing and training, which run on the CPU"

# The files whose tests run on the CPU in float32 only, and why.
CPU_TESTS = {
    "test_cli*": TEXT,
    "test_page_scripts*": TEXT,
    "test_*_nodes.py": NODES,
    "test_nodes.py": NODES,
    "test_mask_inputs.py": NODES,
    "test_running_prompt.py": NODES,
    "test_workflows.py": NODES,
    "test_checkpoint*": FILES,
    "test_*_files.py": FILES,
    "test_hostile_*": FILES,
    "test_header_limits.py": FILES,
    "test_pickle_costs.py": FILES,
    "test_restricted_pickle*": FILES,
    "test_onnx_*": FILES,
    "test_fuzz.py": FILES,
    "test_folders.py": FILES,
    "test_saving.py": FILES,
    "test_resume_damage.py": FILES,
    "test_other_tools.py": FILES,
    "test_identity_loss.py": FILES,
    "test_perceptual.py": FILES,
    "test_style_encoders.py": FILES,
    "test_parsing.py": FILES,
    "test_demo_assets.py": FILES,
    "test_dotless_averages.py": FILES,
    "test_device_report.py": HOUSE,
    "test_demo_networks.py": TRAINING,
    "test_portraits.py": TRAINING,
    "test_training.py": TRAINING,
    "test_images.py": ARRAYS,
    "test_label_images.py": ARRAYS,
    "test_label_names.py": ARRAYS,
    "test_mixtures.py": ARRAYS,
    "test_painted.py": ARRAYS,
    "test_noisy_masks.py": ARRAYS,
    "test_plots.py": ARRAYS,
    "test_cases.py": HOUSE,
    "test_structure.py": HOUSE,
    "test_errors.py": HOUSE,
}


_chosen = [torch.device("cpu")]  # the last one counts: a run within a run ends with the outer one's


def add_options(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device",
        default="cpu",
        help="where numerics run: cpu, cuda, cuda:N, mps; or, without a GPU, simulated or simulated-mps: the CPU that "
        "refuses what a GPU (or an Apple one) refuses",
    )
    parser.addoption("--dtype", default="float32", choices=list(DTYPES), help="what generators compute in")


def device_of(config: pytest.Config) -> torch.device:
    """The device asked for."""
    name = config.getoption("--device")
    if name in SIMULATED:
        return simulated_device.DEVICE
    return torch.empty(0, device=name).device  # "cuda" -> "cuda:0", and an error where there is none


def on_device(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a file, on the device asked for."""
    return {name: tensor.to(chosen_device()) for name, tensor in values.items()}


def chosen_device() -> torch.device:
    """The device asked for, for helpers that are no fixtures."""
    return _chosen[-1]


def dtype_of(config: pytest.Config) -> torch.dtype:
    return DTYPES[config.getoption("--dtype")]


@contextmanager
def entered(config: pytest.Config) -> Iterator[None]:
    """The device ready for use; float32 is computed in full, not in TF32, which is exact to three digits only, and by
    cuDNN's deterministic kernels, without which CUDA gives the same call other last digits each time."""
    name, device = config.getoption("--device"), device_of(config)
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = False, True
    _chosen.append(device)
    try:
        with ExitStack() as stack:
            if name in SIMULATED:
                stack.enter_context(simulated_device.simulated_device(SIMULATED[name]))
                stack.enter_context(mock.patch("torch.inference_mode", _no_inference_mode))
            if device.type != "cpu":
                placing = _TensorsOfTests(device, name not in WITHOUT_FLOAT64)
                stack.enter_context(placing)
                stack.enter_context(placing.of_arrays())
            yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = before
        _chosen.pop()


def _asked_by_a_test() -> bool:
    """Whether a file of these tests, or pytest for it, called torch, and not the library."""
    frame = sys._getframe(2)
    while frame.f_back and frame.f_code.co_filename.startswith(_BETWEEN):
        frame = frame.f_back
    return frame.f_code.co_filename.startswith(_ASKING)


def _no_inference_mode(mode: bool = True) -> AbstractContextManager[Any]:
    """torch.inference_mode, whose tensors a simulated device can't make."""
    if mode:
        pytest.skip("a simulated device knows no inference mode")
    return nullcontext()


class _TensorsOfTests(TorchFunctionMode):
    """Tensors that test files make without naming a device land on `device`, with the numbers that the CPU draws;
    and test files may read what is there as numpy arrays, and compare it with what is on the CPU.

    Only those: a tensor that the library makes without a device stays on the CPU, and is found out.
    """

    def __init__(self, device: torch.device, float64: bool) -> None:
        super().__init__()
        self.device, self.float64 = device, float64

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in _MAKERS | _READERS | _COMPARISONS | _DOUBLE or not _asked_by_a_test():
            return func(*args, **kwargs)
        if func in _MAKERS:
            result = func(*args, **kwargs)
            return result if "device" in kwargs or not isinstance(result, Tensor) else self._placed(result)
        if func in _DOUBLE and self.float64:
            return func(*args, **kwargs)
        count = 2 if func in _COMPARISONS else 1
        return func(*(one.cpu() for one in args[:count]), *args[count:], **kwargs)

    @contextmanager
    def of_arrays(self) -> Iterator[None]:
        """The same for torch.from_numpy, which torch shows to no mode."""
        original = torch.from_numpy

        def from_numpy(array: np.ndarray) -> Tensor:
            result = original(array)
            return self._placed(result) if _asked_by_a_test() else result

        with mock.patch("torch.from_numpy", from_numpy):
            yield

    def _placed(self, result: Tensor) -> Tensor:
        if result.dtype == torch.float64 and not self.float64:
            pytest.skip(f"needs float64, which {self.device} hasn't", allow_module_level=True)
        return result.detach().to(self.device).requires_grad_(result.requires_grad)


def skip_reason(item: pytest.Item) -> str | None:
    """Why a test isn't run with the options given; None where it is."""
    device, dtype = item.config.getoption("--device"), item.config.getoption("--dtype")
    if (device, dtype) == ("cpu", "float32"):
        return None
    for pattern, reason in CPU_TESTS.items():
        if fnmatch(item.path.name, pattern):
            return reason
    exact = "exact" in getattr(item, "fixturenames", ()) or item.get_closest_marker("float64")
    if device in WITHOUT_FLOAT64 and exact:
        return "about a generator in float64"
    marks = list(item.iter_markers("cpu"))
    if device in SIMULATED:
        marks += item.iter_markers("real_device")
    if dtype != "float32":
        marks += item.iter_markers("single")
    return marks[0].args[0] if marks else None


# What pictures of the small generators may differ by, in units of their largest value, when computed in another order.
TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 8e-2}


def tolerance(dtype: torch.dtype) -> float:
    """How near two ways of computing the same come in a dtype, in units of the largest value."""
    return TOLERANCES[dtype]
