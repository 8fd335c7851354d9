"""Figures of how the package is built: the way of one call of `project`, classes, files, exported names.

    python benchmarks/house.py --package OTHER/CHECKOUT

Works on any checkout: functions are found by name. The way: a projection of a small seeded generator's picture, three
segments, W+, Adam; in one of its steps every call of a function of the package is recorded.
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
from collections import Counter
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

HERE = Path(__file__).parent.parent
STEP = 8  # of 12: one code per segment
PLANNING = {"boxes.py", "region.py", "regions.py", "plan.py"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--package", type=Path, default=HERE, help="a checkout")
    options = parser.parse_args()
    root = options.package.resolve()
    sys.path.insert(0, str(root))
    print(json.dumps(way(root / "chunky_core") | sizes(root / "chunky_core") | face(root), indent=1))


def way(core: Path) -> dict[str, Any]:
    """From `project` to the innermost convolution, and what one ordinary step calls."""
    scene = small_scene()
    chain: list[str] = []
    calls: Counter[tuple[str, str]] = Counter()
    entered: Counter[str] = Counter()
    watching, prefix = [False], f"{core}/"

    def profile(frame: FrameType, event: str, argument: object) -> None:
        if event != "call" or not frame.f_code.co_filename.startswith(prefix):
            return
        name = frame.f_code.co_filename.removeprefix(prefix)
        if frame.f_code.co_name == "convolve" and not chain:
            chain.extend(reversed(list(callers(frame, core))))
        if watching[0]:
            calls[name, frame.f_code.co_name] += 1
            if caller(frame, core) != name:
                entered[name] += 1

    def callback(step: int, total: int, image: object) -> None:
        watching[0] = step == STEP

    sys.setprofile(profile)
    try:
        scene(callback)
    finally:
        sys.setprofile(None)
    while chain and not chain[0].endswith(":project"):
        chain.pop(0)
    inner: Counter[str] = Counter()
    for (name, _), count in calls.items():
        if "inversion" in name:
            inner[name] += count
    planning = {
        f"{name}:{function}": count
        for (name, function), count in calls.items()
        if Path(name).name in PLANNING and "inversion" not in name
    }
    return {
        "frames from project to the convolution": len(chain),
        "files on that way": len({one.partition(":")[0] for one in chain}),
        "the way": chain,
        "files entered in an ordinary step": len(entered),
        "calls of functions of inversion's files in a step": dict(inner.most_common(6)),
        "calls of box and plan functions in a step": sum(planning.values()),
        "calls of the package's functions in a step": sum(calls.values()),
    }


def callers(frame: FrameType | None, core: Path) -> Any:
    """The package's functions on the stack, innermost first."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(f"{core}/"):
            yield f"{frame.f_code.co_filename.removeprefix(f'{core}/')}:{frame.f_code.co_name}"
        frame = frame.f_back


def caller(frame: FrameType, core: Path) -> str:
    """The file of the package's function that called this one."""
    outer = next(callers(frame.f_back, core), "")
    return str(outer).partition(":")[0]


def small_scene() -> Any:
    """A function of a callback that projects a small picture."""
    import torch

    torch.set_num_threads(1)
    make = function_of("SynthesisNetwork")
    synthesis = make(w_dim=16, img_resolution=32, channel_base=256, channel_max=16)
    mapping = function_of("MappingNetwork")(z_dim=16, w_dim=16, num_ws=synthesis.num_ws, num_layers=2)
    generator = function_of("Generator")(function_of("GeneratorModule")(mapping, synthesis))
    masks = {name: torch.zeros(32, 32) for name in ("rest", "band", "block")}
    masks["rest"][:] = 1
    masks["band"][16:22] = 1
    masks["block"][8:13, 8:14] = 1
    inversion = import_module("chunky_core.inversion")
    segments = import_module("chunky_core.segments").segments_from_masks(masks)
    names = {field.name for field in fields(inversion.ProjectionConfig)}
    config = inversion.ProjectionConfig(**{"num_steps" if "num_steps" in names else "steps": 12})
    photo = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return lambda callback: inversion.project(generator, photo, segments, config, callback=callback)


def function_of(name: str) -> Any:
    """What a file of the package defines under that name at its top level."""
    core = Path(str(import_module("chunky_core").__file__)).parent
    for path in sorted(core.rglob("*.py")):
        if f"\nclass {name}" in path.read_text() or f"\ndef {name}(" in path.read_text():
            dotted = ".".join(("chunky_core", *path.relative_to(core).with_suffix("").parts))
            return getattr(import_module(dotted), name)
    raise LookupError(f"nothing under {core} defines {name}")


def sizes(core: Path) -> dict[str, Any]:
    """Files, lines and the longest class, by room."""
    rooms: dict[str, dict[str, Any]] = {}
    classes: list[dict[str, Any]] = []
    for path in sorted(core.rglob("*.py")):
        parts = path.relative_to(core).parts
        room = parts[0] if len(parts) > 1 else "(top)"
        text = path.read_text()
        own = [described(node, room) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)]
        classes += own
        entry = rooms.setdefault(room, {"files": 0, "lines": 0, "longest class": ""})
        entry["files"] += 1
        entry["lines"] += len(text.splitlines())
    for room, entry in rooms.items():
        longest = max((one for one in classes if one["room"] == room), key=lines_of, default=None)
        entry["longest class"] = longest and f"{longest['name']} ({longest['lines']} lines)"
    of_inversion = max((one for one in classes if one["room"] == "inversion"), key=lines_of)
    most = max(classes, key=lambda one: one["attributes"])
    return {
        "rooms": rooms,
        "longest class": max(classes, key=lines_of),
        "longest class of inversion": of_inversion,
        "class with most attributes": most,
    }


def lines_of(one: dict[str, Any]) -> int:
    return int(one["lines"])


def described(node: ast.ClassDef, room: str) -> dict[str, Any]:
    """Its lines, methods, and the attributes that its methods assign on self."""
    assigned = {
        target.attr
        for one in ast.walk(node)
        if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Store)
        for target in [one]
        if isinstance(target.value, ast.Name) and target.value.id == "self"
    }
    methods = sum(isinstance(one, ast.FunctionDef) for one in node.body)
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    return {
        "name": node.name,
        "room": room,
        "lines": lines,
        "methods": methods,
        "attributes": len(assigned),
    }


def face(root: Path) -> dict[str, Any]:
    """What a fresh `import chunky_core` offers."""
    code = (
        "import json, chunky_core as c; names = [n for n in dir(c) if not n.startswith('_')]; "
        "print(json.dumps([names, list(getattr(c, '__all__', [])), hasattr(c, '__version__')]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    shown, exported, version = json.loads(done.stdout)
    return {"dir(chunky_core)": shown, "__all__": exported, "has __version__": version}


if __name__ == "__main__":
    main()
