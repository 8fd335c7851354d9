"""Files are written whole or not at all, by one helper, and what keeps them from it is one error."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open

from chunky_core.errors import InvalidInputError, SaveError
from chunky_core.saving import replacing, save_bytes, save_tensors

OLD = b"the old contents"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file.safetensors"
    path.write_bytes(OLD)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_new_file_appears_at_the_end_only(file: Path) -> None:
    with replacing(file) as new:
        new.write_bytes(b"half")
        assert new.parent == file.parent
        assert file.read_bytes() == OLD
    assert file.read_bytes() == b"half"
    assert names(file.parent) == [file.name]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), ValueError()]
)
def test_what_fails_leaves_the_old_file_and_nothing_else(file: Path, error: BaseException) -> None:
    expected = SaveError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected) as caught, replacing(file) as new:
        new.write_bytes(b"half")
        raise error
    assert file.read_bytes() == OLD
    assert names(file.parent) == [file.name]
    if isinstance(error, OSError):
        assert (
            str(caught.value)
            == f"{file} can't be written (No space left on device); free some space or choose another folder"
        )


def test_safetensors_own_error_is_told_like_any_other(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half a file")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(
        InvalidInputError, match=r"can't be written \(No space left on device\); free some space"
    ):
        save_tensors({"x": torch.zeros(2)}, file, {})
    assert file.read_bytes() == OLD
    assert names(file.parent) == [file.name]


FULL_DISK = """
import resource, signal, sys, torch
from pathlib import Path
from chunky_core.errors import SaveError
from chunky_core.saving import save_bytes, save_tensors
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
path = Path(sys.argv[1])
for write in (lambda: save_bytes(bytes(5000), path), lambda: save_tensors({"x": torch.zeros(5000)}, path, {})):
    try:
        write()
    except SaveError as error:
        print("File too large" in str(error), str(error).startswith(str(path)))
"""


def test_a_disk_that_takes_no_more(file: Path) -> None:
    """A process that may write 1000 bytes to a file stands for a full disk."""
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(file)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    assert run.stdout.split() == ["True"] * 4
    assert file.read_bytes() == OLD
    assert names(file.parent) == [file.name]


@pytest.mark.parametrize(
    "path",
    [
        lambda folder: folder / "absent" / "x.png",
        lambda folder: folder / "file.safetensors" / "x.png",
        lambda folder: folder / ("x" * 300),
        lambda folder: folder / "a folder",
    ],
    ids=["no folder", "a file as a folder", "name too long", "a folder of that name"],
)
def test_impossible_places(file: Path, path: Callable[[Path], Path]) -> None:
    (file.parent / "a folder").mkdir()
    with pytest.raises(SaveError, match="can't be written"):
        save_bytes(b"x", path(file.parent))
    assert names(file.parent) == ["a folder", file.name]


def test_a_name_as_long_as_the_disk_takes(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 251 + ".png")
    save_bytes(b"x", path)
    assert path.read_bytes() == b"x"


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077])
def test_the_mode_is_what_the_umask_says(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        save_bytes(b"x", tmp_path / "bytes")
        save_tensors({"x": torch.zeros(2)}, tmp_path / "tensors", {"a": "b"})
    finally:
        os.umask(before)
    for name in ("bytes", "tensors"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~mask


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_stays_a_link(file: Path) -> None:
    elsewhere = file.parent / "elsewhere"
    elsewhere.mkdir()
    link = elsewhere / "link"
    link.symlink_to(file)
    save_bytes(b"new", link)
    assert link.is_symlink()
    assert file.read_bytes() == b"new"


def test_what_a_killed_process_left_goes_after_an_hour(tmp_path: Path) -> None:
    old, young, other = (
        tmp_path / name for name in (".chunkygan-0a.part", ".chunkygan-0b.part", "mine.part")
    )
    for path in (old, young, other):
        path.write_bytes(b"x")
    for path in (old, other):
        os.utime(path, (time.time() - 7200,) * 2)
    save_bytes(b"x", tmp_path / "new")
    assert names(tmp_path) == [".chunkygan-0b.part", "mine.part", "new"]


def _save_often(path: Path, number: int) -> None:
    for _ in range(60):
        save_tensors({"x": torch.full((5000,), float(number))}, path, {})


def test_processes_that_write_one_name_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    save_tensors({"x": torch.zeros(5000)}, path, {})
    writers = [
        multiprocessing.get_context("fork").Process(target=_save_often, args=(path, n)) for n in (1, 2)
    ]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        with safe_open(path, "pt") as content:
            numbers = content.get_tensor("x")
        assert bool((numbers == numbers[0]).all())
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert names(tmp_path) == [path.name]


def test_the_error_crosses_processes() -> None:
    again = pickle.loads(pickle.dumps(SaveError("no room")))  # noqa: S301
    assert isinstance(again, SaveError)
    assert str(again) == "no room"
