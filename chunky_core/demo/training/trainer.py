"""The training loop: one or several processes, averaged gradients, checkpoints that resume exactly.

The network is trained on the attributes u directly (w_dim = number of attributes) and folded onto W afterwards,
see `readout.fold`. Everything random is a function of (seed, step, rank), so a resumed run repeats the batches
that an uninterrupted one would have drawn.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from ...generator.stylegan2 import SynthesisNetwork
from ...saving import replacing
from ..portraits import ATTRIBUTES
from .losses import label_weights, portrait_loss
from .muon import Muon
from .quality import held_out_quality, save_samples
from .renders import RenderedSet


@dataclass(frozen=True)
class TrainingConfig:
    """Budget and hyperparameters; the defaults are those of the shipped generator."""

    images: int = 95_000  # portraits presented, all resolutions together
    renders: int = 24_576  # different portraits
    batch: int = 16  # over all processes; twice that at 32×32 and below
    seed: int = 7
    resolution: int = 256
    channel_base: int = 4096
    channel_max: int = 192
    muon_lr: float = 0.02
    adam_lr: float = 4e-3
    momentum: float = 0.9
    decay: float = 0.6  # the learning rate falls linearly over this last share of the run
    grow: tuple[tuple[int, float], ...] = (
        (32, 0.18),
        (64, 0.42),
        (128, 0.8),
        (256, 1.0),
    )  # resolution, until

    def resolution_at(self, progress: float) -> int:
        """Output resolution trained at this share of the run."""
        return next(resolution for resolution, until in self.grow if progress < until or until >= 1)

    def rate_at(self, progress: float, step: int) -> float:
        """Factor on both learning rates: a short warm-up, flat, then linear to 2 %."""
        return min(1.0, (step + 1) / 50) * min(1.0, (1 - progress) / self.decay + 0.02)


@dataclass(frozen=True)
class Place:
    """Where one worker runs."""

    rank: int
    world: int
    device: torch.device
    folder: Path


def new_network(config: TrainingConfig) -> SynthesisNetwork:
    """A fresh network that reads attributes; weights depend on the seed alone."""
    network = SynthesisNetwork(
        w_dim=len(ATTRIBUTES),
        img_resolution=config.resolution,
        channel_base=config.channel_base,
        channel_max=config.channel_max,
    )
    rng = torch.Generator().manual_seed(config.seed)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith(("weight", "const")):
                weight.copy_(torch.randn(weight.shape, generator=rng))
            if name.endswith("affine.weight"):
                weight.mul_(0.6)
            if name.endswith("torgb.weight") and int(name.split(".")[0][1:]) >= 64:
                weight.zero_()  # a grown resolution starts as the up-sampled picture, without colour ghosts
    return network.to(memory_format=torch.channels_last)


def split_parameters(network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """(for Muon: kernels and style matrices; for Adam: the rest). Noise strengths stay zero: portraits have none."""
    matrices: list[Tensor] = []
    rest: list[Tensor] = []
    for name, parameter in network.named_parameters():
        if name.endswith("noise_strength"):
            parameter.requires_grad_(False)
        elif name.endswith("affine.weight") or (parameter.dim() == 4 and "torgb" not in name):
            matrices.append(parameter)
        else:
            rest.append(parameter)
    return matrices, rest


class Trainer:
    """Network, averaged network, optimisers and counters of one worker."""

    def __init__(self, config: TrainingConfig, place: Place):
        self.config, self.place = config, place
        self.network = new_network(config).to(place.device)
        self.average = new_network(config).to(place.device).requires_grad_(False)
        matrices, rest = split_parameters(self.network)
        self.parameters = matrices + rest
        self.muon = Muon(matrices, config.muon_lr, config.momentum)
        self.adam = torch.optim.Adam(rest, config.adam_lr, betas=(0.9, 0.99))
        self.data = RenderedSet(place.folder / "renders", config.renders)
        self.step = self.seen = 0
        self.seconds = 0.0
        self.curve: list[dict[str, float]] = []

    @property
    def progress(self) -> float:
        return self.seen / self.config.images

    def train_step(self) -> float:
        """One update; returns the loss, averaged over the workers."""
        config, place = self.config, self.place
        resolution = config.resolution_at(self.progress)
        size = config.batch * (2 if resolution <= 32 else 1)
        rng = np.random.default_rng((config.seed, self.step, place.rank))
        images, labels, attributes = (t.to(place.device) for t in self.data.batch(size // place.world, rng))
        weights = label_weights(labels)
        shrink = config.resolution // resolution
        if shrink > 1:
            images, weights = F.avg_pool2d(images, shrink), F.avg_pool2d(weights, shrink)
        loss = portrait_loss(self._pyramid(attributes, resolution), images, weights)
        for parameter in self.parameters:
            parameter.grad = None
        loss.backward()
        loss = self._average_gradients(loss.detach())
        self._update(config.rate_at(self.progress, self.step))
        self.step += 1
        self.seen += size
        return float(loss)

    def _pyramid(self, attributes: Tensor, resolution: int) -> list[Tensor]:
        ws = attributes[:, None].expand(-1, self.network.num_ws, -1)
        with torch.autocast(self.place.device.type, torch.bfloat16, enabled=self.place.device.type == "cuda"):
            pyramid = self.network(
                self.network.styles(ws), noise_mode="none", out_resolution=resolution, pyramid=True
            )
        return [image.float() for image in pyramid]

    def _average_gradients(self, loss: Tensor) -> Tensor:
        if self.place.world == 1:
            return loss
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        flat = torch.cat([g.flatten() for g in grads] + [loss.view(1)])
        dist.all_reduce(flat)
        flat /= self.place.world
        pieces = flat[:-1].split([p.numel() for p in self.parameters])
        for parameter, piece in zip(self.parameters, pieces, strict=True):
            if parameter.grad is not None:
                parameter.grad.copy_(piece.view_as(parameter))
        return flat[-1]

    @torch.no_grad()
    def _update(self, rate: float) -> None:
        self.muon.param_groups[0]["lr"] = self.config.muon_lr * rate
        self.adam.param_groups[0]["lr"] = self.config.adam_lr * rate
        self.muon.step()
        self.adam.step()
        keep = min(0.998, self.step / (self.step + 30))
        for mean, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(now, 1 - keep)

    # ---- checkpoints and reports, written by the first worker alone
    def state(self) -> dict[str, object]:
        return {
            "config": asdict(self.config),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "muon": self.muon.state_dict(),
            "adam": self.adam.state_dict(),
            "counters": {"step": self.step, "seen": self.seen, "seconds": self.seconds},
            "curve": self.curve,
        }

    def restore(self, state: dict) -> None:
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])
        self.step, self.seen = state["counters"]["step"], state["counters"]["seen"]
        self.seconds, self.curve = state["counters"]["seconds"], state["curve"]

    def report(self, loss: float, samples: int = 64) -> dict[str, float]:
        """Held-out quality now, added to the curve; also writes the sheet of targets beside samples."""
        resolution = self.config.resolution_at(min(self.progress, 1 - 1e-9))
        images, labels, attributes = self.data.held_out(samples)
        with torch.no_grad():
            parts = [
                self._pyramid(u.to(self.place.device), resolution)[-1].cpu() for u in attributes.split(16)
            ]
        made = torch.cat(parts)
        row = {"seen": self.seen, "minutes": self.seconds / 60, "resolution": resolution, "loss": loss}
        row |= held_out_quality(made, images, labels)
        self.curve.append(row)
        save_samples(images[:16], made[:16], self.place.folder / "samples.png")
        return row


CHECKPOINT = "checkpoint.pt"


def save_checkpoint(trainer: Trainer) -> None:
    with replacing(trainer.place.folder / CHECKPOINT) as new:
        torch.save(trainer.state(), new)


def train_worker(
    rank: int, world: int, config: TrainingConfig, folder: str, device: str, every: float, port: int
) -> None:
    """Train to the end of the budget. every: seconds between checkpoints, reports and sample sheets."""
    if device == "cpu":
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // world))
    if world > 1:
        dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    trainer = Trainer(config, Place(rank, world, torch.device(device), Path(folder)))
    checkpoint = trainer.place.folder / CHECKPOINT
    if checkpoint.exists():
        trainer.restore(torch.load(checkpoint, map_location=device, weights_only=True))
    last = reported = monotonic()
    losses: list[float] = []
    while trainer.progress < 1:
        losses.append(trainer.train_step())
        now = monotonic()
        trainer.seconds, last = trainer.seconds + now - last, now
        if rank == 0 and now - reported > every:
            reported = now
            row = trainer.report(sum(losses) / len(losses))
            losses.clear()
            save_checkpoint(trainer)
            print("  ".join(f"{key} {value:.4g}" for key, value in row.items()), flush=True)
    if rank == 0:
        trainer.report(sum(losses) / max(1, len(losses)), samples=256)
        save_checkpoint(trainer)
    if world > 1:
        dist.destroy_process_group()
