"""The pack in the real ComfyUI: its executor in a process of its own, then its server (see comfyui.py)."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from chunky_core.inversion import load_inversion
from tests.host.comfyui import PACK, ask, needs_comfyui, run_in_executor, run_prompt
from tests.pack_on_double import ROOT, SIZE, TINY
from tests.workflow_tools import to_prompt, widgets_of_info

STEPS = 30

pytestmark = needs_comfyui


def small_prompt(**changes: dict[str, Any]) -> dict[str, Any]:
    """All the way on the tiny generator; `changes` replaces inputs of nodes by their key here."""
    nodes: dict[str, tuple[str, dict[str, Any]]] = {
        "portrait": (
            "ChunkyGAN_DemoPortrait",
            {"seed": 3, "size": SIZE, "part_deviation": 0.8, "nuisances": True, "bindi": False, "hat": True}
            | dict.fromkeys(("face_mask", "hand", "jewellery", "odd_glasses"), False),
        ),
        "generator": ("ChunkyGAN_LoadStyleGAN", {"name": TINY}),
        "segments": (
            "ChunkyGAN_SegmentMasks",
            {"image": ["portrait", 0], "masks": ["portrait", 1], "names": ["portrait", 2]}
            | {"static": "background", "grow": 1, "feather": 1.0, "gaps": "static"},
        ),
        "shown": (
            "ChunkyGAN_SegmentPreview",
            {"image": ["portrait", 0], "segments": ["segments", 0], "opacity": 0.5},
        ),
        "projection": (
            "ChunkyGAN_SegmentedProjection",
            {"generator": ["generator", 0], "image": ["portrait", 0], "segments": ["segments", 0]}
            | {"mode": "independent", "space": "w+", "spaces": "", "steps": STEPS, "seed": 0}
            | {
                "learning_rate": 0.1,
                "optimizer": "adam",
                "warmup": 0.3,
                "lambda_reg": 0.0,
                "lambda_mean": 0.0,
            }
            | {"code_noise": 0.0, "dilation": 3, "feather": 0.0, "neighbourhood": 0.0}
            | {"optimise_noise": False, "coarse": 0.0, "plateau": 0, "torgb": True}
            | {"refine_every": 0, "refine": "all", "refine_sign": "grow", "refine_distance": 1.0}
            | {"start_as": "codes"},
        ),
        "curves": ("ChunkyGAN_ProjectionCurves", {"inversion": ["projection", 0], "scale": "log"}),
        "edit": (
            "ChunkyGAN_LatentEdit",
            {"generator": ["generator", 0], "inversion": ["projection", 0], "direction": f"{TINY}/smile"}
            | {"strength": 2.0, "segments": "mouth, eyes", "enabled": True},
        ),
        "composite": (
            "ChunkyGAN_PoissonComposite",
            {"generator": ["generator", 0], "inversion": ["edit", 0]},
        ),
        "kept": ("ChunkyGAN_SaveInversion", {"inversion": ["edit", 0], "filename_prefix": "kept/one"}),
        "photo": ("SaveImage", {"images": ["portrait", 0], "filename_prefix": "photo"}),
        "picture": ("SaveImage", {"images": ["composite", 0], "filename_prefix": "picture"}),
        "mask": ("MaskToImage", {"mask": ["portrait", 1]}),
        "masks": ("SaveImage", {"images": ["mask", 0], "filename_prefix": "mask"}),
    }
    for key, given in changes.items():
        nodes[key][1].update(given)
    return {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in nodes.items()}


def tuned_prompt(projection: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The like with the mouth tuned between projection and edit."""
    prompt = small_prompt(
        projection=projection, edit={"inversion": ["tuning", 0]}, kept={"filename_prefix": "kept/tuned"}
    )
    widgets = {"segments": "mouth", "delta": "shared", "steps": STEPS, "seed": 0, "learning_rate": 0.01}
    widgets |= {"size": 50.0, "locality": 0.0, "plateau": 0, "tune_codes": False, "start_as": "codes"}
    links = {"generator": ["generator", 0], "inversion": ["projection", 0]}
    prompt["tuning"] = {"class_type": "ChunkyGAN_PivotalTuning", "inputs": links | widgets | changes}
    return prompt


def sampling_prompt(name: str, seed: int) -> dict[str, Any]:
    """Pictures and a description of a generator, and a file of it."""
    nodes: dict[str, tuple[str, dict[str, Any]]] = {
        "generator": ("ChunkyGAN_LoadStyleGAN", {"name": name}),
        "sample": (
            "ChunkyGAN_SampleStyleGAN",
            {"generator": ["generator", 0], "seed": seed, "truncation_psi": 0.7, "batch_size": 2}
            | {"class_label": -1, "noise_mode": "const"},
        ),
        "picture": ("SaveImage", {"images": ["sample", 0], "filename_prefix": "sample"}),
        "info": ("ChunkyGAN_StyleGANInfo", {"generator": ["generator", 0]}),
        "text": ("PreviewAny", {"source": ["info", 0]}),
        "file": (
            "ChunkyGAN_SaveStyleGAN",
            {"generator": ["generator", 0], "name": "saved/copy", "precision": "fp32", "licence": "CC0"},
        ),
    }
    return {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in nodes.items()}


@pytest.fixture(scope="module")
def results(base: Path) -> list[dict[str, Any]]:
    """Prompts in one process: fresh, after an unload in inference mode, interrupted, with a wrong name; sampled,
    then differentiated after an unload, then sampled from the saved file; interrupted and continued, and run
    anew.
    """
    another = {"lambda_mean": 0.01}  # of which nothing was saved before
    jobs = [
        {"prompt": small_prompt()},
        {"prompt": small_prompt(projection={"seed": 1}), "unload_first": True},
        {"prompt": small_prompt(projection={"seed": 2, "steps": 2000}), "interrupt_at": 3},
        {"prompt": small_prompt(edit={"segments": "wings"})},
        {"prompt": sampling_prompt(TINY, seed=3)},
        {"prompt": small_prompt(projection={"seed": 4}), "unload_first": True},
        {"prompt": sampling_prompt("saved/copy.safetensors", seed=3), "unload_first": True},
        {"prompt": small_prompt(projection=another), "interrupt_at": 3},
        {"prompt": small_prompt(projection=another | {"start_as": "continue"})},
        {"prompt": small_prompt(projection=another)},
        {"prompt": tuned_prompt(another), "interrupt_at": 3},
        {"prompt": tuned_prompt(another, start_as="continue"), "unload_first": True},
    ]
    return run_in_executor(base, jobs)


def pictures(base: Path, result: dict[str, Any], node: str) -> list[np.ndarray]:
    entries = result["outputs"][node]["images"]
    return [cv2.imread(str(base / one["type"] / one["subfolder"] / one["filename"])) for one in entries]


def test_the_whole_graph_runs_in_the_executor(base: Path, results: list[dict[str, Any]]) -> None:
    assert results[0]["success"], results[0]["errors"]
    assert results[0]["previews"] >= 2 and results[0]["last_step"] == STEPS
    assert len(list((base / "output" / "kept").glob("one_*.safetensors"))) >= 1
    assert pictures(base, results[0], "shown")[0].shape[0] >= 512
    assert len(pictures(base, results[0], "curves")) == 1


def test_static_pixels_of_the_saved_file_equal_the_photo(base: Path, results: list[dict[str, Any]]) -> None:
    photo, picture = (pictures(base, results[0], node)[0] for node in ("photo", "picture"))
    background = pictures(base, results[0], "masks")[0][..., 0] == 255  # label 0 is the background
    static = (
        cv2.erode(background.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    )  # without the feathered rim
    assert static.mean() > 0.1
    assert np.array_equal(photo[static], picture[static])
    assert (photo != picture).any()


def test_a_model_that_was_unloaded_in_inference_mode_still_projects(results: list[dict[str, Any]]) -> None:
    assert results[1]["success"], results[1]["errors"]


def test_interruption_stops_within_a_step_and_the_run_goes_on_with_one_widget(
    base: Path, results: list[dict[str, Any]]
) -> None:
    """What is continued ends as what was never interrupted; the file is that of the finished run now."""
    assert results[2]["interrupted"] and results[2]["last_step"] == results[2]["asked_at"] < 2000
    assert results[8]["success"], results[8]["errors"]
    assert results[8]["first_step"] > results[9]["first_step"] == 1
    continued, anew = (
        load_inversion(path)
        for path in sorted((base / "output" / "kept").glob("one_*.safetensors"), key=lambda path: path.name)[
            -2:
        ]
    )
    assert continued.losses == anew.losses and continued.stopped is None
    saved = [load_inversion(path) for path in (base / "output" / "chunkygan").glob("autosave_*.safetensors")]
    assert all(record.state is not None and record.state.step == STEPS for record in saved) and saved


def test_a_tuning_stops_within_a_step_and_goes_on_after_an_unload(
    base: Path, results: list[dict[str, Any]]
) -> None:
    """The projection before it isn't run again."""
    stopped, continued = results[10:12]
    assert stopped["interrupted"] and stopped["last_step"] == stopped["asked_at"] < STEPS
    assert "projection" not in stopped["executed"] + continued["executed"]
    assert continued["success"], continued["errors"]
    assert (
        stopped["last_step"] < continued["first_step"] <= stopped["last_step"] + 2
    )  # the wish is seen a step later
    assert continued["last_step"] == STEPS
    (kept,) = (base / "output" / "kept").glob("tuned_*.safetensors")
    record = load_inversion(kept)
    assert record.segments["mouth"].delta and record.stopped is None
    assert record.fits["mouth"].end < record.fits["mouth"].start


def test_errors_say_what_to_do_in_their_first_line(results: list[dict[str, Any]]) -> None:
    assert not results[3]["success"]
    first = results[3]["errors"]["exception_message"].splitlines()[0]
    assert "there is no segment 'wings'" in first and "mouth" in first
    assert results[3]["errors"]["node_id"] == "projection"
    assert results[3]["last_step"] == 0  # before the work begins


def test_a_sampled_generator_can_be_differentiated_after_an_unload(
    base: Path, results: list[dict[str, Any]]
) -> None:
    for result in results[4:7]:
        assert result["success"], result["errors"]
    assert "architecture: stylegan2-skip" in results[4]["outputs"]["text"]["text"][0]
    first, copy = (pictures(base, results[index], "picture") for index in (4, 6))
    assert len(first) == 2 and not np.array_equal(*first)
    assert np.array_equal(first, copy)


def test_the_server_knows_every_node_and_help_page(server: str) -> None:
    known = [name for name in ask(f"{server}/object_info") if name.startswith("ChunkyGAN_")]
    pages = sorted(path.stem for path in (ROOT / "web" / "docs").glob("*.md"))
    assert sorted(known) == pages
    page = f"{server}/extensions/{PACK}/docs/{pages[0]}.md"
    with urllib.request.urlopen(page, timeout=30) as answer:
        assert answer.read().decode().startswith("# ")


def test_the_first_workflow_runs_on_the_server(server_base: Path, server: str) -> None:
    info = ask(f"{server}/object_info")
    workflow = json.loads((ROOT / "workflows" / "start_here.json").read_text(encoding="utf-8"))
    prompt = to_prompt(workflow, {name: widgets_of_info(one) for name, one in info.items()})
    for node in prompt.values():
        if node["class_type"] == "ChunkyGAN_SegmentedProjection":
            node["inputs"]["steps"] = 10  # that it runs, not how well it fits
    done = run_prompt(server, prompt)
    assert done["status"]["status_str"] == "success", done["status"]["messages"]
    saved = [key for key, node in prompt.items() if node["class_type"] == "SaveImage"]
    assert pictures(server_base, done, saved[0])[0].shape == (256, 256, 3)


def test_the_sampling_workflow_runs_on_the_server(base: Path, server: str) -> None:
    info = ask(f"{server}/object_info")
    workflow = json.loads((ROOT / "workflows" / "sample_stylegan.json").read_text(encoding="utf-8"))
    done = run_prompt(server, to_prompt(workflow, {name: widgets_of_info(one) for name, one in info.items()}))
    assert done["status"]["status_str"] == "success", done["status"]["messages"]
    made = [value["images"] for value in done["outputs"].values() if "images" in value]
    assert [len(images) for images in made] == [4]


def test_the_workflows_are_offered_as_templates(server: str) -> None:
    assert {"start_here", "sample_stylegan"} <= set(ask(f"{server}/workflow_templates")[PACK])
