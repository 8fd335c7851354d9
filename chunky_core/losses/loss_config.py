"""Which losses compare a segment with the photo, and how strongly."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InvalidInputError

SMALLEST_MARGIN = 10  # pixels; the window of MS-SSIM reaches 5 and must find room around one pixel
SMALLEST_RESOLUTION = 32


@dataclass(frozen=True)
class LossConfig:
    """A weighted sum of losses; a weight of 0 leaves a loss out, and its network is not even looked for.

    l2, l1: of the colours. ms_ssim: 1 - MS-SSIM (Wang et al. 2003). lpips: perceptual distance (Zhang et al.
    2018) in the features of lpips_net: "demo" (the demo domain's own network), "vgg", "alex", "squeeze", or
    the path of a file: a feature network, the weights of one of those three, or ONNX. identity: 1 - cosine of the
    embeddings by identity_net: "demo" or the path of an ONNX or feature network file; identity_channels: "rgb" or
    "bgr", as an ONNX file wants them.
    resolution: longest side in pixels at which MS-SSIM and LPIPS see a segment's crop, 0 = as it is.
    margin: pixels of photo around the segment that they see, at least 10.
    Raises InvalidInputError for negative weights, none above 0, and values out of range.
    """

    l2: float = 1.0
    l1: float = 0.0
    ms_ssim: float = 0.0
    lpips: float = 0.0
    lpips_net: str = "vgg"
    identity: float = 0.0
    identity_net: str = "demo"
    identity_channels: str = "rgb"
    resolution: int = 0
    margin: int = 16

    def __post_init__(self) -> None:
        weights = (self.l2, self.l1, self.ms_ssim, self.lpips, self.identity)
        if not min(weights) >= 0 or not 0 < max(weights) < float("inf"):
            raise InvalidInputError(
                f"the weights of L2, L1, MS-SSIM, LPIPS, identity are {weights}; none below 0, one above 0"
            )
        if self.margin < SMALLEST_MARGIN:
            raise InvalidInputError(f"margin is {self.margin} pixels; expected at least {SMALLEST_MARGIN}")
        if self.resolution and self.resolution < SMALLEST_RESOLUTION:
            raise InvalidInputError(
                f"resolution is {self.resolution}; expected 0 or at least {SMALLEST_RESOLUTION}"
            )
        if self.identity_channels not in ("rgb", "bgr"):
            raise InvalidInputError(
                f'identity_channels is {self.identity_channels!r}; expected "rgb" or "bgr"'
            )

    @property
    def is_structural(self) -> bool:
        """Whether a loss looks beyond single pixels, and so wants some photo around the segment."""
        return self.ms_ssim > 0 or self.lpips > 0
