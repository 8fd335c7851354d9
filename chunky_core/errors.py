"""The errors this package raises on purpose. They say what was found, what was expected, what to do."""

from __future__ import annotations


class ChunkyError(ValueError):
    """Base class of every deliberate error of this package."""


class InvalidInputError(ChunkyError):
    """An argument has the wrong shape, range, name or kind."""


class UnsupportedCheckpointError(ChunkyError):
    """A weights file is damaged, of an unknown format or of an unsupported architecture."""


class WrongGeneratorError(ChunkyError):
    """A code or an inversion belongs to another generator than the one given."""


class MissingWeightsError(ChunkyError):
    """Weights that an operation needs are not installed."""
