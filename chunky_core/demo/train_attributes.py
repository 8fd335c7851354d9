"""Train the demo's attribute regressor: `python -m chunky_core.demo.train_attributes --out DIR` (resumable, CPU).

Draws portraits, photos and the generator's pictures into DIR (once), trains a network on their attributes that sets
out from the trunk of the perceptual one, and writes it with its held-out R² to DIR/assets.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, fields
from pathlib import Path

from ..checkpoints import load_generator
from ..generator.generator import Generator
from ..losses.feature_network import FeatureNetwork, load_feature_network, save_feature_network
from ..losses.perceptual import DEMO_FILE
from ..saving import save_bytes
from .training.attribute_pictures import cached_pictures
from .training.attribute_regression import held_out_figures, only_readable, train_regression
from .training.readout import Readout, build_mapping, build_readout
from .training.trainer import TrainingConfig

HELD_OUT, HELD_OUT_SEED = 256, 4_000_001
FIGURES = "attribute_figures.json"


@dataclass(frozen=True)
class AttributesConfig:
    """portraits, photos: how many are drawn; of each photo the generator draws two. batch: pictures in a step."""

    portraits: int = 4000
    photos: int = 800
    steps: int = 330
    batch: int = 32
    seed: int = 0


def main(arguments: list[str] | None = None) -> None:
    options = parsed(arguments)
    config = AttributesConfig(**{one.name: getattr(options, one.name) for one in fields(AttributesConfig)})
    generator, readout = load_generator("demo"), demo_readout()
    given = cached_pictures(
        generator,
        readout,
        options.out / "attribute_pictures.npz",
        config.portraits,
        config.photos,
        config.seed,
    )
    trunk = load_feature_network(DEMO_FILE).trunk
    checkpoint = options.out / "attributes.pt"
    network = train_regression(trunk, given, config.steps, config.batch, checkpoint, config.seed)
    figures = held_out(generator, network, readout, options.out)
    save(only_readable(network, figures), figures, options.out / "assets", config)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    defaults = AttributesConfig()
    parser = argparse.ArgumentParser(
        prog="python -m chunky_core.demo.train_attributes", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the run; an existing run is resumed"
    )
    for field in fields(AttributesConfig):
        parser.add_argument(f"--{field.name}", type=int, default=getattr(defaults, field.name))
    return parser.parse_args(arguments)


def demo_readout() -> Readout:
    """How the demo generator's W is tied to the attributes."""
    seed = TrainingConfig().seed
    return build_readout(build_mapping(num_ws=1, seed=seed), seed)


def held_out(
    generator: Generator, network: FeatureNetwork, readout: Readout, folder: Path
) -> dict[str, dict[str, float]]:
    """R² on people never drawn for training, spread as people are."""
    path = folder / "attribute_pictures_held_out.npz"
    return held_out_figures(
        network, cached_pictures(generator, readout, path, HELD_OUT, HELD_OUT, HELD_OUT_SEED, spread=1.0)
    )


def save(
    network: FeatureNetwork, figures: dict[str, dict[str, float]], folder: Path, config: AttributesConfig
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    source = (
        f"chunky_core.demo.train_attributes, {config.portraits} portraits, {config.photos} photos, "
        f"{config.steps} steps of {config.batch}, seed {config.seed}"
    )
    save_feature_network(network, folder / "attributes.safetensors", extra_metadata={"source": source})
    rounded = {
        kind: {name: round(value, 3) for name, value in table.items()} for kind, table in figures.items()
    }
    text = json.dumps({"pictures": HELD_OUT, "offered": list(network.sizes.names), "r2": rounded}, indent=1)
    save_bytes((text + "\n").encode(), folder / FIGURES)
    print(text)


if __name__ == "__main__":
    main()
