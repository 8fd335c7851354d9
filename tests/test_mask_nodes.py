"""Segment Masks, Label Map from Image and Face Parsing on the double of the host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.pack_on_double import Pack
from tests.segformer_files import NAMES, write_tiny_parser

SIZE = 64
SEGMENTS, LABELS, PARSING = "ChunkyGAN_SegmentMasks", "ChunkyGAN_LabelMapFromImage", "ChunkyGAN_FaceParsing"
HARD = {"grow": 0, "feather": 0.0}


def a_photo(count: int = 1) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 5, 5, generator=rng)
    smooth = torch.nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bicubic").clamp(0, 1)
    return ((smooth * 255).round() / 255).movedim(1, -1).contiguous()


def squares() -> Tensor:
    """Labels of three squares on a background, [H,W]."""
    labels = torch.zeros(SIZE, SIZE, dtype=torch.long)
    labels[8:24, 8:24], labels[8:24, 40:56], labels[40:56, 16:48] = 1, 2, 3
    return labels


COLOURS = torch.tensor([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]])
PALETTE = "#000000 background\n#ff0000 l_eye\n#00ff00 r_eye\n#0000ff mouth"


def label_image() -> Tensor:
    """Host IMAGE of the squares."""
    return COLOURS[squares()][None] / 255


def soft_alpha() -> Tensor:
    """Host alpha [1,H,W], 1 = transparent, with a half-transparent rim."""
    alpha = torch.ones(1, SIZE, SIZE)
    alpha[:, 15:49, 15:49] = 0.5
    alpha[:, 16:48, 16:48] = 0
    return alpha


def test_a_colour_picture_becomes_segments(pack: Pack) -> None:
    label_map, names = pack.run(LABELS, image=label_image(), palette=PALETTE)
    assert names == "background, l_eye, r_eye, mouth"
    (made,) = pack.run(SEGMENTS, image=a_photo(), label_map=label_map, rename="l_eye + r_eye = eyes", **HARD)
    (segments,) = made
    assert segments.names == ("eyes", "mouth")
    assert torch.equal(segments.masks[0, 0], ((squares() == 1) | (squares() == 2)).float())
    assert torch.equal(segments.static[0, 0], (squares() == 0).float())


def test_auto_colours_can_be_named_and_kept_static_later(pack: Pack) -> None:
    label_map, names = pack.run(LABELS, image=label_image())
    assert set(names.split(", ")) == {"#000000", "#ff0000", "#00ff00", "#0000ff"}
    ((segments,),) = pack.run(
        SEGMENTS,
        image=a_photo(),
        label_map=label_map,
        rename="#000000 = background\n#0000ff = mouth",
        static="background, #ff0000, #00ff00",
        **HARD,
    )
    assert segments.names == ("mouth",)
    assert torch.equal(segments.static[0, 0], (squares() != 3).float())


def test_grey_levels_are_labels(pack: Pack) -> None:
    picture = (squares()[None, ..., None].expand(-1, -1, -1, 3) / 255).contiguous()
    label_map, names = pack.run(LABELS, image=picture)
    assert names == "0, 1, 2, 3" and torch.equal(label_map.labels[0].long(), squares())
    _, names = pack.run(LABELS, image=picture, palette="0 rest\n1 eye\n2 eye\n3 mouth")
    assert names == "rest, eye, mouth"


def test_every_label_picture_of_a_batch_has_its_map(pack: Pack) -> None:
    pictures = torch.cat([label_image(), label_image().flip(1)])
    label_map, _ = pack.run(LABELS, image=pictures, palette=PALETTE)
    (made,) = pack.run(SEGMENTS, image=a_photo(2), label_map=label_map, **HARD)
    assert len(made) == 2 and torch.equal(made[1].masks, made[0].masks.flip(2))


def test_alpha_makes_one_subject(pack: Pack) -> None:
    alpha = soft_alpha()
    for gaps in ("static", "nearest"):
        ((segments,),) = pack.run(SEGMENTS, image=a_photo(), alpha=alpha, gaps=gaps, grow=3, feather=0.0)
        assert segments.names == ("subject",)
        assert torch.equal(segments.masks[0], 1 - alpha) and torch.equal(segments.static[0], alpha)
    assert torch.equal(alpha, soft_alpha())
    ((renamed,),) = pack.run(
        SEGMENTS, image=a_photo(), alpha=alpha, rename="subject = me\nbackground = rest", **HARD
    )
    assert renamed.names == ("me",) and torch.equal(renamed.static[0], alpha)


def test_an_opaque_picture_is_all_subject(pack: Pack) -> None:
    ((segments,),) = pack.run(SEGMENTS, image=a_photo(), alpha=torch.zeros(1, SIZE, SIZE))
    assert segments.names == ("subject",) and (segments.masks == 1).all()


def test_each_photo_has_its_alpha(pack: Pack) -> None:
    alphas = torch.cat([soft_alpha(), soft_alpha().roll(5, dims=2)])
    (made,) = pack.run(SEGMENTS, image=a_photo(2), alpha=alphas, **HARD)
    assert torch.equal(torch.cat([one.static[0] for one in made]), alphas)


def test_masks_can_be_merged(pack: Pack) -> None:
    masks = torch.stack([(squares() == label).float() for label in (1, 2, 3)])
    ((segments,),) = pack.run(
        SEGMENTS, image=a_photo(), masks=masks, names="a, b, c", rename="a + b = eyes, c = mouth", **HARD
    )
    assert segments.names == ("eyes", "mouth")
    assert torch.equal(segments.masks[0, 0], masks[0] + masks[1])


def test_only_makes_few_segments_and_names_are_known_in_any_case(pack: Pack) -> None:
    label_map, _ = pack.run(LABELS, image=label_image(), palette=PALETTE)
    ((segments,),) = pack.run(
        SEGMENTS,
        image=a_photo(),
        label_map=label_map,
        static="Background",
        rename="L_Eye = left_eye\nr_eye = right_eye",
        only="Eyes",
        grow=2,
        feather=0.0,
    )
    assert segments.names == ("left_eye", "right_eye")
    assert (segments.static[0, 0][squares() == 3] == 1).all()
    masks = torch.stack([(squares() == label).float() for label in (1, 2, 3)])
    ((segments,),) = pack.run(
        SEGMENTS, image=a_photo(), masks=masks, names="a, b, c", only="C", gaps="nearest", **HARD
    )
    assert (
        segments.names == ("c",) and (segments.static[0, 0][(squares() == 1) | (squares() == 2)] == 1).all()
    )
    ((segments,),) = pack.run(SEGMENTS, image=a_photo(), alpha=soft_alpha(), only="subject", **HARD)
    assert segments.names == ("subject",)


MASK_TAKERS: dict[str, dict[str, Any]] = {
    SEGMENTS: {"image": a_photo(), "masks": None, "names": "face", **HARD},
    "ChunkyGAN_AddSegment": {"mask": None},
    "ChunkyGAN_AlignFace": {"image": a_photo(), "size": 64, "mask": None},
    "ChunkyGAN_PoissonBlend": {"picture": a_photo().flip(1), "photo": a_photo(), "mask": None},
}


def with_mask(pack: Pack, node: str, mask: Tensor) -> Any:
    given = MASK_TAKERS[node]
    (result, *_) = pack.run(node, **{key: mask if value is None else value for key, value in given.items()})
    return result if isinstance(result, Tensor) else torch.cat([one.masks for one in result])


@pytest.mark.parametrize("node", MASK_TAKERS)
def test_masks_of_other_packs_are_taken_alike(pack: Pack, node: str) -> None:
    mask = (squares() == 3).float()
    expected = with_mask(pack, node, mask[None])
    for other in (mask, mask[None, None], mask[None, ..., None], mask[None] * 1.2 - 0.1, mask.double()):
        assert torch.equal(with_mask(pack, node, other), expected)
    for bad, found in (
        (mask[None] * 255, r"values in 0\.\.255, expected 0\.\.1"),
        (mask[None] * torch.nan, "values in nan"),
        (mask[None].repeat(3, 1, 1)[None], r"shape \[1, 3, 64, 64\]; expected a MASK"),
        (mask[0], r"shape \[64\]; expected a MASK"),
    ):
        with pytest.raises(pack.errors.InvalidInputError, match=found):
            with_mask(pack, node, bad)


def test_one_name_and_a_mask_for_each_photo(pack: Pack) -> None:
    masks = torch.stack([(squares() == label).float() for label in (1, 3)])
    (made,) = pack.run(SEGMENTS, image=a_photo(2), masks=masks, names="face", **HARD)
    assert torch.equal(torch.cat([one.masks[0] for one in made]), masks)
    with pytest.raises(pack.errors.InvalidInputError, match="1 name for 2 masks.*each photo .* Add Segment"):
        pack.run(SEGMENTS, image=a_photo(3), masks=masks, names="face", **HARD)


@pytest.fixture(scope="module")
def parser(pack: Pack) -> str:
    pytest.importorskip("transformers", reason="face parsing needs transformers")
    write_tiny_parser(Path(pack.base) / "models" / "face_parsing" / "tiny" / "faces", SIZE)
    return "tiny/faces"


def test_face_parsing_names_the_areas(pack: Pack, parser: str) -> None:
    (model,) = [entry for entry in pack.schemas[PARSING].inputs if entry.id == "model"]
    assert model.widget["options"] == [parser]
    photos = a_photo(2)
    pack.sent.clear()
    label_map, names = pack.run(PARSING, image=photos, model=parser)
    assert [value for value, _, _ in pack.sent] == [1, 2]
    assert label_map.labels.shape == (2, SIZE, SIZE) and label_map.names == dict(enumerate(NAMES))
    assert not label_map.labels.is_inference()
    assert names.split(", ") == [NAMES[label] for label in label_map.labels.unique().tolist()]
    alone, _ = pack.run(PARSING, image=photos[1:], model=parser)
    assert torch.equal(alone.labels[0], label_map.labels[1])
    ((segments, _),) = pack.run(SEGMENTS, image=photos, label_map=label_map, static="", **HARD)
    assert set(segments.names) <= set(NAMES)
    assert torch.equal(segments.masks[0, 0], (label_map.labels[0] == NAMES.index(segments.names[0])).float())


def test_face_parsing_can_be_interrupted(pack: Pack, parser: str) -> None:
    pack.management.interrupted = True
    with pytest.raises(pack.management.InterruptProcessingException):
        pack.run(PARSING, image=a_photo(), model=parser)


def test_a_face_parsing_folder_that_is_gone_is_explained_before_the_run(pack: Pack, parser: str) -> None:
    node = pack.nodes[PARSING]
    assert node.validate_inputs(model=parser) is True and node.validate_inputs() is True
    assert "no face parsing model 'gone'" in node.validate_inputs(model="gone")
    assert node.fingerprint_inputs(model="gone") != node.fingerprint_inputs(model=parser)


def test_face_parsing_runs_again_when_its_files_change(pack: Pack, parser: str) -> None:
    node = pack.nodes[PARSING]
    before = node.fingerprint_inputs(model=parser, image=None)
    assert before == node.fingerprint_inputs(model=parser, image=None)
    path = Path(pack.base) / "models" / "face_parsing" / parser / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"note": "edited"}))
    assert before != node.fingerprint_inputs(model=parser, image=None)


@pytest.mark.parametrize(
    ("node", "given", "message"),
    [
        (SEGMENTS, {"alpha": soft_alpha(), "masks": soft_alpha()}, "masks and alpha are connected together"),
        (SEGMENTS, {"alpha": torch.ones(1, SIZE, SIZE)}, "'subject' is empty"),
        (
            SEGMENTS,
            {"image": a_photo()[:, :48], "alpha": torch.zeros(1, 64, 64)},
            "constant 64x64 placeholder",
        ),
        (SEGMENTS, {"alpha": soft_alpha().repeat(3, 1, 1)}, "3 sets of segments for 1 photo"),
        (SEGMENTS, {"alpha": soft_alpha(), "rename": "hat = hair"}, "no area 'hat' to rename"),
        (
            SEGMENTS,
            {"alpha": soft_alpha(), "only": "mouth"},
            "only: there is no area 'mouth'; expected one of",
        ),
        (SEGMENTS, {"alpha": soft_alpha(), "only": "background"}, "only and static both name 'background'"),
        (SEGMENTS, {"alpha": soft_alpha(), "rename": "subject"}, "'subject' is incomplete"),
        (LABELS, {"image": a_photo()}, "colours, expected at most 64"),
        (LABELS, {"image": label_image(), "palette": "#000 a\n#f00 b\n#00f c"}, "256 pixels (6.25%)"),
        (LABELS, {"image": label_image(), "palette": "red mouth"}, "'red mouth' is not understood"),
        (PARSING, {"model": "nobody"}, "there is no face parsing model 'nobody'"),
        (PARSING, {"model": "no model in models/face_parsing"}, "press R"),
    ],
)
def test_bad_input_is_refused_in_plain_words(
    pack: Pack,
    node: str,
    given: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(pack.errors.ChunkyError) as caught:
        pack.run(node, **{"image": a_photo()} | given)
    assert message in str(caught.value).splitlines()[0], caught.value
