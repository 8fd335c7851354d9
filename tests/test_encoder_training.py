"""The training of a masked encoder: it learns, goes on to the bit, and keeps what is there."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from chunky_core.encoders.training import (
    PhotoExamples,
    encoder_of,
    load_training,
    save_training,
    train_masked_encoder,
)
from chunky_core.encoders.training.digests import digests_of
from chunky_core.encoders.training.masks import draw_masks
from chunky_core.encoders.training.objective import picture_loss
from chunky_core.encoders.training.pictures import disturb, draw_mixed_codes, draw_pool, from_bytes
from chunky_core.errors import InvalidInputError, UnsupportedCheckpointError, WrongGeneratorError
from chunky_core.losses.perceptual import load_perceptual_network
from tests.encoder_tools import small_config, small_examples
from tests.toy_networks import Colours, Means

pytestmark = pytest.mark.cpu("compares to the bit")


class InterruptedTrainingError(Exception):
    pass


def weights(encoder) -> dict[str, torch.Tensor]:
    return encoder.network.state_dict()


def assert_same(one, other) -> None:
    for name, tensor in weights(one).items():
        assert torch.equal(tensor, weights(other)[name]), name


def test_it_learns_the_codes_of_the_pictures_that_it_is_shown(generator):
    config = small_config(
        steps=150, batch=16, pool=16, pool_steps=10**6, picture_weight=0.0, learning_rate=3e-3
    )
    encoder = train_masked_encoder(generator, config)
    pool = draw_pool(generator, "w+", 16, 32, config.seed, 0)
    found = encoder.encode(generator, from_bytes(pool.images)).tensor
    numbers, truth = (encoder.whitening.whitened(ws) for ws in (found, pool.codes))
    error, alone = (numbers - truth).square().mean(), truth.square().mean()
    assert float(error) < 0.4 * float(alone)


def test_the_pictures_loss_alone_brings_the_drawn_picture_nearer(generator):
    config = small_config(steps=60, batch=8, code_weight=0.0, photo_share=0.0, picture_share=1.0, pool=4,
                          pool_steps=10**6, learning_rate=3e-3)  # fmt: skip
    encoder = train_masked_encoder(generator, config)
    pool = draw_pool(generator, "w+", 4, 32, config.seed, 0)
    target, ones = from_bytes(pool.images), torch.ones(4, 1, 32, 32)
    mean = generator.w_avg.expand(4, generator.num_ws, -1)
    found = encoder.encode(generator, target).tensor
    with torch.no_grad():
        near, far = (
            picture_loss(generator.synthesis(ws, out_resolution=32), target, ones, None)
            for ws in (found, mean)
        )
    assert float(near) < 0.6 * float(far)


def test_a_training_that_was_interrupted_goes_on_to_the_same_weights(generator, tmp_path):
    config, examples, network = small_config(), small_examples(), Colours()
    whole = train_masked_encoder(generator, config, examples=examples, perceptual=network)
    path = tmp_path / "state.safetensors"

    def stop(step: int, _total: int, _image) -> None:
        if step == 3:
            raise InterruptedTrainingError

    with pytest.raises(InterruptedTrainingError):
        train_masked_encoder(
            generator, config, examples=examples, perceptual=network, callback=stop,
            autosave=lambda state: save_training(state, path),
        )  # fmt: skip
    state = load_training(path)
    assert state.step == 3
    assert not torch.equal(weights(encoder_of(state))["out.bias"], weights(whole)["out.bias"])
    resumed = train_masked_encoder(generator, config, examples=examples, perceptual=network, resume=state)
    assert_same(resumed, whole)


def test_under_inference_mode_it_is_the_same_and_nothing_global_moves(generator):
    before = torch.get_rng_state()
    one = train_masked_encoder(generator, small_config(steps=2))
    with torch.inference_mode():
        other = train_masked_encoder(generator, small_config(steps=2))
    assert_same(one, other)
    assert torch.equal(before, torch.get_rng_state())


def test_only_steps_may_differ_and_the_generator_not(generator, make_generator):
    states = []
    train_masked_encoder(generator, small_config(steps=1), autosave=states.append)
    with pytest.raises(InvalidInputError, match="begun with batch 6, 7 is asked for"):
        train_masked_encoder(generator, small_config(batch=7), resume=states[0])
    with pytest.raises(WrongGeneratorError, match=generator.fingerprint[:12]):
        train_masked_encoder(make_generator(seed=1), small_config(), resume=states[0])
    longer = []
    train_masked_encoder(generator, small_config(steps=2), resume=states[0], autosave=longer.append)
    assert longer[-1].step == 2


def test_states_of_old_go_on_with_a_notice_and_new_ones_with_the_same_alone(generator, tmp_path):
    states = []
    train_masked_encoder(
        generator,
        small_config(steps=1),
        examples=small_examples(),
        perceptual=Colours(),
        autosave=states.append,
    )
    old = replace(states[0], digests={})
    save_training(old, tmp_path / "old.safetensors")
    with pytest.warns(UserWarning, match="with which photos and perceptual network"):
        train_masked_encoder(
            generator, small_config(steps=1), resume=load_training(tmp_path / "old.safetensors")
        )
    save_training(states[0], tmp_path / "new.safetensors")
    state = load_training(tmp_path / "new.safetensors")
    assert state.digests == states[0].digests and len(state.digests["photos"]) == 64
    other = small_examples()
    other.images[0, 0, 0, 0] += 1
    for given, said in (
        ({}, "begun with photos, it was to go on without photos"),
        ({"examples": other}, "begun with photos, it was to go on with others"),
        ({"examples": PhotoExamples(small_examples().images)}, "with others"),
        ({"examples": small_examples()}, "with a perceptual network, it was to go on without"),
        (
            {"examples": small_examples(), "perceptual": Means()},
            "a perceptual network, it was to go on with others",
        ),
    ):
        with pytest.raises(InvalidInputError, match=said):
            train_masked_encoder(generator, small_config(steps=2), resume=state, **given)


def test_a_network_s_digest_is_of_its_weights():
    first = load_perceptual_network("demo")
    again = load_perceptual_network("demo")
    assert digests_of(None, first) == digests_of(None, again) != digests_of(None, Colours())
    with torch.no_grad():
        next(again.network.parameters()).add_(1)
    assert digests_of(None, first) != digests_of(None, again)


@pytest.mark.parametrize("odd", ["generator", "config", "examples", "resume", "callback"])
def test_things_of_another_kind_are_refused(generator, odd):
    with pytest.raises(InvalidInputError, match="is of type|are of type"):
        train_masked_encoder(**{"generator": generator, "config": small_config(steps=1), odd: 3})


@pytest.mark.parametrize("seed", [0, (1 << 32) - 1])
def test_seeds_up_to_the_largest(generator, seed):
    one, other = (train_masked_encoder(generator, small_config(steps=1, seed=seed)) for _ in range(2))
    assert_same(one, other)


def test_previews_and_steps_reach_the_callback(generator):
    calls = []
    train_masked_encoder(
        generator, small_config(steps=2), examples=small_examples(), callback=lambda *call: calls.append(call)
    )
    assert [call[:2] for call in calls] == [(1, 2), (2, 2)]
    assert calls[0][2].shape == (1, 3, 64, 96) and float(calls[0][2].abs().max()) <= 1


def test_a_code_in_w_is_one_for_all_layers(generator):
    encoder = train_masked_encoder(generator, small_config(steps=1, space="w"))
    code = encoder.encode(generator, torch.zeros(2, 3, 64, 64))
    assert code.space == "w" and code.tensor.shape == (2, generator.w_dim)


def test_mixed_codes_are_those_of_w_and_mixtures(generator):
    rng = torch.Generator().manual_seed(0)
    plain = draw_mixed_codes(generator, "w", 8, rng)
    assert torch.equal(plain, plain[:, :1].expand_as(plain))
    mixed = draw_mixed_codes(generator, "w+", 60, rng)
    different = torch.tensor([len(torch.unique(ws, dim=0)) for ws in mixed])
    assert {1, 2, generator.num_ws} <= set(different.tolist())


def test_masks_are_of_every_kind_and_never_empty():
    labels = torch.zeros(64, 32, 32, dtype=torch.uint8)
    labels[:, 10:12, 10:12] = 3
    labels[0] = 5
    masks = draw_masks(64, 32, torch.Generator().manual_seed(0), labels)
    shares = masks.mean((1, 2, 3))
    assert masks.shape == (64, 1, 32, 32) and float(masks.min()) >= 0 and float(masks.max()) <= 1
    assert float(shares.min()) >= 1e-3 and float(shares.max()) == 1
    small = (shares < 0.01).sum()
    assert 2 <= int(small) <= 32  # the small class alone
    assert bool(((masks > 0.01) & (masks < 0.99)).any())
    again = draw_masks(64, 32, torch.Generator().manual_seed(0), labels)
    assert torch.equal(masks, again)


def test_only_pixels_inside_of_the_mask_are_judged():
    rng = torch.Generator().manual_seed(0)
    target, drawn = torch.rand(2, 2, 3, 32, 32, generator=rng)
    mask = torch.zeros(2, 1, 32, 32)
    mask[..., :16] = 1
    inside = picture_loss(torch.where(mask > 0, target, drawn), target, mask, Colours())
    outside = picture_loss(torch.where(mask > 0, drawn, target), target, mask, None)
    assert float(inside) == 0
    assert float(outside) == pytest.approx(float((drawn - target)[..., :16].square().mean()), rel=1e-5)


def test_disturbances_stay_in_range_and_differ_from_picture_to_picture():
    images = torch.zeros(6, 3, 16, 16)
    changed = disturb(images, torch.Generator().manual_seed(0))
    assert float(changed.abs().max()) <= 1 and len({round(float(one.std()), 6) for one in changed}) > 3


def test_another_file_is_no_training(tmp_path, generator):
    from chunky_core.encoders.masked_encoder import save_masked_encoder

    encoder = train_masked_encoder(generator, small_config(steps=1))
    save_masked_encoder(encoder, tmp_path / "encoder.safetensors")
    with pytest.raises(UnsupportedCheckpointError, match="no training of an encoder"):
        load_training(tmp_path / "encoder.safetensors")


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"space": "s"},
        {"photo_share": 2.0},
        {"learning_rate": 0.0},
        {"learning_rate": "1"},
        {"size": 33},
        {"size": 0},
        {"size": 32.0},
        {"channels": (8,)},
        {"channels": (8, 12)},
        {"channels": 8},
        {"channels": (8, "8")},
        {"hidden": 0},
        {"seed": 1 << 32},
        {"seed": -1},
        {"picture_weight": None},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InvalidInputError):
        small_config(**wrong)
