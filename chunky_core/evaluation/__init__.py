"""Images to figures: distances from a target, fidelity by segment, editability, how visible seams are."""

from __future__ import annotations

from ..deprecated import old_modules, old_names
from . import metrics
from .editability import EditFigures, edit_gain, measure_edit
from .fidelity import Fidelity, compare_methods, measure_fidelity
from .seam_visibility import interior_gradient_error, seam_gradient_error

__all__ = [
    "EditFigures",
    "Fidelity",
    "compare_methods",
    "edit_gain",
    "interior_gradient_error",
    "measure_edit",
    "measure_fidelity",
    "metrics",
    "seam_gradient_error",
]
__path__.append(old_modules("evaluation"))
__getattr__ = old_names(__name__)
