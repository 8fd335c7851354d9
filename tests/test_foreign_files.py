"""Files that are no weights: each is called what it is, none damaged or hostile that is neither."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import nn

from chunky_core.checkpoints.containers.numpy_files import read_npy
from chunky_core.checkpoints.generators import load_generator
from chunky_core.errors import ChunkyError, MissingWeightsError
from tests.hostile_tools import refusal, with_member, written

pytestmark = pytest.mark.usefixtures("nothing_created")
UNFAIR = ("damaged", "hostile", "wants to run")


def said(path: Path) -> str:
    """The message of a refusal that accuses nobody."""
    message = refusal(path)
    assert not any(word in message for word in UNFAIR), message
    return message.removeprefix(f"{path.name}: ")


@pytest.fixture
def weights(good: Callable[[str], Path], tmp_path: Path) -> Path:
    """A good .pt file."""
    return shutil.move(good("plain"), tmp_path / "ffhq.pt")


def zipped(members: dict[str, bytes]) -> Callable[[Path, Path], None]:
    def write(_: Path, target: Path) -> None:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    return write


def zip_of(source: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(source, "models/ffhq.pt")
        archive.writestr("readme.txt", "hello")


def tar_of(mode: str) -> Callable[[Path, Path], None]:
    def write(source: Path, target: Path) -> None:
        with tarfile.open(target, mode) as archive:  # type: ignore[call-overload]
            archive.add(source, "models/ffhq.pt")

    return write


def packed(compress: Callable[[bytes], bytes]) -> Callable[[Path, Path], None]:
    return lambda source, target: written(target, compress(source.read_bytes())) and None


def half(source: Path, target: Path) -> None:
    written(target, source.read_bytes()[: source.stat().st_size // 2])


ARCHIVES: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "a.zip": (zip_of, "a zip archive with models/ffhq.pt inside; unpack it"),
    "pictures.zip": (zipped({"1.png": b"x", "2.png": b"x"}), "a zip archive of 2 files (1.png, 2.png), none"),
    "a.keras": (zipped({"config.json": b"{}", "model.weights.h5": b"x"}), "a Keras model"),
    "program.pt2": (
        zipped({"p/archive_format": b"pt2", "p/models/model.json": b"{}"}),
        "a program of torch.export",
    ),
    "empty.zip": (zipped({}), "an empty zip archive"),
    "a.tar": (tar_of("w"), "a tar archive with models/ffhq.pt inside; unpack it"),
    "a.tgz": (tar_of("w:gz"), "a tar archive compressed with gzip with models/ffhq.pt inside"),
    "a.pt.gz": (packed(gzip.compress), "compressed with gzip; unpack it"),
    "a.pt.xz": (packed(lzma.compress), "xz-compressed; unpack it"),
    "a.pt.bz2": (packed(bz2.compress), "bzip2-compressed; unpack it"),
    "page.gz": (lambda _, t: written(t, gzip.compress(b"<!DOCTYPE html><p>")) and None, "a web page"),
    "half.pt": (half, "a zip archive or PyTorch file whose end is missing"),
    "ffhq.pt.crdownload": (half, "the name ends in .crdownload, so the download is not finished"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_are_called_archives(name: str, weights: Path, tmp_path: Path) -> None:
    write, expected = ARCHIVES[name]
    write(weights, tmp_path / name)
    assert expected in said(tmp_path / name)


def test_numpy_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "projected_w.npz", w=np.zeros((1, 14, 512), np.float32), psi=np.float32(1))
    assert "a NumPy archive (w [1,14,512], psi []), perhaps latent codes" in said(
        tmp_path / "projected_w.npz"
    )
    np.savez(tmp_path / "colon.npz", **{"a=b:c": np.zeros(3)})
    assert "a NumPy archive (a=b:c [3]), perhaps" in said(tmp_path / "colon.npz")
    np.save(tmp_path / "w.npy", np.zeros(512, np.float32))
    assert "a NumPy array ([512]), perhaps latent codes" in said(tmp_path / "w.npy")


def test_arrays_of_a_network_and_the_way_out(weights: Path, tmp_path: Path) -> None:
    expected = load_generator(weights).module.state_dict()
    state = {name: tensor.numpy() for name, tensor in torch.load(weights, weights_only=True).items()}
    np.savez(
        tmp_path / "weights.npz",
        step=np.zeros(3),
        a=np.zeros(1),
        b=np.zeros(1),
        c=np.zeros(1),
        d=np.zeros(1),
        **state,
    )
    message = said(tmp_path / "weights.npz")
    assert "a NumPy archive with a network's arrays" in message and "save them as .safetensors" in message
    assert "latent" not in message
    np.savez(tmp_path / "weights.npz", **state)
    save_file(dict(np.load(tmp_path / "weights.npz")), tmp_path / "weights.safetensors")
    found = load_generator(tmp_path / "weights.safetensors").module.state_dict()
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes")
def test_devices_pipes_and_dead_links_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "link.pt").symlink_to(tmp_path / "gone.pt")
    for path, expected in (
        (Path(os.devnull), "is no regular file"),
        (tmp_path / "pipe.pt", "is no regular file"),
        (tmp_path / "link.pt", "gone.pt, where there is no file"),
    ):
        with pytest.raises(MissingWeightsError, match=expected):
            load_generator(path)
    with pytest.raises(MissingWeightsError, match="is a folder"):
        read_npy(tmp_path)


def test_an_unpacked_file_in_all_its_parts(weights: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(weights) as archive:
        archive.extractall(tmp_path / "unpacked")
    (folder,) = (tmp_path / "unpacked").iterdir()
    assert "data.pkl) of an unpacked PyTorch file" in said(folder / "data.pkl")
    assert "of an unpacked PyTorch file" in said(folder / "data" / "0")
    for place in (folder, folder.parent):
        with pytest.raises(MissingWeightsError, match="folder of an unpacked PyTorch file"):
            load_generator(place)
    shutil.make_archive(str(tmp_path / "again"), "zip", tmp_path / "unpacked")  # what the message advises
    loaded = load_generator(tmp_path / "again.zip")
    assert loaded.fingerprint == load_generator(weights).fingerprint


def test_other_folders(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    with pytest.raises(MissingWeightsError, match=r"is a folder; .*choose a file inside$"):
        load_generator(folder)
    written(folder / "ffhq.pkl", b"x")
    with pytest.raises(MissingWeightsError, match=r"inside, e\.g\. ffhq\.pkl"):
        load_generator(folder)
    written(folder / "saved_model.pb", b"x")
    with pytest.raises(MissingWeightsError, match="TensorFlow model"):
        load_generator(folder)


BYTES: dict[str, tuple[bytes, str]] = {
    "x.7z": (b"7z\xbc\xaf\x27\x1c\0\4" + bytes(40), "a 7z archive; unpack"),
    "x.rar": (b"Rar!\x1a\x07\x01\0" + bytes(50), "a RAR archive; unpack"),
    "x.zst": (b"\x28\xb5\x2f\xfd" + bytes(50), "Zstandard"),
    "x.h5": (b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5"),
    "x.tflite": (b"\x1c\0\0\0TFL3" + bytes(50), "TensorFlow Lite"),
    "x.gguf": (b"GGUF\3\0\0\0" + bytes(50), "GGUF"),
    "x.onnx": (b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:" + bytes(90), "an ONNX network"),
    "renamed.pkl": (b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:" + bytes(90), "an ONNX network"),
    "graph.pb": (b"\x08\x01\x12\x05abcde" + bytes(10), "a TensorFlow graph"),
    "m.ckpt.index": (bytes(60) + bytes.fromhex("57fb808b247547db"), "a part of a TensorFlow checkpoint"),
    "m.ckpt.data-00000-of-00001": (bytes(range(256)), "a part of a TensorFlow checkpoint"),
    "checkpoint": (b'model_checkpoint_path: "model.ckpt"\n', "TensorFlow's list of checkpoints"),
    "x.png": (b"\x89PNG\r\n\x1a\n" + bytes(50), "a PNG picture"),
    "x.jpg": (b"\xff\xd8\xff\xe0" + bytes(30), "a JPEG picture"),
    "x.webp": (b"RIFF\x10\0\0\0WEBPVP8 " + bytes(30), "a WebP picture"),
    "x.mp4": (b"\0\0\0\x20ftypisom" + bytes(50), "a video"),
    "zeros.pt": (bytes(4096), "nothing but zeros"),
    "page.pkl": (b"<!DOCTYPE html><html>hello</html>", "a web page"),
    "dash.pkl": ("<html><title>Drive \u2013 Quota</title>".encode(), "a web page"),
    "mark.pkl": (b"\xef\xbb\xbf<html><body>", "a web page"),
    "latin.pkl": ("<html><title>Contingent \xfcber</title>".encode("latin-1"), "a web page"),
    "utf16.pkl": ("<!DOCTYPE html><title>\xc4</title>".encode("utf-16"), "a web page"),
    "utf16le.pkl": ("<!DOCTYPE html><title>hello</title>".encode("utf-16-le"), "a web page"),
    "drive.pkl": (b"<html><title>Google Drive - Virus scan warning</title>", "a web page of Google Drive"),
    "cut.pkl": (("<html>" + "\u2013" * 4000).encode()[:8192], "a web page"),
    "json.pt": (b'{"error": "Repository not found"}', "a server's error (Repository not found)"),
    "index.json": (b'{"weight_map": {}}', "a JSON file"),
    "half.json": (b'{"weight_map": {', "a JSON file"),
    "xml.pkl": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML text"),
    "lfs.pt": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "run `git lfs pull`"),
    "annex.pt": (b"/annex/objects/SHA256E-s1--00.pt\n", "run `git annex get`"),
    "link.pt": (b"[InternetShortcut]\r\nURL=https://example.org/a\r\n", "a link to a web page"),
    "a.webloc": (b'<?xml version="1.0"?><plist><dict><key>URL</key></dict></plist>', "a link to a web page"),
    "a.toml": (b"# options\n[tool.x]\na = 1\n", "a text file of settings"),
    "a.ini": (b"[Desktop Entry]\nName=x\n", "a text file of settings"),
    "list.json": (b"[1, 2, 3]", "a JSON file"),
    "dict.txt": (b"{'a': 1}", "a text file (it starts \"{'a': 1}\")"),
    "empty.json": (b"[]", "a JSON file"),
    "404.pt": (b"404: Not Found", "a server's error (404: Not Found)"),
    "entry.pt": (b"Entry not found", "a server's error"),
    "part.pkl": (b"Hello <br> and <a href='x'>more</a>", "perhaps a web page"),
    "comparison.txt": (b"a < b and c > d", "a text file (it starts 'a < b"),
    "gated.pt": (b"Access to model x/y is restricted.", "it starts 'Access to model"),
    "prose.pkl": (b"could not be found.", "a text file (it starts 'could not"),
}


@pytest.mark.parametrize("name", BYTES)
def test_other_formats_are_named(name: str, tmp_path: Path) -> None:
    content, expected = BYTES[name]
    assert expected in said(written(tmp_path / name, content))


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_torchscript_is_named_with_the_way_out(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), tmp_path / "script.pt")
    message = said(tmp_path / "script.pt")
    assert "TorchScript program" in message and "torch.save(network.state_dict()" in message


def test_big_endian_numbers_are_named(weights: Path) -> None:
    with_member(weights, lambda name, data: (name, b"big" if name.endswith("byteorder") else data))
    assert "big-endian" in said(weights)


def test_damage_is_still_called_damage(weights: Path) -> None:
    with_member(weights, lambda name, data: (name, data[:-9] if name.endswith("data.pkl") else data))
    assert "damaged" in refusal(weights)


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ChunkyError, match="there is no generator file"):
        load_generator(tmp_path / "absent.pkl")
