"""Codes to codes: directions, and the edits that move segments along them."""

from __future__ import annotations

from .channels import ChannelSearchConfig, SegmentChannel, channel_direction, rank_channels, segment_channels
from .directions import load_directions
from .edits import edit, edited_code, parse_edit

__all__ = [
    "ChannelSearchConfig",
    "SegmentChannel",
    "channel_direction",
    "edit",
    "edited_code",
    "load_directions",
    "parse_edit",
    "rank_channels",
    "segment_channels",
]
