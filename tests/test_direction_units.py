"""Standard deviations of directions against codes that are drawn, and our own files of directions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

import chunky_core as cg
from chunky_core.editing import load_directions, save_directions
from chunky_core.editing.units import in_sigma
from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Calibration, Direction
from chunky_core.generator.statistics import GeneratorStatistics, draw_codes, measure_statistics

SAMPLES = 2000


@pytest.fixture(scope="module")
def measured(generator: Generator) -> GeneratorStatistics:
    return measure_statistics(generator, SAMPLES)


def vector(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_strength_1_in_w_is_one_standard_deviation_of_the_drawn_codes(
    generator: Generator, measured: GeneratorStatistics
) -> None:
    raw = Direction("d", "w", 7 * vector(generator.w_dim), unit="raw")
    scaled = in_sigma(generator, raw, measured)
    codes = draw_codes(generator, SAMPLES, 0)[1].cpu().double()
    along = codes @ (raw.tensor.double() / raw.tensor.double().norm())
    assert scaled.unit == "sigma"
    assert float(scaled.tensor.norm()) == pytest.approx(float(along.std(correction=0)), rel=1e-4)
    assert torch.cosine_similarity(scaled.tensor, raw.tensor, dim=0) > 1 - 1e-6
    again = in_sigma(generator, scaled, measured)
    assert torch.allclose(again.tensor, scaled.tensor, rtol=1e-5)


def test_in_wplus_the_layer_that_moves_most_moves_by_one(
    generator: Generator, measured: GeneratorStatistics
) -> None:
    one = in_sigma(generator, Direction("d", "w", vector(generator.w_dim), unit="raw"), measured)
    alike = Direction("d", "w+", vector(generator.w_dim).expand(generator.num_ws, -1), unit="raw")
    assert torch.allclose(
        in_sigma(generator, alike, measured).tensor, one.tensor.expand(generator.num_ws, -1)
    )
    faded = alike.tensor * torch.linspace(0, 1, generator.num_ws)[:, None]
    found = in_sigma(generator, replace(alike, tensor=faded), measured).tensor
    assert torch.allclose(found[-1], one.tensor, rtol=1e-5) and not found[0].any()
    kept = in_sigma(generator, replace(alike, tensor=faded, layers=(3,)), measured).tensor
    assert torch.allclose(kept[3], one.tensor, rtol=1e-5)


def test_in_s_a_single_channel_moves_by_its_own(generator: Generator, measured: GeneratorStatistics) -> None:
    tensor = torch.zeros_like(measured.style_std)
    tensor[5] = -20
    scaled = in_sigma(generator, Direction("d", "s", tensor, unit="raw"), measured).tensor
    assert scaled[5] == pytest.approx(-float(measured.style_std[5]))
    tensor[20] = 20
    both = in_sigma(generator, Direction("d", "s", tensor, unit="raw"), measured).tensor
    expected = float((measured.style_std[[5, 20]].square().sum() / 2).sqrt())
    assert float(both.norm()) == pytest.approx(expected)
    first = int(generator.style_layout[0][1]) + 1  # of a later layer
    tensor[first] = 3
    kept = in_sigma(generator, Direction("d", "s", tensor, layers=(1,), unit="raw"), measured).tensor
    assert kept[first] == pytest.approx(float(measured.style_std[first]))


def test_along_nothing_there_is_no_standard_deviation(
    generator: Generator, measured: GeneratorStatistics
) -> None:
    for tensor, space in ((torch.zeros(generator.w_dim), "w"), (torch.zeros_like(measured.style_std), "s")):
        with pytest.raises(InvalidInputError, match="no standard deviation"):
            in_sigma(generator, Direction("d", space, tensor), measured)
    with pytest.raises(InvalidInputError, match="7 numbers in W, a code of this generator"):
        in_sigma(generator, Direction("d", "w", torch.ones(7)), measured)


def test_files_that_say_no_unit_come_in_standard_deviations(generator: Generator, tmp_path: Path) -> None:
    raw = vector(generator.w_dim)
    np.save(tmp_path / "d.npy", raw.numpy())
    folder = tmp_path / "statistics"
    found = load_directions(tmp_path / "d.npy", generator=generator, folders=[folder])["d"]
    assert found.unit == "sigma" and list(folder.iterdir())
    unscaled = load_directions(tmp_path / "d.npy", generator=generator, unit="raw")["d"]
    assert unscaled.unit == "raw" and torch.equal(unscaled.tensor, raw)
    assert load_directions(tmp_path / "d.npy")["d"].unit == "raw"
    with pytest.raises(InvalidInputError, match="only the generator tells"):
        load_directions(tmp_path / "d.npy", unit="sigma")
    with pytest.raises(InvalidInputError, match="unit is 'meters'"):
        load_directions(tmp_path / "d.npy", unit="meters")  # type: ignore[arg-type]


def everything(generator: Generator) -> list[Direction]:
    calibration = Calibration("age", 0.5, 0.97, 100, (-2.0, 3.0))
    styles = sum(width for _, width in generator.style_layout)
    return [
        Direction("age", "w", vector(generator.w_dim), "from young to old", (4, 5), "age", "found by hand", "CC0-1.0",
                  generator.fingerprint, calibration),
        Direction("pose/yaw", "w+", vector(generator.num_ws, generator.w_dim, seed=1), unit="sigma"),
        Direction("größe", "s", vector(styles, seed=2), layers=(0, 3), unit="raw"),
    ]  # fmt: skip


@pytest.mark.parametrize("with_generator", [False, True])
def test_our_own_files_keep_everything(generator: Generator, tmp_path: Path, with_generator: bool) -> None:
    path = tmp_path / "own.safetensors"
    saved = everything(generator)
    save_directions(iter(saved), path)
    found = cg.load_directions(path, generator=generator if with_generator else None)
    assert list(found) == sorted(one.name for one in saved)
    for one in saved:
        assert torch.equal(found[one.name].tensor, one.tensor)
        assert replace(found[one.name], tensor=one.tensor).__dict__ == one.__dict__
    with safe_open(path, "pt") as file:
        assert file.metadata()["format"] == "chunkygan-directions"


def test_one_may_be_asked_for_where_others_do_not_fit(generator: Generator, tmp_path: Path) -> None:
    fitting, other = everything(generator)[0], Direction("other", "w", torch.ones(7))
    save_directions([other, fitting], tmp_path / "mixed.safetensors")
    assert list(load_directions(tmp_path / "mixed.safetensors", generator=generator, only="age")) == ["age"]
    for only in ("", "other"):
        with pytest.raises(InvalidInputError, match="mixed.safetensors: .*'other' has 7 numbers in W"):
            load_directions(tmp_path / "mixed.safetensors", generator=generator, only=only)
    assert list(load_directions("demo", only="gaze")) == ["gaze", "gaze_x"]
    assert load_directions("demo", only="grin") == {}


def test_what_cannot_be_saved(generator: Generator, tmp_path: Path) -> None:
    one = everything(generator)[0]
    for given, name, words in (
        ([], "d.safetensors", "at least one"),
        ([one, one], "d.safetensors", "another name"),
        ([one], "d.npy", "doesn't end in .safetensors"),
        ([replace(one, tensor=one.tensor / 0)], "d.safetensors", "aren't finite"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            cg.save_directions(given, tmp_path / name)
        assert not (tmp_path / name).exists()


def test_a_header_of_other_things_is_damaged(generator: Generator, tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    save_directions(everything(generator)[:1], path)
    data = path.read_bytes()
    for old, new in ((rb'\"space\": \"w\"', rb'\"space\": \"v\"'), (rb'\"r2\": 0.97', rb'\"r3\": 0.97'),
                     (rb'\"layers\": [4, 5]', rb'\"layers\": [4, -]'), (rb'[-2.0, 3.0]', rb'{"a":  3.0}')):  # fmt: skip
        assert data.count(old) == 1
        path.write_bytes(data.replace(old, new))
        with pytest.raises(InvalidInputError, match=r"no directions from .*own\.safetensors"):
            load_directions(path)


def test_the_demos_say_what_they_are() -> None:
    demo_generator = cg.load_generator("demo")
    found = cg.load_directions("demo", generator=demo_generator)
    assert found["gaze"] is found["gaze_x"]
    smile = found["smile"]
    assert (smile.unit, smile.space) == ("sigma", "w") and "frown" in smile.description
    assert smile.fingerprint == demo_generator.fingerprint
    assert torch.equal(smile.tensor, cg.load_directions("demo")["smile"].tensor)
