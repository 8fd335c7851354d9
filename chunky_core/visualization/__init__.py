"""Images for the eye: sheets, overlays, heat maps, captions, outlines, plots."""

from __future__ import annotations

from .curves import loss_curves
from .outlines import draw_outlines
from .scatter import method_scatter
from .sheets import contact_sheet, heat_map, segment_overlay

__all__ = ["contact_sheet", "draw_outlines", "heat_map", "loss_curves", "method_scatter", "segment_overlay"]
