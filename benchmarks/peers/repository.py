"""A peer's repository on disk: its modules, and its generator with the demo generator's weights."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from chunky_core.generator import Generator

NOT_CALLED = ("requests", "wandb")  # imported by peers, for downloads and logs


def repository(name: str) -> Path | None:
    """The folder of a repository in PEERS_PATH, if it is there."""
    folder = Path(os.environ.get("PEERS_PATH", "")) / name
    return folder if "PEERS_PATH" in os.environ and folder.is_dir() else None


def import_from(name: str, *modules: str) -> list[ModuleType]:
    """Modules of a repository, which finds its own first. Exits if it isn't there, or another's are loaded."""
    folder = repository(name)
    if folder is None:
        sys.exit(
            f"{name} isn't in PEERS_PATH ({os.environ.get('PEERS_PATH', 'not set')}); see benchmarks/peers"
        )
    other = getattr(sys.modules.get("dnnlib"), "__file__", None)
    if other and folder not in Path(other).parents:
        sys.exit(f"modules of {other} are loaded; {name} needs a process of its own")
    for missing in NOT_CALLED:
        if importlib.util.find_spec(missing) is None:
            put_in_place(missing)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return [importlib.import_module(module) for module in modules]


def put_in_place(name: str, **attributes: Any) -> None:
    """An empty module of that name with these attributes, in place of one that needs what isn't here."""
    module = ModuleType(name)
    for key, value in attributes.items():
        setattr(module, key, value)
    sys.modules[name] = module


def no_downloads() -> dict[str, str]:
    """A table of files that are never loaded: any name has one."""
    return defaultdict(str)


def official_generator(networks: ModuleType, generator: Generator) -> nn.Module:
    """networks: a peer's copy of NVlabs' networks. Their generator with `generator`'s weights, frozen."""
    known = generator.architecture
    made = networks.Generator(
        z_dim=known.z_dim,
        c_dim=known.c_dim,
        w_dim=known.w_dim,
        img_resolution=known.img_resolution,
        img_channels=known.img_channels,
        mapping_kwargs={"num_layers": known.mapping_layers},
        synthesis_kwargs={
            "channel_base": known.channel_base,
            "channel_max": known.channel_max,
            "conv_clamp": known.conv_clamp,
        },
    )
    made.load_state_dict(generator.module.state_dict())
    return made.requires_grad_(False)
