"""Folders in place of files, and files that only their folder tells."""

from __future__ import annotations

from pathlib import Path

from .unsupported_files import WEIGHTS

MAX_LISTED = 1_000


def described(folder: Path) -> str:
    """What a folder is that was given in place of a weights file, and what to do."""
    inner = next(
        (path for path in _entries(folder) if path.is_dir() and (path / "data.pkl").is_file()), folder
    )
    if (inner / "data.pkl").is_file():
        return (
            f"{folder} is the folder of an unpacked PyTorch file; choose the original .pt, which is not to be "
            f"unpacked, or zip the folder {inner.name} again and choose the .zip"
        )
    if (folder / "saved_model.pb").is_file():
        return f"{folder} is the folder of a TensorFlow model; of TensorFlow only NVlabs' .pkl files are read"
    files = [path.name for path in _entries(folder) if path.is_file() and WEIGHTS.fullmatch(path.name)]
    inside = f", e.g. {files[0]}" if files else ""
    return f"{folder} is a folder; expected a file of weights; choose a file inside{inside}"


def of_storage(file: Path) -> str | None:
    """What a file is that lies in the data folder of an unpacked PyTorch file; None where it doesn't."""
    if file.parent.name == "data" and (file.parent.parent / "data.pkl").is_file():
        return (
            "it is one tensor's numbers of an unpacked PyTorch file; choose the original .pt, which is not to be "
            "unpacked, or zip the whole unpacked folder again"
        )
    return None


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())[:MAX_LISTED]
    except OSError:
        return []
