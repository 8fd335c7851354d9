"""What the tests of the record share: an inversion that has everything, and files with parts replaced."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction, LatentCode, convert
from chunky_core.images import from_uint8
from chunky_core.inversion.original_crop import Alignment
from chunky_core.inversion.record import Edit, Inversion, ProjectionState, SegmentCode
from chunky_core.segments import SegmentMasks, segments_from_masks

TUNED = "synthesis.b16.conv0.weight"


def make_inversion(generator: Generator) -> Inversion:
    """Three segments with random codes of three spaces, a delta, noise maps, a static row, an 8-bit photo, two
    edits, an alignment and a state.
    """
    rng = torch.Generator().manual_seed(8)
    size, parts = generator.img_resolution, parts_of(generator)
    z = LatentCode("z", torch.randn(1, generator.z_dim, generator=rng))
    codes = [convert(generator, z, space) for space in ("w", "s", "w+")]
    shape = generator.module.state_dict()[TUNED].shape
    deltas = [{TUNED: torch.randn(shape, generator=rng).half()}, {}, {}]
    directions = [
        Direction("gaze_x", "w", torch.randn(generator.w_dim, generator=rng), "looks aside"),
        Direction("age", "w+", torch.randn(generator.num_ws, generator.w_dim, generator=rng)),
    ]
    return Inversion(
        photo=from_uint8(torch.randint(0, 256, (1, size, size, 3), generator=rng, dtype=torch.uint8)),
        segments=tuple(
            SegmentCode(name, mask[None], LatentCode(code.space, code.tensor.contiguous()), delta)
            for name, mask, code, delta in zip(parts.names, parts.masks, codes, deltas, strict=True)
        ),
        static_mask=parts.static,
        fingerprint=generator.fingerprint,
        edits=(Edit(directions[0], -1.5, ("eyes",)), Edit(directions[1], 0.7)),
        settings={"space": "w+", "steps": 3, "losses": {"lpips": 0.5}},
        losses={name: [1.0, 0.1, 1 / 3] for name in parts.names},
        stopped="diverged",
        noise=tuple(torch.randn(r, r, generator=rng) for _, r in generator.noise_layout),
        alignment=Alignment(((-3.5, 2.0), (1.0, 90.25), (88.0, 95.0), (84.0, 6.5)), (480, 640)),
        state=ProjectionState(
            2,
            {"rate": 0.1, "best": float("inf")},
            {"moments/0": torch.ones(2, 3), "rng": torch.ByteTensor([1, 2])},
        ),
    )


def parts_of(generator: Generator) -> SegmentMasks:
    """Two eyes and skin with soft borders; the lowest rows are static."""
    size = generator.img_resolution
    masks = {name: torch.zeros(size, size) for name in ("left_eye", "right_eye", "skin", "keep")}
    masks["left_eye"][5:9, 4:9] = 1
    masks["right_eye"][5:9, 14:19] = 1
    masks["skin"][:-2] = 1
    masks["keep"][-2:] = 1
    return segments_from_masks(masks, static=("keep",), feather=0.8)


def read_file(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """A file's header and tensors."""
    with safe_open(str(path), framework="pt") as file:
        return file.metadata(), {name: file.get_tensor(name).clone() for name in list(file.keys())}


def rewritten(
    path: Path,
    change: dict[str, object] | str,
    tensors: dict[str, Tensor] | None = None,
    version: str = "1.1",
    without: tuple[str, ...] = (),
) -> Path:
    """A saved file with parts of its document and tensors replaced or taken out; a string is the whole document."""
    header, kept = read_file(path)
    document = change if isinstance(change, str) else json.dumps(json.loads(header["inversion"]) | change)
    if not isinstance(change, str) and without:
        document = json.dumps({k: v for k, v in json.loads(document).items() if k not in without})
    kept = {name: tensor for name, tensor in kept.items() if name.split("/")[0] not in without}
    metadata = {"format": "chunkygan-inversion", "version": version, "inversion": document}
    save_file(kept | (tensors or {}), str(path), metadata=metadata)
    return path
