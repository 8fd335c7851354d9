from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from chunky_core.errors import ChunkyError, InvalidInputError, MissingWeightsError, UnsupportedCheckpointError
from chunky_core.images import to_uint8
from chunky_core.segments.parsing import load_parser
from chunky_core.segments.parsing.settings import preprocessing_of
from tests.segformer_files import NAMES, write_tiny_parser

transformers = pytest.importorskip("transformers", reason="face parsing needs transformers")

SIZE = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parser")
    write_tiny_parser(path, SIZE)
    return path


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "parser"))


def a_photo(size: int, seed: int = 0) -> Tensor:
    coarse = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    smooth = F.interpolate(coarse, (size, size), mode="bicubic").clamp(0, 1)
    return (smooth * 255).round() / 127.5 - 1


def change(path: Path, **values: Any) -> None:
    """Sets keys of a JSON file; None removes one."""
    content = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def by_transformers(folder: Path, photo: Tensor) -> Tensor:
    """The package's own way from an 8-bit photo to logits at its size."""
    processor = transformers.SegformerImageProcessor.from_pretrained(folder)
    network = transformers.SegformerForSemanticSegmentation.from_pretrained(folder).eval()
    with torch.no_grad():
        logits = network(**processor(to_uint8(photo)[0].numpy(), return_tensors="pt")).logits
    return F.interpolate(logits, photo.shape[-2:], mode="bilinear", align_corners=False)


def test_logits_are_those_of_the_package(folder: Path) -> None:
    photo = a_photo(SIZE)
    parser = load_parser(folder)
    expected = by_transformers(folder, photo)
    with torch.no_grad():
        assert torch.allclose(parser(photo), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    labels = parser.labels(photo)
    assert labels.dtype == torch.uint8 and labels.shape == (1, SIZE, SIZE) and len(labels.unique()) > 1
    assert torch.equal(labels, expected.argmax(dim=1).to(torch.uint8))
    assert parser.names == dict(enumerate(NAMES))


@pytest.mark.parametrize("size", [40, 150])
@pytest.mark.parametrize("resample", [2, 3])
def test_other_sizes_are_resized_as_the_package_does(copy: Path, size: int, resample: int) -> None:
    change(copy / "preprocessor_config.json", resample=resample)
    photo, parser = a_photo(size, seed=1), load_parser(copy)
    processor = transformers.SegformerImageProcessor.from_pretrained(copy)
    expected = processor(to_uint8(photo)[0].numpy(), return_tensors="pt")["pixel_values"]
    level = 1 / 255 / 0.224
    assert (parser.preprocess(photo) - expected).abs().max() < 1.01 * level  # both round to 8 bits
    labels = parser.labels(photo)
    assert labels.shape == (1, size, size)
    assert (labels == by_transformers(copy, photo).argmax(dim=1)).float().mean() > 0.97


def test_loading_leaves_the_random_state_alone(folder: Path) -> None:
    before = torch.get_rng_state()
    parser = load_parser(folder)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(weights.requires_grad for weights in parser.parameters()) and not parser.network.training


def test_code_and_other_files_of_the_folder_do_not_matter(copy: Path) -> None:
    photo = a_photo(SIZE)
    expected = load_parser(copy).labels(photo)
    (copy / "evil.py").write_text("raise SystemExit('code of the folder was run')")
    (copy / "pytorch_model.bin").write_bytes(b"\x80\x04cposix\nsystem\n.")
    (copy / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/else"}')
    change(
        copy / "config.json", auto_map={"AutoModel": "evil.Model"}, quantization_config={"load_in_4bit": True}
    )
    change(copy / "config.json", attn_implementation="someone/kernel", _attn_implementation="someone/kernel")
    assert torch.equal(load_parser(copy).labels(photo), expected)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_missing_files_are_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(MissingWeightsError, match=f"has no {name}; expected the folder of a SegFormer"):
        load_parser(copy)


def test_a_missing_package_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingWeightsError, match="install it with: pip install transformers"):
        load_parser(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "mask2former"}, "a 'mask2former' network; expected 'segformer'"),
        ({"num_channels": 4}, "takes 4 channels"),
        ({"id2label": None}, "names no labels"),
        ({"id2label": {"0": "a", "2": "b"}}, "names no labels"),
        ({"id2label": {"0": "a", "1": ""}}, "without a name"),
        ({"id2label": {"0": "a", "1": "b"}}, "does not fit its config.json: 2 weights"),
        ({"depths": [1]}, "has 2 blocks, but not as many"),
        ({"depths": [1, 1.5]}, "depths has 1.5; expected whole numbers"),
        ({"hidden_sizes": [8, 10**9]}, "hidden_sizes has 1000000000"),
        ({"hidden_sizes": [8, 32]}, "does not fit its config.json"),
        ({"num_attention_heads": [1, 3]}, "of another size"),
        ({"hidden_act": "frobnicate"}, "expected one of gelu"),
        ({"hidden_act": ["gelu"]}, "expected one of gelu"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps has nan"),
        ({"depths": [100, 100], "hidden_sizes": [8, 2048]}, "does not fit its config.json"),
        ({"sr_ratios": [64, 1]}, "numbers in one result|does not fit"),
        ({"num_encoder_blocks": 9}, "num_encoder_blocks has 9; expected whole numbers in 1..8"),
        ({"id2label": {"0": "a", "1": "b" * 300}}, "at most 100 printable characters"),
        ({"model_type": ["x"] * 1000}, "network; expected 'segformer'"),
    ],
)
def test_bad_configurations_are_refused(copy: Path, changes: dict[str, Any], message: str) -> None:
    change(copy / "config.json", **changes)
    with pytest.raises(UnsupportedCheckpointError, match=message):
        load_parser(copy)


def test_damaged_files_are_refused(copy: Path) -> None:
    for name, content in [("config.json", "{"), ("config.json", "[" * 100000), ("config.json", "3")]:
        kept = (copy / name).read_bytes()
        (copy / name).write_text(content)
        with pytest.raises(UnsupportedCheckpointError, match="config.json"):
            load_parser(copy)
        (copy / name).write_bytes(kept)
    state = load_file(copy / "model.safetensors")
    first = sorted(state)[0]
    save_file({name: value for name, value in state.items() if name != first}, copy / "model.safetensors")
    with pytest.raises(UnsupportedCheckpointError, match=f"1 weights are missing.*{first}"):
        load_parser(copy)
    (copy / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(UnsupportedCheckpointError, match="can't be used: it is a text file"):
        load_parser(copy)


def test_a_network_too_large_for_its_pictures_is_refused_before_it_is_built(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = transformers.SegformerForSemanticSegmentation
    monkeypatch.setattr(network, "from_pretrained", lambda *_, **__: pytest.fail("a network was built"))
    change(copy / "config.json", strides=[1, 1], sr_ratios=[1, 1])
    change(copy / "preprocessor_config.json", size={"height": 2048, "width": 2048})
    with pytest.raises(UnsupportedCheckpointError, match="2048x2048.*numbers in one result.*smaller"):
        load_parser(copy)
    change(copy / "preprocessor_config.json", size={"height": 4096, "width": 64})
    with pytest.raises(
        UnsupportedCheckpointError, match=r"size has 4096; expected whole numbers in 1\.\.2048"
    ):
        load_parser(copy)
    change(copy / "preprocessor_config.json", size={"height": 64, "width": 64})
    change(
        copy / "config.json", strides=[4, 2], sr_ratios=[2, 1], hidden_sizes=[2048, 2048], depths=[100, 100]
    )
    with pytest.raises(UnsupportedCheckpointError, match="does not fit its config.json"):
        load_parser(copy)


def test_a_photo_beyond_a_network_without_a_size_is_refused(copy: Path) -> None:
    change(copy / "preprocessor_config.json", do_resize=False)
    parser = load_parser(copy)
    assert parser.labels(a_photo(100)).shape == (1, 100, 100)
    for side in (1, 4096):  # no pixel for the keys of a stage; too many
        photo = torch.zeros(1, 3, 1, 1).expand(1, 3, side, side)
        with pytest.raises(InvalidInputError, match=f"{side}x{side} pixels.*resize it"):
            parser.labels(photo)


def test_labels_of_many_classes_are_those_of_all_logits_at_once(tmp_path: Path) -> None:
    write_tiny_parser(tmp_path, SIZE, names=[f"area {label}" for label in range(27)])
    parser, photo = load_parser(tmp_path), a_photo(150, seed=3)
    with torch.no_grad():
        expected = parser(photo).argmax(dim=1)
    assert len(expected.unique()) > 8 and torch.equal(parser.labels(photo), expected.to(torch.uint8))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.onnx", "model.safetensors.index.json"])
def test_weights_of_another_kind_are_named_with_the_way_to_convert_them(copy: Path, name: str) -> None:
    (copy / "model.safetensors").unlink()
    (copy / name).write_bytes(b"x")
    with pytest.raises(
        MissingWeightsError, match=rf"has no model.safetensors.*It has {name}.*save_pretrained"
    ):
        load_parser(copy)


def test_weights_that_are_none_are_named(copy: Path) -> None:
    path = copy / "model.safetensors"
    state = {
        name: tensor.clone() for name, tensor in load_file(path).items()
    }  # no view: the file is written over
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"
    cut = path.read_bytes()[:-4]
    for content, said in ((b"", "empty"), (pointer, "Git LFS pointer"), (cut, "ends in the middle")):
        path.write_bytes(content)
        with pytest.raises(UnsupportedCheckpointError, match=said) as error:
            load_parser(copy)
        assert "StyleGAN" not in str(error.value) and "\n" not in str(error.value)
    torch.save(state, path)
    with pytest.raises(UnsupportedCheckpointError, match="it is a torch zip file"):
        load_parser(copy)
    state["decode_head.classifier.bias"][0] = float("nan")
    save_file(state, path)
    with pytest.raises(UnsupportedCheckpointError, match=r"classifier\.bias isn't finite"):
        load_parser(copy)


ODD = (
    None,
    True,
    0,
    -1,
    1,
    3,
    2048,
    10**30,
    0.5,
    1e400,
    float("nan"),
    "",
    "gelu",
    "x" * 5000,
    [],
    [0],
    [1, 2],
    {},
    {"a": 1},
)


def test_damaged_settings_end_in_our_own_errors(copy: Path) -> None:
    """200 files with one or two settings changed: a parser that works, or a ChunkyError of one line."""
    rng, originals = Random(0), {name: json.loads((copy / name).read_text()) for name in SETTINGS}
    photo, loaded = a_photo(48), 0
    for _ in range(200):
        for name, content in originals.items():
            (copy / name).write_text(json.dumps(damaged(content, rng)))
        try:
            assert load_parser(copy).labels(photo).shape == (1, 48, 48)
            loaded += 1
        except ChunkyError as error:
            assert "\n" not in str(error) and len(str(error)) < 1500
    assert 20 < loaded < 180


SETTINGS = ("config.json", "preprocessor_config.json")


def damaged(content: dict[str, Any], rng: Random) -> dict[str, Any]:
    content = json.loads(json.dumps(content))
    for _ in range(rng.choice((1, 1, 2))):
        key = rng.choice(sorted(content))
        value = content[key]
        if isinstance(value, list) and value and rng.random() < 0.6:
            value[rng.randrange(len(value))] = rng.choice(ODD)
        elif isinstance(value, dict) and value and rng.random() < 0.6:
            value[rng.choice([*value, "7"])] = rng.choice(ODD)
        elif rng.random() < 0.2:
            del content[key]
        else:
            content[key] = rng.choice(ODD)
    return content


def test_preparations() -> None:
    photo = a_photo(10)
    plain = preprocessing_of({"do_resize": False, "do_normalize": False})
    assert torch.allclose(plain(photo), photo / 2 + 0.5)
    assert preprocessing_of({"size": 128}).size == (128, 128)
    assert preprocessing_of({"size": {"height": 20, "width": 30}})(photo).shape == (1, 3, 20, 30)
    raw = preprocessing_of(
        {"do_resize": False, "do_rescale": False, "image_mean": [1, 2, 3], "image_std": [2, 2, 4]}
    )
    assert torch.allclose(raw(photo)[0, 2], ((photo[0, 2] + 1) * 127.5 - 3) / 4)
    for bad in ({"size": {"shortest_edge": 5}}, {"size": "big"}, {"resample": [2]}, {"image_std": [0, 1, 1]}):
        with pytest.raises(ChunkyError):
            preprocessing_of(bad)


def test_bad_photos_are_refused(folder: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"\[1, 1, 64, 64\]; expected \[B,3,H,W\]"):
        load_parser(folder).labels(torch.zeros(1, 1, SIZE, SIZE))


def test_names_with_commas_and_a_byte_order_mark_can_be_used(copy: Path) -> None:
    config = copy / "config.json"
    change(
        config,
        id2label={str(i): name for i, name in enumerate(["background", "wall, brick", "a:b", "c", "d"])},
    )
    config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes())
    assert list(load_parser(copy).names.values()) == ["background", "wall brick", "a b", "c", "d"]
