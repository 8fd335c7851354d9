"""The photos that peers are tried on, and the names of the pictures that are kept of them."""

from __future__ import annotations

SUBJECTS = {
    7103: "eyes",
    7107: "glasses",
    7110: "face",
    7112: "mouth",
}  # photo: the segment that is projected alone


def picture_name(seed: int, part: str, arm: str) -> str:
    """part: "whole" or the segment's."""
    return f"{seed}_{part}_{arm.replace(', ', '_').replace(' ', '-')}.png"
