"""The finished picture of an inversion: its segments set into the photo without a seam."""

from __future__ import annotations

from torch import Tensor

from ..generator.generator import Generator
from ..inversion.inversion import Inversion
from .poisson import poisson_composite
from .render import render


def composite(generator: Generator, inversion: Inversion) -> Tensor:
    """[1,3,H,W]: the edited segments with the photo's colours along the static part's border, where there is one.

    Where the static mask is 1 the photo's numbers are returned as they are. Without a photo (see `render`) the
    picture keeps its own colours. Raises what `render` raises.
    """
    # No cross-fade: the Poisson equation would keep the ramp from photo to picture as if it were detail.
    picture = render(generator, inversion, cross_fade=False)
    if inversion.photo is None:
        return picture
    return poisson_composite(picture, inversion.photo, 1 - inversion.static_mask, rim="soft")
