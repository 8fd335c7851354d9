"""The errors this package raises on purpose. They say what was found, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Callable


class ChunkyError(ValueError):
    """Base class of every deliberate error of this package.

    A host shows an error's type with its module, which for a node pack is the path of its files on the user's disk:
    these errors go by a plain name.
    """

    __module__ = "chunkygan"

    def __init_subclass__(cls) -> None:
        cls.__module__ = ChunkyError.__module__

    def __reduce__(self) -> tuple[Callable[..., ChunkyError], tuple[object, ...]]:
        """Pickled without the module, so that process pools hand the error on."""
        return _remade, (type(self).__name__, *self.args)


class InvalidInputError(ChunkyError):
    """An argument has the wrong shape, range, name or kind."""


class UnsupportedCheckpointError(ChunkyError):
    """A weights file is damaged, of an unknown format or of an unsupported architecture."""


class WrongGeneratorError(ChunkyError):
    """A code or an inversion belongs to another generator than the one given."""


class MissingWeightsError(ChunkyError):
    """Weights that an operation needs are not installed."""


class MissingPackageError(ChunkyError):
    """An optional Python package that this needs isn't installed."""


class SaveError(InvalidInputError):
    """A file can't be written: a full disk, a read-only folder, a name that the disk doesn't take."""


def _remade(name: str, *arguments: object) -> ChunkyError:
    kinds = (
        ChunkyError,
        InvalidInputError,
        UnsupportedCheckpointError,
        WrongGeneratorError,
        MissingWeightsError,
        MissingPackageError,
        SaveError,
    )
    known: dict[str, type[ChunkyError]] = {kind.__name__: kind for kind in kinds}
    return known[name](*arguments)
