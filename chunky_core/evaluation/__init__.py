"""Pictures to figures."""

from __future__ import annotations

from ..deprecated import old_modules, old_names

__path__.append(old_modules("evaluation"))
__getattr__ = old_names(__name__)
