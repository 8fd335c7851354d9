"""The node pack: thin nodes over chunky_core. Only this package imports the host."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import (
    alignment,
    boundaries,
    calibration,
    compare,
    compositing,
    curves,
    direction_list,
    direction_sources,
    directions,
    edit_list,
    edit_segments,
    editing,
    encoders,
    face_segments,
    face_sources,
    fill,
    find_directions,
    generate_masks,
    generators,
    harmonize,
    inversion_files,
    label_files,
    latents,
    losses,
    mask_generators,
    mask_sources,
    painted,
    pasting,
    portraits,
    projection,
    sampling,
    segment_channels,
    segments,
    segments_to_masks,
    steps,
    tuning,
)

THEMES = (
    generators,
    sampling,
    portraits,
    mask_sources,
    label_files,
    segments,
    face_segments,
    edit_segments,
    painted,
    segments_to_masks,
    mask_generators,
    generate_masks,
    boundaries,
    losses,
    projection,
    tuning,
    curves,
    directions,
    editing,
    calibration,
    edit_list,
    segment_channels,
    harmonize,
    find_directions,
    fill,
    compositing,
    steps,
    compare,
    alignment,
    pasting,
    inversion_files,
    latents,
    encoders,
)


class ChunkyGANExtension(ComfyExtension):
    async def on_load(self) -> None:
        face_sources.register_folders()
        generators.register_folders()
        encoders.register_folders()
        direction_sources.register_folders()
        losses.register_folders()
        calibration.register_folders()
        mask_sources.register_folders()
        mask_generators.register_folders()
        direction_list.register_route()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [node for theme in THEMES for node in theme.NODES]


async def comfy_entrypoint() -> ChunkyGANExtension:
    return ChunkyGANExtension()
