"""What tests of the nodes that project and tune work on: the pack on its double of the host, photos and segments."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from tests.pack_on_double import SIZE, TINY, Pack


class Scene(NamedTuple):
    """The pack, and what every projection here is given: two photos with the segments "eyes" and "mouth"."""

    pack: Pack
    generator: Any
    image: Tensor
    segments: tuple[Any, ...]


def made_scene(pack: Pack) -> Scene:
    coarse = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bicubic").clamp(0, 1)
    image = ((smooth * 255).round() / 255).movedim(1, -1).contiguous()
    masks = torch.zeros(2, SIZE, SIZE)
    masks[0, 12:28, 8:56] = masks[1, 40:54, 16:48] = 1
    (segments,) = pack.run("ChunkyGAN_SegmentMasks", image=image[:1], masks=masks, names="eyes, mouth")
    return Scene(pack, pack.run("ChunkyGAN_LoadStyleGAN", name=TINY)[0], image, segments)


def autosave_folder(pack: Pack) -> Iterator[Path]:
    """The folder of the autosaves, which no other test has written to; emptied again after the test."""
    folder = pack.base / "output" / "chunkygan"
    shutil.rmtree(folder, ignore_errors=True)
    pack.server.events.clear()
    pack.sent.clear()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def interrupt_at(pack: Pack, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let the user press Cancel in that step, counted over all phases and photos."""
    asked = iter(range(1, 1000))

    def ask() -> None:
        if next(asked) == step:
            raise pack.management.InterruptProcessingException

    monkeypatch.setattr(pack.management, "throw_exception_if_processing_interrupted", ask)
