"""One labelled picture is enough: its labels carried to other pictures of the same generator by its own features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...boxes import Size
from ...checks import check_tensor, check_type, check_whole, is_number
from ...errors import InvalidInputError
from ...generator.features import feature_layers, recorded_layers
from ...generator.generator import Generator
from ...generator.spaces import LatentCode, check_codes, synthesis_input
from .pixels import UNLABELED, checked_labels
from .record import MOST_CLASSES


@dataclass(frozen=True)
class ExemplarConfig:
    """Knobs of `labels_from_exemplar`.

    grid: longer side of the grid on which pictures are compared. reach: how far a place may have moved, relative to the
    longer side. margin: how much less alike, relatively, the best place with another label must be for a label to be
    carried, 0 = all are. way: what the longest way counts for, relative to the typical difference of two places.
    mutual: how far, relative to the longer side, the match of the match may lie from where it began; below 0 = any.
    coarsest, finest: longer sides of the layers that are compared. Raises InvalidInputError for values out of range.
    """

    grid: int = 64
    reach: float = 0.25
    margin: float = 0.15
    way: float = 0.5
    mutual: float = 0.05
    coarsest: int = 16
    finest: int = 128

    def __post_init__(self) -> None:
        check_whole(self.grid, "grid", 2, 512)
        check_whole(self.coarsest, "coarsest", 1)
        check_whole(self.finest, "finest", self.coarsest)
        limits = {"reach": (1e-3, 2), "margin": (0, 1), "way": (0, 1e6), "mutual": (-2, 2)}
        for name, (least, most) in limits.items():
            value = getattr(self, name)
            if not is_number(value) or not least <= value <= most:
                raise InvalidInputError(f"{name} is {value!r:.60}; expected a number from {least} to {most}")


@torch.no_grad()
def labels_from_exemplar(
    generator: Generator,
    code: LatentCode,
    labels: Tensor,
    targets: LatentCode,
    config: ExemplarConfig | None = None,
) -> Tensor:
    """The labels of one picture, carried to others of the same generator: int64 [N,H,W], -1 where they are doubtful.

    code: of the labelled picture, one. labels: whole numbers [H,W] in its proportions, -1 or 255 = unknown. targets: of
    N other pictures. Each place of a target takes the label of the place of the exemplar whose features are most alike
    (nearest neighbor within reach), if that one's nearest neighbor lies near where it began and if places of any other
    label are clearly less alike. With the exemplar itself, these train a mask generator: join them and call
    `train_mask_generator`. Raises InvalidInputError for several codes, codes that aren't finite, and labels that don't
    fit or are all unknown.
    """
    config = ExemplarConfig() if config is None else config
    check_type(generator, "the generator", Generator, "load_generator reads one")
    check_codes(code, "the exemplar's code", "sample gives one")
    check_codes(targets, "the targets", "sample gives some")
    check_type(config, "the config", ExemplarConfig)
    check_tensor(labels, "the labels", "of whole numbers [H,W]")
    if len(code.tensor) != 1 or labels.ndim != 2:
        raise InvalidInputError(
            f"{len(code.tensor)} codes and labels {list(labels.shape)} were given; an exemplar is one, with [H,W]"
        )
    known = checked_labels(labels[None], 1, MOST_CLASSES, generator.img_size)[0]
    if not bool((known >= 0).any()):
        raise InvalidInputError(
            "no pixel of the exemplar is labelled; expected whole numbers from 0 somewhere"
        )
    plain = _features(generator, code, config)
    coarse = _coarse_labels(known, Size(*plain.shape[-2:]))
    found = []
    for index in range(len(targets.tensor)):
        one = LatentCode(targets.space, targets.tensor[index : index + 1])
        found.append(_carried(plain, known, coarse, _features(generator, one, config), config))
    return torch.stack(found)


def _features(generator: Generator, code: LatentCode, config: ExemplarConfig) -> Tensor:
    """Features on the grid, [C,h,w]; those of each layer have mean 0 and, together, a mean square of 1."""
    layers = feature_layers(generator)
    moved = LatentCode(code.space, code.tensor.to(generator.device))
    with recorded_layers(generator, layers) as maps:
        generator.synthesis(synthesis_input(generator, moved))
    share = config.grid / max(generator.img_size)
    height, width = (max(1, round(side * share)) for side in generator.img_size)
    fitting = [one for one in maps.values() if config.coarsest <= max(one.shape[-2:]) <= config.finest]
    stack = []
    for one in fitting or list(maps.values()):
        one = one.float()
        one = one - one.mean(dim=(2, 3), keepdim=True)
        one = one / one.square().sum(dim=1).mean().sqrt().clamp(min=1e-6)
        larger = one.shape[-2] > height
        one = (
            F.adaptive_avg_pool2d(one, (height, width))
            if larger
            else F.interpolate(one, (height, width), mode="bilinear", align_corners=False)
        )
        stack.append(one)
    return torch.cat(stack, dim=1)[0] / len(stack) ** 0.5


def _coarse_labels(labels: Tensor, grid: Size) -> Tensor:
    """The label [h,w] that most pixels [H,W] of each cell have."""
    present = labels.unique().tolist()
    shares = torch.stack([(labels == label).float() for label in present])[None]
    cells = F.adaptive_avg_pool2d(shares, (grid.height, grid.width))[0]
    return torch.tensor(present)[cells.argmax(dim=0)]


def _carried(plain: Tensor, labels: Tensor, coarse: Tensor, target: Tensor, config: ExemplarConfig) -> Tensor:
    """The labels [H,W] of the exemplar, `coarse` on the grid, at the pixels of a target, -1 where they are doubtful."""
    grid = height, width = Size(*coarse.shape)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    cells = torch.stack([rows.flatten(), columns.flatten()], dim=1).to(plain)
    places = cells / max(grid)
    known, wanted = plain.flatten(1).T, target.flatten(1).T
    flat = coarse.flatten().to(plain.device)
    there, clear = _nearest(wanted, known, places, flat, config)
    certain = clear & (flat[there] >= 0)
    if config.mutual >= 0:
        back, _ = _nearest(known, wanted, places, None, config)
        certain &= (places[back[there]] - places).norm(dim=1) <= config.mutual
    ways = (cells[there] - cells).T.reshape(2, height, width)
    found = _at_the_end(labels, ways.cpu())
    kept = F.interpolate(certain.view(1, 1, height, width).float().cpu(), labels.shape, mode="nearest-exact")
    return torch.where(kept[0, 0] > 0, found, UNLABELED)


def _at_the_end(labels: Tensor, ways: Tensor) -> Tensor:
    """The labels [H,W] at the ends of the ways [2,h,w] of the cells that the pixels lie in, each pixel from itself."""
    height, width = labels.shape
    scale = torch.tensor([height / ways.shape[1], width / ways.shape[2]])[:, None, None]
    pixels = (
        F.interpolate((ways.float() * scale)[None], (height, width), mode="nearest-exact")[0].round().long()
    )
    rows = (torch.arange(height)[:, None] + pixels[0]).clamp(0, height - 1)
    columns = (torch.arange(width) + pixels[1]).clamp(0, width - 1)
    return labels[rows, columns]


def _nearest(
    features: Tensor, others: Tensor, places: Tensor, labels: Tensor | None, config: ExemplarConfig
) -> tuple[Tensor, Tensor]:
    """For each place the most similar one of the others, and whether any of another label is clearly less alike."""
    found, clear = [], []
    size = max(1, (1 << 23) // len(others))
    for some, at in zip(features.split(size), places.split(size), strict=True):
        away = torch.cdist(at, places)
        distance = torch.cdist(some, others).square() + config.way * away.square() / config.reach**2
        distance = distance.masked_fill(away > config.reach, torch.inf)
        best, index = distance.min(dim=1)
        found.append(index)
        if labels is not None:
            same = labels[index][:, None] == labels[None]
            second = distance.masked_fill(same, torch.inf).amin(dim=1)
            clear.append(best <= (1 - config.margin) * second)
    return torch.cat(found), torch.cat(clear) if clear else torch.ones(len(features), dtype=torch.bool)
