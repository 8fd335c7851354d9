"""Generators of every tool and architecture, moved away by the host in inference mode: gradients must survive it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.checkpoint_writers import WRITERS
from tests.pack_on_double import TINY, Pack, recorded_generator

LOAD, SAMPLE = "ChunkyGAN_LoadStyleGAN", "ChunkyGAN_SampleStyleGAN"
ENDINGS = {"ada": ".pkl", "rosinality": ".pt", "tensorflow": ".pkl", "own": ".safetensors"}
RECORDED = ("sg2_resnet_16", "sg2_orig_16", "sg2_conditional_16", "sg3_r_16")


def gradient(pack: Pack, hosted: Any) -> Tensor:
    """Of a few pixels with respect to w+, computed as a projection does."""
    with pack.host.loaded(hosted) as network, torch.enable_grad():
        ws = network.w_avg.detach().clone().repeat(1, network.num_ws, 1).requires_grad_()
        network.synthesis(ws)[..., :8, :8].square().sum().backward()
        return ws.grad


def unload(hosted: Any) -> None:
    """As when another node needs the memory in the middle of a prompt."""
    with torch.inference_mode():
        hosted.patcher.model.to(torch.float64).to(torch.float32)
        assert any(tensor.is_inference() for tensor in hosted.patcher.model.state_dict().values())


def check(pack: Pack, hosted: Any) -> None:
    pictures = pack.run(SAMPLE, generator=hosted, batch_size=2)[0]
    expected = gradient(pack, hosted)
    assert expected.abs().max() > 0
    unload(hosted)
    assert torch.equal(gradient(pack, hosted), expected)
    unload(hosted)
    assert torch.equal(pack.run(SAMPLE, generator=hosted, batch_size=2)[0], pictures)


@pytest.mark.parametrize("tool", ENDINGS)
def test_weights_from_every_tool(pack: Pack, make_generator: Any, tool: str) -> None:
    file = pack.base / "models" / "stylegan" / f"unload_{tool}{ENDINGS[tool]}"
    try:
        WRITERS[tool](make_generator(resolution=16, w_dim=16, channel_base=128, channel_max=16), file)
        (hosted,) = pack.run(LOAD, name=file.name)
    finally:
        file.unlink()
    check(pack, hosted)


@pytest.mark.parametrize("name", RECORDED)
def test_every_architecture(pack: Pack, name: str) -> None:
    check(pack, recorded_generator(pack, name))


def test_a_generator_is_saved_intact_after_an_unload(pack: Pack) -> None:
    (hosted,) = pack.run(LOAD, name=TINY)
    expected = hosted.generator.fingerprint
    unload(hosted)
    file = Path(pack.run("ChunkyGAN_SaveStyleGAN", generator=hosted)[0])
    try:
        assert pack.run(LOAD, name=file.name)[0].generator.fingerprint == expected
    finally:
        file.unlink()
