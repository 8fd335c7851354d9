"""From a finished checkpoint to the shipped assets: the folded generator and its attribute directions."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from ...checkpoints.generators import load_generator, save_generator
from ...generator.architecture import GeneratorModule
from ...generator.generator import Generator
from ...generator.stylegan2 import SynthesisNetwork
from ...saving import save_bytes, save_tensors
from ..portraits import ATTRIBUTES, INDEX, draw_portraits
from .quality import gain_table, held_out_quality
from .readout import Z_DIM, build_mapping, build_readout, fold

# name of a direction -> (attribute, description)
DIRECTIONS = {
    "smile": ("smile", "from a frown to a broad smile"),
    "gaze_x": ("gaze_x", "both eyes look to the left or to the right of the picture"),
    "gaze_y": ("gaze_y", "both eyes look up or down"),
    "mouth_open": ("mouth_open", "from closed lips to an open mouth"),
    "age": ("age", "from young to old: wrinkles and grey hair"),
    "yaw": ("yaw", "the head turns"),
    "beard": ("beard", "from clean-shaven to a full beard"),
    "glasses": ("glasses", "from none to a dark frame"),
    "hair_length": ("hair_length", "from short to long"),
    "hair_colour": ("hair_colour", "from black to blond"),
    "skin": ("skin", "from dark to light skin"),
}
HELD_OUT_SEED = 1_000_003


def assemble(checkpoint: dict) -> tuple[Generator, dict[str, Tensor]]:
    """The trained network folded onto W, and the tensors of the directions file."""
    config = checkpoint["config"]
    network = SynthesisNetwork(
        w_dim=len(ATTRIBUTES),
        img_resolution=config["resolution"],
        channel_base=config["channel_base"],
        channel_max=config["channel_max"],
    )
    network.load_state_dict(checkpoint["average"])
    mapping = build_mapping(network.num_ws, config["seed"])
    readout = build_readout(mapping, config["seed"])
    source = f"chunky_core.demo.train, seed {config['seed']}, {checkpoint['counters']['seen']} portraits"
    metadata = {"name": "ChunkyGAN demo portraits", "licence": "MIT", "source": source}
    generator = Generator(GeneratorModule(mapping, fold(network, readout)), metadata)
    tensors = {"readout/weight": readout.weight, "readout/bias": readout.bias}
    for name, (attribute, _) in DIRECTIONS.items():
        tensors[f"directions/{name}"] = readout.directions[INDEX[attribute]]
    return generator, tensors


def measure(generator: Generator, readout_weight: Tensor, readout_bias: Tensor, count: int = 256) -> dict:
    """Held-out PSNR over `count` fresh codes, and gain and cosine of every direction over 24 of them."""
    rng = torch.Generator().manual_seed(HELD_OUT_SEED)
    w = generator.mapping(torch.randn(count, Z_DIM, generator=rng))[:, 0]
    attributes = w @ readout_weight.T + readout_bias

    def generate(u: Tensor) -> Tensor:
        codes = torch.linalg.solve(readout_weight, (u - readout_bias).T).T
        return torch.cat([generator.synthesis(part) for part in codes.split(16)])

    images, labels = (
        torch.cat(parts)
        for parts in zip(
            *(draw_portraits(u, generator.img_resolution) for u in attributes.split(16)), strict=True
        )
    )
    made = torch.cat([generator.synthesis(part) for part in w.split(16)])
    figures: dict = {key: round(value, 2) for key, value in held_out_quality(made, images, labels).items()}
    gains = gain_table(generate, attributes[:24], ATTRIBUTES)
    figures["gain"] = {name: [round(gain, 3), round(cosine, 3)] for name, (gain, cosine) in gains.items()}
    return figures


def export_assets(checkpoint: dict, folder: Path) -> dict:
    """Write generator.safetensors (fp16), directions.safetensors, figures.json; returns the fp16 file's figures."""
    folder.mkdir(parents=True, exist_ok=True)
    generator, tensors = assemble(checkpoint)
    save_generator(generator, folder / "generator.safetensors", dtype=torch.float16)
    stored = load_generator(folder / "generator.safetensors")
    metadata = {
        "format": "chunkygan-directions",
        "attributes": json.dumps(list(ATTRIBUTES)),
        "descriptions": json.dumps({name: text for name, (_, text) in DIRECTIONS.items()}),
        "space": "w",
        "unit": "one standard deviation of the attribute",
        "generator": stored.fingerprint,
    }
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_tensors(folder / "directions.safetensors", contiguous, metadata)
    figures = measure(stored, tensors["readout/weight"], tensors["readout/bias"])
    figures["portraits_presented"] = checkpoint["counters"]["seen"]
    figures["training_minutes"] = round(checkpoint["counters"]["seconds"] / 60, 1)
    figures["curve"] = checkpoint["curve"]
    save_bytes(folder / "figures.json", (json.dumps(figures, indent=1) + "\n").encode())
    return figures
