"""What a StyleGAN3's settings may be: a few numbers in a file decide how large its layers and filters are."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UnsupportedCheckpointError
from .module import MAX_RESOLUTION
from .settings import SHARED, Range
from .stylegan3_layers import Signal

MAX_LAYERS = 64
MAX_TAPS = 512  # of a filter; NVlabs' networks have up to 24
MIN_MARGIN_LIMIT = 32

HINTED = {
    "channel_base": Range(1, 2**24, whole=True),
    "channel_max": Range(1, 2**16, whole=True),
    "num_critical": Range(1, MAX_LAYERS, whole=True),
    "first_cutoff": Range(0.5, MAX_RESOLUTION / 2),  # below, a layer has less than two samples per image
    "first_stopband": Range(0.5, MAX_RESOLUTION),
    "last_stopband_rel": Range(1, 16),  # below 1 the pass band would end beyond the stop band
    "margin_size": Range(0, 256, whole=True),
    "output_scale": Range(1e-6, 1e6),
    "filter_size": Range(1, 64, whole=True),
    "lrelu_upsampling": Range(1, 8, whole=True),
    **SHARED,
}


def check_bands(
    resolution: int, layers: int, critical: int, cutoff: float, stopband: float, margin: int
) -> None:
    """Raises UnsupportedCheckpointError where no network could have these settings.

    layers, critical: numbers of layers; cutoff, stopband: of the first layer, in periods per image; margin: in
    pixels.
    """
    if not 4 <= resolution <= MAX_RESOLUTION or resolution & (resolution - 1):
        raise UnsupportedCheckpointError(
            f"resolution {resolution} found; expected a power of two from 4 to {MAX_RESOLUTION}"
        )
    if layers > MAX_LAYERS:
        raise UnsupportedCheckpointError(f"it has {layers} layers; expected at most {MAX_LAYERS}")
    if not 1 <= critical < layers:
        raise UnsupportedCheckpointError(f"num_critical is {critical}; expected 1 to {layers - 1}")
    if not 0.5 <= cutoff < resolution / 2 or not cutoff < stopband <= resolution:
        found = f"first_cutoff is {cutoff}, first_stopband {stopband}"
        raise UnsupportedCheckpointError(
            f"{found}; expected growing numbers, from 0.5 to {resolution // 2} and {resolution}"
        )
    largest = max(2 * resolution, MIN_MARGIN_LIMIT)
    if not 0 <= margin <= largest:
        raise UnsupportedCheckpointError(f"margin_size is {margin}; expected 0 to {largest} pixels")


def check_filters(signals: Sequence[Signal], filter_size: int, upsampling: int) -> None:
    """Raises UnsupportedCheckpointError where a layer's filters are far longer than any real network's."""
    rates = [signals[0].rate, *(signal.rate for signal in signals)]
    for index, (source, target) in enumerate(zip(rates, rates[1:], strict=False)):
        taps = filter_size * (max(source, target) * upsampling // min(source, target))
        if taps > MAX_TAPS:
            raise UnsupportedCheckpointError(
                f"layer {index} takes {source} samples per image to {target} with filters of {taps} taps; "
                f"expected at most {MAX_TAPS}: filter_size, lrelu_upsampling, num_critical, first_stopband or "
                "last_stopband_rel is damaged"
            )
