"""Write the table of docs/checkpoints.md: `PYTHONPATH=. python docs/formats.py`.

A small seeded network is written in every container and read back; each column is tried, not assumed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import Tensor

from chunky_core.checkpoints.generators import load_generator, read_checkpoint, save_generator
from chunky_core.generator.generator import Generator
from chunky_core.generator.mapping import MappingNetwork
from chunky_core.generator.module import GeneratorModule, Synthesis
from chunky_core.generator.spaces import SPACES, LatentCode, convert, synthesis_input
from chunky_core.generator.stylegan2 import SynthesisNetwork
from chunky_core.generator.stylegan3 import StyleGAN3Architecture, StyleGAN3Synthesis
from tests.checkpoint_writers import WRITERS

PAGE = Path(__file__).parent / "checkpoints.md"
BEGIN, END = "<!-- formats: begin -->", "<!-- formats: end -->"
HEAD = (
    "| container | found as | spaces | classes | noise | box | gradient | pictures differ by | converted |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


# the container's title, its writer, what is written: a block of StyleGAN2 or a configuration of StyleGAN3
SAMPLES = (
    ("stylegan2-ada-pytorch `.pkl`", "ada", "skip"),
    ("stylegan2-ada-pytorch `.pkl`, conditional", "ada", "conditional"),
    ("stylegan2-ada-pytorch `.pkl`, `resnet`", "ada", "resnet"),
    ("stylegan2-ada-pytorch `.pkl`, `orig`", "ada", "orig"),
    ("stylegan2 (TensorFlow) `.pkl`", "tensorflow", "skip"),
    ("stylegan3 `.pkl`, config T", "stylegan3", "T"),
    ("stylegan3 `.pkl`, config R", "stylegan3", "R"),
    ("rosinality `.pt`", "rosinality", "skip"),
    ("rosinality `.pt`, before PyTorch 1.6", "legacy", "skip"),
    ("e4e, pSp, ReStyle `.pt`", "e4e", "skip"),
    ("whole generator by torch.save (PTI)", "whole", "skip"),
    ("plain state dict `.pt`", "plain", "skip"),
    ("PaddleGAN `.pdparams`", "paddle", "skip"),
    ("BasicSR `.pth`", "basicsr", "skip"),
    ("mmagic, mmgeneration `.pth`", "mmagic", "skip"),
    ("GenForce, SeFa `.pth`", "genforce", "skip"),
    ("projected-gan `.pkl`, StyleGAN2", "projected", "skip"),
    ("StyleGAN-XL `.pkl`, conditional stem", "stylegan_xl", "XL"),
    ("our `.safetensors`", "own", "skip"),
)


def main() -> None:
    rows = [HEAD]
    with tempfile.TemporaryDirectory() as folder:
        rows += [row(*sample, Path(folder)) for sample in SAMPLES]
    text = PAGE.read_text()
    head, tail = text[: text.index(BEGIN)], text[text.index(END) :]
    PAGE.write_text(f"{head}{BEGIN}\n" + "\n".join(rows) + f"\n{tail}")


def seeded(kind: str) -> Generator:
    """A small network with weights that leave nothing at zero."""
    synthesis: Synthesis
    classes = 4 if kind in ("conditional", "XL") else 0
    if kind in ("T", "R", "XL"):
        dimensions = StyleGAN3Architecture(
            16,
            16,
            classes,
            32,
            channel_base=256,
            channel_max=16,
            conv_kernel=1 if kind == "R" else 3,
            use_radial_filters=kind == "R",
            class_means=kind == "XL",
        )
        synthesis = StyleGAN3Synthesis(dimensions)
    else:
        block = "skip" if kind == "conditional" else kind
        synthesis = SynthesisNetwork(
            w_dim=16, img_resolution=32, channel_base=256, channel_max=16, block=block
        )
    mapping = MappingNetwork(16, 16, synthesis.num_ws, num_layers=2, c_dim=classes, class_means=kind == "XL")
    module, rng = GeneratorModule(mapping, synthesis), torch.Generator().manual_seed(0)
    for name, tensor in module.state_dict().items():
        if not name.endswith(("filter", "freqs", "phases", "transform", "magnitude_ema")):
            tensor.normal_(0, 100 if name.startswith("mapping.fc") else 1, generator=rng)
        if kind == "XL" and name == "mapping.embed.bias":  # its format has none
            tensor.zero_()
    return Generator(module)


def row(title: str, writer: str, kind: str, folder: Path) -> str:
    """One line: a network written, read, tried, converted, read again."""
    path, copy = folder / "written", folder / "copy.safetensors"
    source = seeded(kind)
    WRITERS[writer](source, path)
    with read_checkpoint(path) as checkpoint:
        found = checkpoint.format
    generator = load_generator(path)
    save_generator(generator, copy)
    ws = codes(generator)
    expected = source.synthesis(ws)
    differs = ((generator.synthesis(ws) - expected).abs().max() / expected.abs().max()).item()
    again = (load_generator(copy).synthesis(ws) - generator.synthesis(ws)).abs().max().item()
    cells = (
        title,
        found,
        spaces(generator, ws),
        str(generator.c_dim or "no"),
        "yes" if has_noise(generator, ws) else "no",
        box(generator, ws),
        "yes" if gradient(generator, ws) else "NO",
        f"{differs:.0e} of the peak" if differs else "0",
        "same pixels" if again == 0 else f"differs by {again:.0e}",
    )
    return f"| {' | '.join(cells)} |"


def codes(generator: Generator) -> Tensor:
    z = torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(0))
    return generator.mapping(z, 0 if generator.c_dim else None)


def spaces(generator: Generator, ws: Tensor) -> str:
    """The spaces whose codes make the same picture as `ws` does."""
    expected = generator.synthesis(ws)
    works = ["z"]
    for space in SPACES[1:]:
        code = convert(generator, LatentCode("w", ws[:, 0]), space)
        if torch.allclose(generator.synthesis(synthesis_input(generator, code)), expected, atol=1e-5):
            works.append(space)
    return ", ".join(works).replace("w", "W").replace("s", "S")


def has_noise(generator: Generator, ws: Tensor) -> bool:
    return not torch.equal(generator.synthesis(ws, noise_mode="none"), generator.synthesis(ws))


def box(generator: Generator, ws: Tensor) -> str:
    side = generator.img_resolution
    part = generator.synthesis(ws, box=(1, 2, side - 1, side // 2))
    exact = torch.allclose(part, generator.synthesis(ws)[:, :, 1 : side - 1, 2 : side // 2], atol=1e-5)
    return ("exact" if generator.supports_boxes else "full pass") if exact else "NO"


def gradient(generator: Generator, ws: Tensor) -> bool:
    leaf = ws.clone().requires_grad_()
    generator.synthesis(leaf).square().sum().backward()
    return leaf.grad is not None and bool(leaf.grad.isfinite().all()) and bool(leaf.grad.abs().amin(2).all())


if __name__ == "__main__":
    main()
