"""Train the demo domain's feature networks: `python -m chunky_core.demo.train_networks --out DIR` (resumable, CPU).

Renders portraits into DIR/renders and an album of people into DIR/album.npz (once each), trains a trunk on labels
and attributes, fits the perceptual network's channel weights on triplets of known order, trains the identity head,
and writes both networks and their held-out figures into DIR/assets.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch

from ..inversion.losses.feature_network import FeatureNetwork, FeatureSizes, Trunk, save_feature_network
from .training.channel_weights import agreement, compare, fit_weights, perceptual_network
from .training.identity import last_maps, train_identity
from .training.identity_figures import identity_figures
from .training.loop import train
from .training.people import cached_album
from .training.renders import RenderedSet, render_set
from .training.trainer import TrainingConfig
from .training.triplets import draw_triplets
from .training.trunk import Batches, TrunkTask, start_weights, trunk_figures

PHOTOS_EACH = 4
HELD_OUT_PEOPLE, HELD_OUT_SEED = 250, 2_000_003
ALBUM_SEED = 1
RENDER_SEED = TrainingConfig().seed  # a folder of renders serves the generator's training and this one


@dataclass(frozen=True)
class NetworksConfig:
    """renders: portraits; people: in the album; rounds, held_out_rounds: of triplets, one batch of each kind in each.

    trunk_steps, identity_steps: updates; batch: pictures of 128 pixels in one update of the trunk.
    """

    renders: int = 24_576
    people: int = 3000
    trunk_steps: int = 700
    identity_steps: int = 600
    batch: int = 16
    rounds: int = 16
    held_out_rounds: int = 12
    seed: int = 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    defaults = NetworksConfig()
    parser = argparse.ArgumentParser(
        prog="python -m chunky_core.demo.train_networks", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the run; an existing run is resumed"
    )
    parser.add_argument("--renders", type=int, default=defaults.renders, help="different portraits to render")
    parser.add_argument(
        "--people", type=int, default=defaults.people, help="people in the album, four photos each"
    )
    parser.add_argument("--trunk-steps", type=int, default=defaults.trunk_steps)
    parser.add_argument("--identity-steps", type=int, default=defaults.identity_steps)
    parser.add_argument("--rounds", type=int, default=defaults.rounds, help="of triplets, about 90 in each")
    parser.add_argument("--held-out-rounds", type=int, default=defaults.held_out_rounds)
    parser.add_argument("--batch", type=int, default=defaults.batch)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="workers that render")
    return parser.parse_args(arguments)


def train_trunk(config: NetworksConfig, folder: Path) -> tuple[Trunk, Trunk, dict]:
    """(trained trunk, the trunk before training, its held-out figures)."""
    channels = FeatureSizes("perceptual").channels
    task, before = TrunkTask(channels), TrunkTask(channels)
    for module in (task, before):
        start_weights(module, config.seed)
    renders = RenderedSet(folder / "renders", config.renders)
    batches = Batches(
        renders, cached_album(folder / "album.npz", ALBUM_SEED, config.people, PHOTOS_EACH), config.seed
    )
    task.to(memory_format=torch.channels_last)
    train(
        task,
        lambda step: task.loss(*batches.draw(step, config.batch)),
        config.trunk_steps,
        folder / "trunk.pt",
    )
    return task.trunk.requires_grad_(False), before.trunk.requires_grad_(False), trunk_figures(task, renders)


def make_identity(config: NetworksConfig, folder: Path, trunk: Trunk) -> tuple[FeatureNetwork, dict]:
    """The identity network and its verification of people it has never seen."""
    album = cached_album(folder / "album.npz", ALBUM_SEED, config.people, PHOTOS_EACH)
    maps = last_maps(trunk, album, config.seed)
    sizes = FeatureSizes("identity")
    network = train_identity(trunk, sizes, maps, config.identity_steps, folder / "identity.pt", config.seed)
    strangers = cached_album(folder / "album_held_out.npz", HELD_OUT_SEED, HELD_OUT_PEOPLE, PHOTOS_EACH)
    return network, identity_figures(network.embed, strangers, HELD_OUT_SEED)


def make_perceptual(config: NetworksConfig, trunk: Trunk, before: Trunk) -> tuple[FeatureNetwork, dict]:
    """The perceptual network and how often it finds the order of triplets that it was not fitted to."""
    fitted = list(draw_triplets(config.seed + 1, config.rounds))
    held_out = list(draw_triplets(config.seed + 2, config.held_out_rounds))
    weights, others = fit_weights(compare(trunk, fitted)), fit_weights(compare(before, fitted))
    table = agreement(compare(trunk, held_out), weights, compare(before, held_out), others)
    count = sum(len(triplets.reference) for triplets in held_out)
    network = perceptual_network(trunk, FeatureSizes("perceptual"), weights)
    return network, {"triplets": count, "agreement": table}


def main(arguments: list[str] | None = None) -> None:
    a = parse(arguments)
    names = (
        "renders",
        "people",
        "trunk_steps",
        "identity_steps",
        "batch",
        "rounds",
        "held_out_rounds",
        "seed",
    )
    config = NetworksConfig(**{name: getattr(a, name) for name in names})
    for shard in render_set(a.out / "renders", config.renders, RENDER_SEED, 256, a.processes):
        print(f"rendered shard {shard}", flush=True)
    assets = a.out / "assets"
    assets.mkdir(exist_ok=True)
    trunk, before, figures = train_trunk(config, a.out)
    made = {"trunk": figures}
    source = {"licence": "MIT", "source": f"chunky_core.demo.train_networks, seed {config.seed}"}
    identity, made["identity"] = make_identity(config, a.out, trunk)
    save_feature_network(identity, assets / "identity.safetensors", extra_metadata=source)
    perceptual, made["perceptual"] = make_perceptual(config, trunk, before)
    save_feature_network(perceptual, assets / "perceptual.safetensors", extra_metadata=source)
    (assets / "network_figures.json").write_text(json.dumps(made, indent=1) + "\n")
    print(json.dumps(made, indent=1))


if __name__ == "__main__":
    main()
