"""The nodes on a double of the host: their schemas, and the whole graph as the host runs it."""

from __future__ import annotations

import inspect
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from tests.pack_on_double import ROOT, SIZE, TINY, Pack

NAMES = "left_eye, right_eye, mouth"


class Graph(NamedTuple):
    """The results of one run through all nodes, each in its own right."""

    photo: Tensor
    segments: tuple[Any, ...]
    generator: Any
    inversion: tuple[Any, ...]
    picture: Tensor


def eight_bit(image: Tensor) -> Tensor:
    """What the host's savers make of an IMAGE: they truncate."""
    return (image * 255).clamp(0, 255).to(torch.uint8)


def a_photo(seed: int, count: int = 1) -> Tensor:
    """Smooth colours on the 8-bit grid, as a loader gives them."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 6, 6, generator=rng)
    smooth = torch.nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bicubic").clamp(0, 1)
    return ((smooth * 255).round() / 255).movedim(1, -1).contiguous()


def three_masks() -> Tensor:
    masks = torch.zeros(3, SIZE, SIZE)
    masks[0, 12:28, 8:28] = masks[1, 12:28, 36:56] = masks[2, 40:54, 16:48] = 1
    return masks


@pytest.fixture(scope="module")
def graph(pack: Pack) -> Graph:
    photo = a_photo(0)
    (segments,) = pack.run("ChunkyGAN_SegmentMasks", image=photo, masks=three_masks(), names=NAMES)
    (generator,) = pack.run("ChunkyGAN_LoadStyleGAN", name=TINY)
    inversion, picture = pack.run(
        "ChunkyGAN_SegmentedProjection", generator=generator, image=photo, segments=segments, steps=20
    )
    return Graph(photo, segments, generator, inversion, picture)


def edit(pack: Pack, graph: Graph, **given: Any) -> tuple[Any, ...]:
    defaults = {"generator": graph.generator, "inversion": graph.inversion, "direction": f"{TINY}/smile"}
    return pack.run("ChunkyGAN_LatentEdit", **defaults | given)


def test_library_use_needs_no_host() -> None:
    code = (
        "import sys, importlib; sys.path.insert(0, sys.argv[1]); pack = importlib.import_module(sys.argv[2])"
    )
    check = f"{code}; assert pack.__all__ == [], pack"
    subprocess.run([sys.executable, "-I", "-c", check, str(ROOT.parent), ROOT.name], check=True)


def test_schemas_are_complete(pack: Pack) -> None:
    schemas = pack.schemas
    assert len(schemas) >= 11
    for name, schema in schemas.items():
        assert name.startswith("ChunkyGAN_") and schema.category.startswith("ChunkyGAN/"), name
        assert schema.display_name and schema.description and schema.search_aliases, name
        for entry in [*schema.inputs, *schema.outputs]:
            assert entry.tooltip, f"{name}: no tooltip on {entry}"
            assert entry.display_name or hasattr(entry, "id"), f"{name}: unnamed output {entry}"
    displayed = [schema.display_name for schema in schemas.values()]
    assert len(set(displayed)) == len(displayed)


@pytest.mark.parametrize("wish", ["face edit", "remove glasses", "age", "inpaint face", "gan", "face mask"])
def test_what_users_search_for_finds_a_node(pack: Pack, wish: str) -> None:
    assert any(wish in schema.search_aliases for schema in pack.schemas.values())


def test_search_aliases_add_to_the_display_name(pack: Pack) -> None:
    for name, schema in pack.schemas.items():
        aliases = schema.search_aliases
        assert len(set(aliases)) == len(aliases) >= 3, name
        assert all(alias == alias.strip().lower() != schema.display_name.lower() for alias in aliases), name


def test_signatures_follow_the_schemas(pack: Pack) -> None:
    for name, node in pack.nodes.items():
        inputs = node.GET_SCHEMA().inputs
        signature = inspect.signature(node.execute)
        signature.bind(**{entry.id: None for entry in inputs})
        signature.bind(**{entry.id: None for entry in inputs if not entry.optional})
        optional = {entry.id for entry in inputs if entry.optional}
        defaults = {
            key for key, one in signature.parameters.items() if one.default is not inspect.Parameter.empty
        }
        assert defaults == optional, name


def test_widget_defaults_lie_in_their_ranges(pack: Pack) -> None:
    for name, schema in pack.schemas.items():
        for entry in schema.inputs:
            widget = entry.widget or {}
            if "min" in widget:
                assert widget["min"] <= widget["default"] <= widget["max"], f"{name}.{entry.id}"
            if entry.io_type == "COMBO" and widget.get("default") is not None:
                assert widget["default"] in widget["options"], f"{name}.{entry.id}"


def test_every_node_has_a_help_page_that_names_its_inputs(pack: Pack) -> None:
    for name, schema in pack.schemas.items():
        page = (ROOT / "web" / "docs" / f"{name}.md").read_text(encoding="utf-8")
        for entry in schema.inputs:
            assert f"**{entry.id}**" in page, f"{name}: the help page does not explain {entry.id}"
    pages = {path.stem for path in (ROOT / "web" / "docs").glob("*.md")}
    assert pages == set(pack.nodes)


def test_projection_under_inference_mode_fits_the_photo(graph: Graph) -> None:
    (record,) = graph.inversion
    assert record.names == ("left_eye", "right_eye", "mouth")
    for name, curve in record.losses.items():
        assert len(curve) == 20 and min(curve[-5:]) < 0.8 * curve[0], name
    tensors = [record.photo, record.static_mask, *(s.mask for s in record.segments)]
    tensors += [s.code.tensor for s in record.segments]
    assert not any(tensor.is_inference() or tensor.requires_grad for tensor in tensors)
    assert torch.equal(graph.photo, a_photo(0))  # the input is untouched


def test_projection_shows_progress_and_previews(pack: Pack, graph: Graph) -> None:
    pack.sent.clear()
    pack.run(
        "ChunkyGAN_SegmentedProjection",
        generator=graph.generator,
        image=a_photo(1, count=2),
        segments=graph.segments,
        steps=26,
    )
    assert [value for value, _, _ in pack.sent] == list(range(1, 53))
    assert {total for _, total, _ in pack.sent} == {52}
    previews = [(value, preview[1].size) for value, _, preview in pack.sent if preview is not None]
    assert {size for _, size in previews} == {(SIZE, SIZE)}
    assert {1, 26, 27, 52} <= {value for value, _ in previews}  # each photo's first step and last


def test_interruption_stops_within_a_step(pack: Pack, graph: Graph) -> None:
    pack.sent.clear()
    pack.management.interrupted = True
    with pytest.raises(pack.management.InterruptProcessingException):
        pack.run(
            "ChunkyGAN_SegmentedProjection",
            generator=graph.generator,
            image=graph.photo,
            segments=graph.segments,
            steps=50,
        )
    assert pack.sent == [] and not pack.management.interrupted


def test_projection_survives_an_unload_in_inference_mode(pack: Pack, graph: Graph) -> None:
    (generator,) = pack.run("ChunkyGAN_LoadStyleGAN", name=TINY)
    with torch.inference_mode():  # as the host moves a model away for another node
        generator.patcher.model.to(torch.float64).to(torch.float32)
    assert any(weights.is_inference() for weights in generator.patcher.model.parameters())
    _, picture = pack.run(
        "ChunkyGAN_SegmentedProjection",
        generator=generator,
        image=graph.photo,
        segments=graph.segments,
        steps=20,
    )
    assert torch.equal(picture, graph.picture)


def test_an_edit_stays_in_its_segment_and_leaves_the_record_alone(pack: Pack, graph: Graph) -> None:
    edited, picture = edit(pack, graph, segments="mouth", strength=2.0)
    outside = graph.segments[0].masks[2, 0] == 0
    assert torch.equal(eight_bit(picture)[0][outside], eight_bit(graph.photo)[0][outside])
    assert not torch.equal(picture, graph.photo)
    assert len(edited[0].edits) == 1 and graph.inversion[0].edits == ()


@pytest.mark.parametrize("given", [{"strength": 0.0}, {"enabled": False}])
def test_no_edit_gives_the_photo(pack: Pack, graph: Graph, given: dict[str, Any]) -> None:
    inversion, picture = edit(pack, graph, **given)
    assert torch.equal(picture, graph.photo)
    draw = partial(pack.run, generator=graph.generator, inversion=inversion)
    assert torch.equal(draw("ChunkyGAN_PoissonComposite")[0], graph.photo)
    assert torch.equal(draw("ChunkyGAN_PoissonComposite", follow=True)[0], graph.photo)
    assert torch.equal(draw("ChunkyGAN_RenderInversion")[0], graph.photo)
    assert torch.equal(draw("ChunkyGAN_RenderInversion", edited=False)[0], graph.picture)
    whole = draw("ChunkyGAN_RenderInversion", replace="all segments", keep_detail="off")[0]
    assert torch.allclose(whole, graph.picture, atol=1e-5)


def test_an_edit_draws_its_image_only_where_it_is_used(pack: Pack, graph: Graph) -> None:
    prompt = {"1": {"inputs": {}}, "2": {"inputs": {"inversion": ["1", 0]}}}
    node = pack.nodes["ChunkyGAN_LatentEdit"]
    with pack.running(prompt, "1"):
        inversion, picture = edit(pack, graph)
        unused = node.fingerprint_inputs(strength=2.0)
    assert picture is None and len(inversion[0].edits) == 1
    prompt["2"]["inputs"]["image"] = ["1", 1]
    with pack.running(prompt, "1"):
        assert edit(pack, graph)[1].shape == graph.photo.shape
        assert node.fingerprint_inputs(strength=2.0) != unused


@pytest.mark.parametrize("follow", [False, True])
def test_static_pixels_are_saved_bit_for_bit(pack: Pack, graph: Graph, follow: bool) -> None:
    edited, _ = edit(pack, graph, segments="all", strength=3.0)
    draw = partial(pack.run, "ChunkyGAN_PoissonComposite", generator=graph.generator, inversion=edited)
    picture, photo = draw(follow=follow)
    assert not torch.equal(draw(follow=not follow)[0], picture)
    static = graph.segments[0].static[0, 0] == 1
    assert static.float().mean() > 0.2
    assert torch.equal(eight_bit(picture)[0][static], eight_bit(graph.photo)[0][static])
    assert not torch.equal(eight_bit(picture), eight_bit(graph.photo))
    assert torch.equal(eight_bit(photo), eight_bit(graph.photo))


def test_every_grey_level_returns_from_the_core(pack: Pack) -> None:
    levels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(-1, -1, -1, 3)
    image = levels / 255
    assert torch.equal(pack.host.to_host(pack.host.to_core(image)), image)


def test_saved_inversions_come_back(pack: Pack, graph: Graph) -> None:
    edited, picture = edit(pack, graph, segments="eyes")
    (files,) = pack.run("ChunkyGAN_SaveInversion", inversion=edited + graph.inversion)
    assert len(files.splitlines()) == 2
    load = next(entry for entry in pack.schemas["ChunkyGAN_LoadInversion"].inputs if entry.id == "file")
    first = Path(files.splitlines()[0]).relative_to(pack.base / "output").as_posix() + " [output]"
    assert first in load.widget["options"]
    opened, photo, _ = pack.run("ChunkyGAN_LoadInversion", file=first)
    assert torch.equal(photo, graph.photo)
    (again,) = pack.run("ChunkyGAN_RenderInversion", generator=graph.generator, inversion=opened)
    assert torch.equal(again, picture)


def test_a_batch_keeps_every_photo(pack: Pack, graph: Graph) -> None:
    photos = torch.cat([graph.photo, a_photo(2)])
    (segments,) = pack.run("ChunkyGAN_SegmentMasks", image=photos, masks=three_masks(), names=NAMES)
    inversions, pictures = pack.run(
        "ChunkyGAN_SegmentedProjection", generator=graph.generator, image=photos, segments=segments, steps=20
    )
    assert len(inversions) == len(pictures) == 2
    assert torch.equal(pictures[:1], graph.picture)
    with pytest.raises(pack.errors.InvalidInputError, match="2 sets of segments for 3 photos"):
        pack.run(
            "ChunkyGAN_SegmentedProjection",
            generator=graph.generator,
            image=a_photo(3, count=3),
            segments=segments,
        )


def test_poisson_blend_leaves_the_rest_of_the_photo(pack: Pack) -> None:
    picture, photo, mask = a_photo(4), a_photo(5), three_masks()[2:]
    (blended,) = pack.run("ChunkyGAN_PoissonBlend", picture=picture, photo=photo, mask=mask)
    outside = mask[0] == 0
    assert torch.equal(eight_bit(blended)[0][outside], eight_bit(photo)[0][outside])
    (same,) = pack.run("ChunkyGAN_PoissonBlend", picture=photo, photo=photo, mask=mask)
    assert (same - photo).abs().max() < 1e-5


@pytest.mark.parametrize("mode", ["full", "seam only", "colour shift only"])
def test_poisson_blend_keeps_the_photos_own_numbers(pack: Pack, mode: str) -> None:
    photo = torch.rand(1, SIZE, SIZE, 4, generator=torch.Generator().manual_seed(6))
    photo[:, :5] = 1.5
    photo[:, 5:9, :, 0] = -0.25
    mask = three_masks()[2:]
    many = photo.repeat(2, 1, 1, 1)  # one picture serves several photos, too
    (both,) = pack.run("ChunkyGAN_PoissonBlend", picture=a_photo(4), photo=many, mask=mask, mode=mode)
    assert both.shape == (2, SIZE, SIZE, 4) and torch.equal(both[0], both[1])
    given, picture = photo.clone(), torch.cat([a_photo(4), a_photo(7)])
    (blended,) = pack.run("ChunkyGAN_PoissonBlend", picture=picture, photo=photo, mask=mask, mode=mode)
    outside = mask[0] == 0
    assert blended.shape == (2, SIZE, SIZE, 4) and torch.equal(photo, given)
    assert all(torch.equal(one[outside], photo[0][outside]) for one in blended)
    assert torch.equal(blended[..., 3], photo[..., 3].expand(2, -1, -1))
    assert not torch.equal(blended[0][~outside], blended[1][~outside])


@pytest.mark.parametrize(
    ("node", "given", "message"),
    [
        (
            "SegmentPreview",
            {"image": torch.rand(1, 32, 32, 3)},
            "the photo is 32x32, the segments are for 64x64",
        ),
        (
            "RefineBoundaries",
            {"image": torch.rand(1, 32, 32, 3), "speed": torch.ones(1, SIZE, SIZE)},
            "the photo is 32x32, the segments are for 64x64",
        ),
        (
            "RefineBoundaries",
            {"image": torch.rand(1, SIZE, SIZE, 3), "picture": torch.rand(1, 32, 32, 3)},
            "with a picture of 32x32; expected one of each",
        ),
    ],
)
def test_another_size_is_told_in_pixels(
    pack: Pack,
    graph: Graph,
    node: str,
    given: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(pack.errors.InvalidInputError, match=message) as caught:
        pack.run(f"ChunkyGAN_{node}", segments=graph.segments, **given)
    assert "torch." not in str(caught.value) and "[" not in str(caught.value)


def test_a_photo_of_the_wrong_size_is_sent_to_align_face(pack: Pack, graph: Graph) -> None:
    projection = {"generator": graph.generator, "segments": graph.segments, "steps": 1}
    for photo in (torch.rand(1, 128, 128, 3), torch.rand(1, SIZE, 96, 3)):
        with pytest.raises(pack.errors.InvalidInputError, match=r"generator makes 64x64; .*\(Align Face\)"):
            pack.run("ChunkyGAN_SegmentedProjection", image=photo, **projection)


def test_demo_portrait_describes_itself(pack: Pack) -> None:
    image, masks, names, labels, colours, _ = pack.run("ChunkyGAN_DemoPortrait", size=SIZE, hat=True)
    parts = names.split(", ")
    assert image.shape == colours.shape == (1, SIZE, SIZE, 3) and masks.shape == (len(parts), SIZE, SIZE)
    assert torch.equal(masks.sum(dim=0), torch.ones(SIZE, SIZE)) and {"hat", "left_eye"} <= set(parts)
    assert torch.equal(pack.run("ChunkyGAN_DemoPortrait", size=SIZE, hat=True)[0], image)
    segment = "ChunkyGAN_SegmentMasks"
    (by_labels,) = pack.run(segment, image=image, label_map=labels)
    (by_masks,) = pack.run(segment, image=image, masks=masks, names=names)
    assert by_labels[0].names == by_masks[0].names == tuple(name for name in parts if name != "background")
    assert torch.equal(by_labels[0].masks, by_masks[0].masks)


def test_segment_preview_tints_segments_only(pack: Pack, graph: Graph) -> None:
    (plain,) = pack.run("ChunkyGAN_SegmentPreview", image=graph.photo, segments=graph.segments, opacity=0.0)
    (tinted,) = pack.run("ChunkyGAN_SegmentPreview", image=graph.photo, segments=graph.segments)
    scale = plain.shape[1] // SIZE
    static = (graph.segments[0].static[0, 0] == 1).repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    changed = (plain != tinted).any(dim=-1)[0]
    assert changed[~static].float().mean() > 0.9
    assert not changed[static].any()


def test_bad_input_is_refused_in_plain_words(pack: Pack, graph: Graph) -> None:
    masks, photo = three_masks(), graph.photo
    segment = "ChunkyGAN_SegmentMasks"
    for node, given, message in [
        (segment, {"image": photo}, "neither of label_map and masks is connected"),
        (segment, {"image": photo, "masks": masks, "names": "a, b"}, "2 names for 3 masks"),
        (segment, {"image": photo, "masks": masks, "names": "a, a, b"}, "a name occurs twice"),
        (segment, {"image": photo, "masks": masks, "names": NAMES, "static": "hat"}, "hat"),
        (segment, {"image": photo, "masks": masks[:, :32], "names": NAMES}, "64x32"),
        ("ChunkyGAN_LatentEdit", {"direction": f"{TINY}/wings"}, "no direction 'wings'"),
        ("ChunkyGAN_LatentEdit", {"segments": "hat"}, "there is no segment 'hat'"),
        ("ChunkyGAN_SegmentedProjection", {"image": photo[:, :32], "segments": graph.segments}, "64x32"),
        (
            "ChunkyGAN_SegmentedProjection",
            {"image": photo[..., :1], "segments": graph.segments},
            "colour IMAGE",
        ),
    ]:
        records = {"generator": graph.generator, "inversion": graph.inversion, "direction": f"{TINY}/smile"}
        wanted = {entry.id for entry in pack.schemas[node].inputs}
        known = {name: value for name, value in records.items() if name in wanted}
        with pytest.raises(pack.errors.ChunkyError) as caught:
            pack.run(node, **known | given)
        assert message in str(caught.value).splitlines()[0], f"{node}: {caught.value}"


def test_what_is_only_linked_is_no_widget_of_the_page(pack: Pack) -> None:
    """The host's page makes widgets of these types of its own, which always hold something, linked or not."""
    made = {"BOUNDING_BOX", "BOUNDING_BOXES", "COLOR", "CURVE", "RANGE"}
    found = {
        f"{name}.{entry.id}": entry.extra_dict.get("forceInput", False)
        for name, schema in pack.schemas.items()
        for entry in schema.inputs
        if entry.widget is None and entry.io_type in made
    }
    assert found == {"ChunkyGAN_AlignFace.bounding_boxes": True}
