"""Train the demo domain's feature networks: `python -m chunky_core.demo.train_networks --out DIR` (resumable, CPU).

Renders portraits into DIR/renders and an album of people into DIR/album.npz (once each), trains a trunk on labels
and attributes, and from it both networks: the identity head on pairs of photos, the perceptual network by further
training and by channel weights on triplets of known order. Writes both, and their held-out figures, to DIR/assets.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass, fields
from pathlib import Path

import torch

from ..losses.feature_network import FeatureNetwork, FeatureSizes, Trunk, save_feature_network
from ..saving import save_bytes
from .training.channel_weights import agreement, fit_weights, measure_triplets, perceptual_network
from .training.identity_figures import identity_figures
from .training.identity_head import last_maps, train_identity
from .training.loop import train
from .training.people import cached_album
from .training.renders import RenderedSet, render_set
from .training.trainer import TrainingConfig
from .training.triplet_tuning import tune_trunk
from .training.triplets import draw_triplets, is_trained
from .training.trunk import Batches, TrunkTask, start_weights, trunk_figures

PHOTOS_EACH = 4
HELD_OUT_PEOPLE, HELD_OUT_SEED = 250, 2_000_003
ALBUM_SEED = 1
RENDER_SEED = TrainingConfig().seed  # a folder of renders serves the generator's training and this one


@dataclass(frozen=True)
class NetworksConfig:
    """renders: portraits; people: in the album; rounds, held_out_rounds: of triplets, one batch of each kind in each.

    trunk_steps, identity_steps, tuning_steps: updates; batch: pictures of 128 pixels in an update of the trunk, half
    of it while the trunk is tuned on triplets.
    """

    renders: int = 24_576
    people: int = 3000
    trunk_steps: int = 700
    identity_steps: int = 600
    tuning_steps: int = 250
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
    parser.add_argument("--tuning-steps", type=int, default=defaults.tuning_steps)
    parser.add_argument("--rounds", type=int, default=defaults.rounds, help="of triplets, about 90 in each")
    parser.add_argument("--held-out-rounds", type=int, default=defaults.held_out_rounds)
    parser.add_argument("--batch", type=int, default=defaults.batch)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="workers that render")
    return parser.parse_args(arguments)


def new_task(config: NetworksConfig) -> TrunkTask:
    task = TrunkTask(FeatureSizes("perceptual").channels)
    start_weights(task, config.seed)
    return task.to(memory_format=torch.channels_last)


def open_batches(config: NetworksConfig, folder: Path) -> Batches:
    album = cached_album(folder / "album.npz", ALBUM_SEED, config.people, PHOTOS_EACH)
    return Batches(RenderedSet(folder / "renders", config.renders), album, config.seed)


def train_trunk(config: NetworksConfig, folder: Path, batches: Batches) -> TrunkTask:
    task = new_task(config)
    train(
        task,
        lambda step: task.loss(*batches.draw(step, config.batch)),
        config.trunk_steps,
        folder / "trunk.pt",
    )
    return task.requires_grad_(False)


def make_identity(config: NetworksConfig, folder: Path, trunk: Trunk) -> tuple[FeatureNetwork, dict]:
    """The identity network and its verification of people it has never seen."""
    album = cached_album(folder / "album.npz", ALBUM_SEED, config.people, PHOTOS_EACH)
    maps = last_maps(trunk, album, config.seed)
    sizes = FeatureSizes("identity")
    network = train_identity(trunk, sizes, maps, config.identity_steps, folder / "identity.pt", config.seed)
    strangers = cached_album(folder / "album_held_out.npz", HELD_OUT_SEED, HELD_OUT_PEOPLE, PHOTOS_EACH)
    return network, identity_figures(network.embed, strangers, HELD_OUT_SEED)


def tuned_trunk(config: NetworksConfig, folder: Path, batches: Batches, task: TrunkTask) -> Trunk:
    steps, seed = config.tuning_steps, config.seed + 3
    return tune_trunk(task, batches, steps, config.batch // 2, folder / "tuned.pt", seed)


def make_perceptual(config: NetworksConfig, trunk: Trunk) -> tuple[FeatureNetwork, dict]:
    """The perceptual network of a tuned trunk, and how often it finds the order of triplets never trained on."""
    before = new_task(config).requires_grad_(False).trunk
    fitted = [some for some in draw_triplets(config.seed + 1, config.rounds) if is_trained(some.kind)]
    held_out = draw_triplets(config.seed + 2, config.held_out_rounds)
    weights, others = (
        fit_weights(measure_triplets(trunk, fitted)),
        fit_weights(measure_triplets(before, fitted)),
    )
    table = agreement(measure_triplets(trunk, held_out), weights, measure_triplets(before, held_out), others)
    count = sum(len(triplets.reference) for triplets in held_out)
    network = perceptual_network(trunk, FeatureSizes("perceptual"), weights)
    return network, {"triplets": count, "agreement": table}


def main(arguments: list[str] | None = None) -> None:
    a = parse(arguments)
    config = NetworksConfig(**{field.name: getattr(a, field.name) for field in fields(NetworksConfig)})
    for shard in render_set(a.out / "renders", config.renders, RENDER_SEED, 256, a.processes):
        print(f"rendered shard {shard}", flush=True)
    batches = open_batches(config, a.out)
    task = train_trunk(config, a.out, batches)
    made = {"trunk": trunk_figures(task, batches.renders)}
    identity, made["identity"] = make_identity(config, a.out, task.trunk)
    write(a.out / "assets", identity, config)
    perceptual, made["perceptual"] = make_perceptual(config, tuned_trunk(config, a.out, batches, task))
    write(a.out / "assets", perceptual, config)
    text = json.dumps(rounded(made), indent=1)
    save_bytes(a.out / "assets" / "network_figures.json", (text + "\n").encode())
    print(text)


def rounded(figures: dict) -> dict:
    return json.loads(json.dumps(figures), parse_float=lambda text: round(float(text), 4))


def write(folder: Path, network: FeatureNetwork, config: NetworksConfig) -> None:
    folder.mkdir(exist_ok=True)
    source = f"chunky_core.demo.train_networks, seed {config.seed}"
    path = folder / f"{network.kind}.safetensors"
    save_feature_network(network, path, extra_metadata={"licence": "MIT", "source": source})


if __name__ == "__main__":
    main()
