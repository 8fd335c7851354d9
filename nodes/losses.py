"""Perceptual Loss: which losses compare a segment with the photo, and with which networks."""

from __future__ import annotations

from pathlib import Path

import folder_paths
from comfy_api.latest import io

from ..chunky_core.errors import ChunkyError
from ..chunky_core.inversion import LossConfig
from ..chunky_core.losses.identity import ENDINGS as IDENTITY_ENDINGS
from ..chunky_core.losses.identity import checked_identity_file
from ..chunky_core.losses.perceptual import checked_perceptual_file
from .model_files import file_in, files_in, stamp
from .types import LossIO

PERCEPTUAL_FOLDER, IDENTITY_FOLDER = "chunkygan_perceptual", "chunkygan_identity"
FOLDERS = {PERCEPTUAL_FOLDER: "perceptual", IDENTITY_FOLDER: "identity"}  # below models/chunkygan
DEMO, NONE = "demo", "none"
NETWORKS = (DEMO, "vgg", "alex", "squeeze")
PERCEPTUAL_ENDINGS = (".safetensors", ".onnx")  # LPIPS' own .pth files are found by their names
LARGEST_WEIGHT = 10.0


def register_folders() -> None:
    """Make models/chunkygan/perceptual and models/chunkygan/identity known to the host."""
    for name, folder in FOLDERS.items():
        folder_paths.add_model_folder_path(name, str(Path(folder_paths.models_dir) / "chunkygan" / folder))


def weight_folders() -> list[Path]:
    """Where the weights of LPIPS are looked for before torch's own cache."""
    return [Path(root) for root in folder_paths.get_folder_paths(PERCEPTUAL_FOLDER)]


class PerceptualLoss(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_PerceptualLoss",
            display_name="Perceptual Loss",
            category="ChunkyGAN/inversion",
            description="Chooses the losses of a projection: colours, structure, perception, identity.",
            search_aliases=["lpips", "loss", "ms-ssim", "identity loss", "arcface", "l2", "projection loss"],
            inputs=[*weight_inputs(), *network_inputs(), *view_inputs()],
            outputs=[
                LossIO.Output(display_name="loss", tooltip="Connect it to loss of Segmented Projection.")
            ],
        )

    @classmethod
    def validate_inputs(cls, lpips_net: str | None = None, identity_net: str | None = None) -> bool | str:
        """In place of the host's check of the lists, so that a name that is no longer listed is explained."""
        try:
            perceptual_network(lpips_net or DEMO)
            identity_network(identity_net or NONE)
        except ChunkyError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(
        cls, lpips_net: str | None = None, identity_net: str | None = None, **_weights: float | str
    ) -> str:
        try:
            files = (perceptual_network(lpips_net or DEMO), identity_network(identity_net or NONE))
        except ChunkyError as error:
            return str(error)  # execute says it
        return " ".join(f"{name} {stamp(name)}" for name in files)

    @classmethod
    def execute(
        cls,
        l2: float,
        l1: float,
        ms_ssim: float,
        lpips: float,
        lpips_net: str,
        identity: float,
        identity_net: str,
        identity_channels: str,
        resolution: int,
        margin: int,
    ) -> io.NodeOutput:
        config = LossConfig(
            l2=l2,
            l1=l1,
            ms_ssim=ms_ssim,
            lpips=lpips,
            lpips_net=perceptual_network(lpips_net if lpips else DEMO),
            identity=0.0 if identity_net == NONE else identity,
            identity_net=identity_network(identity_net if identity else NONE),
            identity_channels=identity_channels,
            resolution=resolution,
            margin=margin,
        )
        return io.NodeOutput(config)


def weight_inputs() -> list[io.Input]:
    return [
        weight_input("l2", 1.0, "Weight of the squared colour difference; quick, and good alone. 0 = off."),
        weight_input("l1", 0.0, "Weight of the plain colour difference: forgives few wrong pixels. 0 = off."),
        weight_input("ms_ssim", 0.0, "Weight of MS-SSIM: structure over several scales. 0 = off."),
    ]


def network_inputs() -> list[io.Input]:
    return [
        weight_input("lpips", 0.5, "Weight of the perceptual distance in lpips_net; slower. 0 = off."),
        io.Combo.Input(
            "lpips_net",
            options=[*NETWORKS, *files_in(PERCEPTUAL_FOLDER, PERCEPTUAL_ENDINGS)],
            default=DEMO,
            tooltip="demo = built in, for demo portraits. vgg, alex, squeeze = LPIPS, for photos; their weights "
            "must be on this machine. Files, ONNX among them: models/chunkygan/perceptual.",
        ),
        weight_input("identity", 0.1, "Weight of 1 - cosine of the two faces' embeddings. 0 = off."),
        io.Combo.Input(
            "identity_net",
            options=[NONE, DEMO, *files_in(IDENTITY_FOLDER, IDENTITY_ENDINGS)],
            default=NONE,
            tooltip="none = no identity loss. demo = for demo portraits. For photos a face network such as "
            "ArcFace, as ONNX (opset 17) in models/chunkygan/identity; TorchScript isn't opened.",
        ),
        io.Combo.Input(
            "identity_channels",
            options=["rgb", "bgr"],
            default="rgb",
            tooltip="Order of the colours that the identity network's file was trained with.",
            advanced=True,
        ),
    ]


def view_inputs() -> list[io.Input]:
    return [
        io.Int.Input(
            "resolution",
            default=0,
            min=0,
            max=2048,
            step=32,
            tooltip="Longest side in pixels at which MS-SSIM and LPIPS see a segment; lower = quicker, "
            "coarser; 0 = as it is.",
            advanced=True,
        ),
        io.Int.Input(
            "margin",
            default=16,
            min=10,
            max=128,
            tooltip="Pixels of photo around the segment that MS-SSIM and LPIPS see.",
            advanced=True,
        ),
    ]


def weight_input(name: str, default: float, tooltip: str) -> io.Input:
    return io.Float.Input(name, default=default, min=0.0, max=LARGEST_WEIGHT, step=0.05, tooltip=tooltip)


def perceptual_network(choice: str) -> str:
    """What LossConfig takes for a choice of the list: a known name, or a file's path.

    Raises MissingWeightsError where the file is gone, UnsupportedCheckpointError for a kind that isn't opened.
    """
    return (
        choice
        if choice in NETWORKS
        else str(checked_perceptual_file(str(file_in(PERCEPTUAL_FOLDER, choice))))
    )


def identity_network(choice: str) -> str:
    """The same for the identity network; "none" never gets looked at, its weight being 0."""
    known = choice in (NONE, DEMO)
    return DEMO if known else str(checked_identity_file(str(file_in(IDENTITY_FOLDER, choice))))


NODES = [PerceptualLoss]
