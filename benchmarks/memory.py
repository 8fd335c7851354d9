"""The memory that tensors take on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LivingStorages(TorchDispatchMode):
    """Counts the bytes of all storages that operations make, as long as they live."""

    def __init__(self) -> None:
        super().__init__()
        self.living: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        before = {
            one.untyped_storage()._cdata for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)
        }
        result = func(*args, **(kwargs or {}))
        for one in tree_leaves(result):
            storage = one.untyped_storage() if isinstance(one, Tensor) else None
            if storage is not None and storage._cdata not in before:
                self.living[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
        self.living = {key: one for key, one in self.living.items() if not one[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self.living.values()))
        return result


def peak_of_tensors(step: Callable[[], object]) -> int:
    """The most bytes of all tensors made during a step that live at once."""
    with LivingStorages() as counter:
        step()
    return counter.peak
