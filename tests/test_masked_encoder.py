"""The masked encoder: what counts, what fits, and its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from chunky_core.encoders.masked_encoder import (
    DEMO_FILE,
    MaskedEncoder,
    load_masked_encoder,
    measure_whitening,
    save_masked_encoder,
)
from chunky_core.encoders.masked_network import MaskedNetwork, MaskedSizes
from chunky_core.errors import (
    InvalidInputError,
    MissingWeightsError,
    UnsupportedCheckpointError,
    WrongGeneratorError,
)
from chunky_core.generator.generator import Generator
from chunky_core.generator.sampling import sample_codes
from chunky_core.saving import save_tensors
from tests.toy_networks import picture


@pytest.fixture(scope="module")
def encoder(generator: Generator) -> MaskedEncoder:
    """Random weights, none of them zero."""
    sizes = MaskedSizes(generator.num_ws, generator.w_dim, 32, (8, 16, 16), 32)
    network = MaskedNetwork(sizes).requires_grad_(False).eval()
    rng = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.normal_(0.0, 0.3, generator=rng)
    return MaskedEncoder(network, measure_whitening(generator), generator.fingerprint)


def photos(count: int = 1, first: int = 0) -> torch.Tensor:
    return torch.cat([picture(first + index, 64, 64).float() for index in range(count)])


def halves() -> torch.Tensor:
    masks = torch.zeros(2, 1, 64, 64)
    masks[0, ..., :32], masks[1, ..., 32:] = 1.0, 1.0
    return masks


def test_what_lies_outside_of_the_mask_does_not_count_to_the_bit(encoder, generator):
    one, other = photos(2)[:1], photos(2)[1:]
    mask = halves()[:1]
    mixed = torch.where(mask > 0, one, other)
    mixed[..., 40:] = 30.0
    found = encoder.encode(generator, one, mask).tensor
    assert torch.equal(found, encoder.encode(generator, mixed, mask).tensor)
    assert not torch.equal(found, encoder.encode(generator, torch.where(mask > 0, other, one), mask).tensor)


def test_the_mask_itself_counts_and_none_is_everything(encoder, generator):
    photo, ones = photos(), torch.ones(1, 1, 64, 64)
    whole = encoder.encode(generator, photo).tensor
    assert torch.equal(whole, encoder.encode(generator, photo, ones).tensor)
    assert not torch.allclose(whole, encoder.encode(generator, photo, halves()[:1]).tensor, atol=1e-3)


def test_one_photo_goes_with_many_masks_and_one_mask_with_many_photos(encoder, generator):
    code = encoder.encode(generator, photos(), halves())
    assert code.space == "w+" and code.tensor.shape == (2, generator.num_ws, generator.w_dim)
    for index in range(2):
        alone = encoder.encode(generator, photos(), halves()[index : index + 1]).tensor
        assert torch.allclose(code.tensor[index], alone[0], atol=1e-4)
    assert len(encoder.encode(generator, photos(3), halves()[:1]).tensor) == 3
    with pytest.raises(InvalidInputError, match="3 photos and 2 masks"):
        encoder.encode(generator, photos(3), halves())
    with pytest.raises(InvalidInputError, match=r"masks has shape \[1, 1, 8, 8\]"):
        encoder.encode(generator, photos(), torch.ones(1, 1, 8, 8))


def test_whitening_is_undone_and_makes_unit_deviations(generator):
    whitening = measure_whitening(generator).to(generator.device)
    w = sample_codes(generator, list(range(2000)))
    assert whitening.axes.is_contiguous()  # as out of a file
    numbers = whitening.whitened(w.float())
    assert torch.allclose(whitening.codes(numbers), w.float(), atol=1e-3)
    assert float(numbers.mean(0).abs().max()) < 0.15
    strong = whitening.deviations > 0.1 * whitening.deviations.max()
    assert torch.allclose(numbers.std(0)[strong], torch.ones(()).to(w.device), atol=0.15)


def test_another_generator_is_refused_with_both_fingerprints(encoder, generator, make_generator, tmp_path):
    other = make_generator(seed=1)
    save_masked_encoder(encoder, tmp_path / "encoder.safetensors")
    both = f"{generator.fingerprint[:12]}.*{other.fingerprint[:12]}"
    with pytest.raises(WrongGeneratorError, match=both):
        encoder.encode(other, photos())
    with pytest.raises(WrongGeneratorError, match=both):
        load_masked_encoder(tmp_path / "encoder.safetensors", generator=other)


@pytest.mark.parametrize("space", ["w+", "w"])
def test_out_of_its_file_it_finds_the_same_codes(encoder, generator, tmp_path, space):
    sizes = replace(encoder.network.sizes, layers=generator.num_ws if space == "w+" else 1)
    network = MaskedNetwork(sizes).requires_grad_(False)
    given = encoder if space == "w+" else replace(encoder, network=network, space=space)
    path = tmp_path / "encoder.safetensors"
    save_masked_encoder(given, path, torch.float32)
    found = load_masked_encoder(path, generator=generator)
    assert (found.space, found.size, found.fingerprint) == (space, 32, generator.fingerprint)
    before, after = (one.encode(generator, photos(), halves()) for one in (given, found))
    assert after.space == space and torch.equal(before.tensor, after.tensor)


def test_damaged_and_other_files_are_refused(encoder, tmp_path: Path):
    path = tmp_path / "encoder.safetensors"
    with pytest.raises(MissingWeightsError):
        load_masked_encoder(path)
    save_tensors({"a": torch.zeros(1)}, path, {"format": "other"})
    with pytest.raises(UnsupportedCheckpointError, match="its format is 'other'"):
        load_masked_encoder(path)
    wider = replace(encoder, network=MaskedNetwork(replace(encoder.network.sizes, hidden=40)))
    save_masked_encoder(wider, path)
    data = path.read_bytes().replace(b'"hidden":"40"', b'"hidden":"48"')
    path.write_bytes(data)
    with pytest.raises(UnsupportedCheckpointError, match="its header says"):
        load_masked_encoder(path)
    spoilt = MaskedNetwork(encoder.network.sizes)
    spoilt.out.bias.data[0] = float("nan")
    save_masked_encoder(replace(encoder, network=spoilt), path)
    with pytest.raises(UnsupportedCheckpointError, match="not finite"):
        load_masked_encoder(path)


@pytest.mark.cpu("reads a shipped file")
def test_the_demo_encoder_is_small_and_finds_the_demo_generators_codes():
    from chunky_core.checkpoints import load_generator

    generator = load_generator("demo")
    encoder = load_masked_encoder("demo", generator=generator)
    assert DEMO_FILE.stat().st_size <= 5e6
    w = sample_codes(generator, [70001, 70002, 70003], 0.8)[:, None].expand(-1, generator.num_ws, -1)
    with torch.no_grad():
        shown = generator.synthesis(w).clamp(-1, 1)
        mean = generator.synthesis(generator.w_avg.expand(1, generator.num_ws, -1))
        drawn = generator.synthesis(encoder.encode(generator, shown).tensor)
    assert float((drawn - shown).square().mean()) < 0.4 * float((mean - shown).square().mean())
