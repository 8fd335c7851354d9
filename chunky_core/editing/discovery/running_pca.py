"""Principal components of rows that come in batches and are not kept."""

from __future__ import annotations

import torch
from torch import Tensor

_NOISE = 1e-10  # of the largest eigenvalue: what rounding leaves


class RunningPCA:
    """Follows the `kept` largest components of all rows so far by a singular value decomposition of them and each new
    batch (Ross et al. 2008, sec. 2.1, with the rows' coordinates kept in place of the rows).

    It is exact for up to `kept` rows; of more, what doesn't lie in the components is forgotten at each batch.
    """

    def __init__(self, kept: int) -> None:
        self.kept = kept
        self._basis: Tensor | None = None  # [kept,D], orthogonal rows
        self._coordinates = torch.zeros(0, 0, dtype=torch.float64)  # of the rows in it: [rows,kept]

    def add(self, rows: Tensor) -> None:
        """rows: [B,D], as far from zero as may be: their mean is found at the end."""
        old = len(self._coordinates)
        stacked = rows if self._basis is None else torch.cat([self._basis, rows])
        values, vectors = torch.linalg.eigh((stacked @ stacked.T).cpu().double())
        chosen = vectors[:, values > values.max() * _NOISE][:, -self.kept :]
        self._basis = chosen.T.to(stacked) @ stacked
        own, new = chosen[: len(stacked) - len(rows)], chosen[len(stacked) - len(rows) :]
        self._coordinates = torch.cat([self._coordinates @ own, new]) if old else new

    def scores(self, count: int) -> Tensor:
        """Of every row the first `count` principal components about the mean, largest first: [rows,count]."""
        assert self._basis is not None
        lengths = self._basis.norm(dim=1).cpu().double()
        scaled = self._coordinates * lengths
        centered = scaled - scaled.mean(dim=0)
        turned, sizes, _ = torch.linalg.svd(centered, full_matrices=False)
        return (turned * sizes)[:, :count]
