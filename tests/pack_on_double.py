"""The node pack, imported as the host imports it, on the double of the host's API in tests/host_double."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).parent.parent
DOUBLE = ROOT / "tests" / "host_double"
NAME = "chunkygan_pack_on_double"
TINY = "tiny.safetensors"
SIZE = 64  # pixels of the tiny generator


class Pack:
    """What a test needs: the nodes by id, the module, and the double's own modules."""

    def __init__(self, module: Any, base: Path) -> None:
        self.module, self.base = module, base
        extension = asyncio.run(module.comfy_entrypoint())
        asyncio.run(extension.on_load())
        self.nodes = {node.GET_SCHEMA().node_id: node for node in asyncio.run(extension.get_node_list())}
        self.errors = sys.modules[f"{NAME}.chunky_core.errors"]
        self.host = sys.modules[f"{NAME}.nodes.host"]
        self.sent = sys.modules["comfy.utils"].sent
        self.server = importlib.import_module("server").PromptServer.instance
        self.management = sys.modules["comfy.model_management"]

    @property
    def schemas(self) -> dict[str, Any]:
        return {name: node.GET_SCHEMA() for name, node in self.nodes.items()}

    @contextmanager
    def running(self, prompt: dict[str, Any], node_id: str, *wanted: str) -> Iterator[None]:
        """As while the host is at node `node_id` of an API-format prompt, for the sake of the nodes `wanted`."""
        execution = sys.modules["comfy_execution.utils"]
        progress = sys.modules["comfy_execution.progress"]
        progress.reset_progress_state("prompt", progress.DynamicPrompt(prompt))
        self.server.prompt_queue.running[:] = [(0, "prompt", prompt, {}, list(wanted), {})]
        with execution.CurrentNodeContext("prompt", node_id):
            yield

    def run(self, node: str, **given: Any) -> tuple[Any, ...]:
        """Execute a node as the host does: in inference mode, with the page's defaults for what isn't given."""
        widgets = {entry.id: entry.widget for entry in self.schemas[node].inputs if entry.widget}
        defaults = {name: page_default(widget) for name, widget in widgets.items()}
        with torch.inference_mode():
            return self.nodes[node].execute(**defaults | given).result


def page_default(widget: dict[str, Any]) -> Any:
    """What the page puts into a fresh widget."""
    chosen = widget.get("default")
    return widget.get("options", [None])[0] if chosen is None else chosen


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pack]:
    """The pack on the double; afterwards nothing of either is left in sys.modules or on the path."""
    before = set(sys.modules)
    sys.path.insert(0, str(DOUBLE))
    base = tmp_path_factory.mktemp("host")
    try:
        import folder_paths

        folder_paths.set_base(base)
        module = import_pack()
        write_tiny_models(base / "models", f"{NAME}.chunky_core")
        yield Pack(module, base)
    finally:
        sys.path.remove(str(DOUBLE))
        for name in set(sys.modules) - before:
            if name.split(".")[0] in {
                NAME,
                "aiohttp",
                "comfy",
                "comfy_api",
                "comfy_execution",
                "folder_paths",
                "server",
            }:
                del sys.modules[name]


def import_pack() -> Any:
    """The root package under a name of its own, because the host names packs after their folders."""
    spec = importlib.util.spec_from_file_location(
        NAME, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)
    return module


def write_tiny_models(models: Path, core_name: str) -> None:
    """models/stylegan/tiny.safetensors, a random generator of 64x64, and two directions for it."""
    architecture = importlib.import_module(f"{core_name}.generator.architecture")
    generator = importlib.import_module(f"{core_name}.generator.generator")
    files = importlib.import_module(f"{core_name}.checkpoints.generators")
    mappings = importlib.import_module(f"{core_name}.generator.mapping")
    networks = importlib.import_module(f"{core_name}.generator.stylegan2")
    for folder in ("stylegan", "stylegan_directions"):
        (models / folder).mkdir(parents=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        synthesis = networks.SynthesisNetwork(w_dim=32, img_resolution=SIZE, channel_base=512, channel_max=16)
        mapping = mappings.MappingNetwork(z_dim=32, w_dim=32, num_ws=synthesis.num_ws, num_layers=2)
    tiny = generator.Generator(architecture.GeneratorModule(mapping, synthesis))
    files.save_generator(tiny, models / "stylegan" / TINY)
    rng = torch.Generator().manual_seed(1)
    directions = {f"directions/{name}": torch.randn(32, generator=rng) for name in ("smile", "gaze_x")}
    save_file(directions, models / "stylegan_directions" / TINY)


def recorded_generator(pack: Pack, name: str) -> Any:
    """A hosted generator from the weights in tests/data/<name>.safetensors."""
    recorded = load_file(ROOT / "tests" / "data" / f"{name}.safetensors")
    state = {key.removeprefix("state/"): value for key, value in recorded.items() if key.startswith("state/")}
    core = importlib.import_module(f"{NAME}.chunky_core.generator.architecture")
    shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
    module = core.build_module(core.architecture_from(shapes), state, "cpu", torch.float32)
    networks = importlib.import_module(f"{NAME}.chunky_core.generator.generator")
    return pack.host.host_generator(networks.Generator(module))
