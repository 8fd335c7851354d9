"""What reading a pickle may cost is counted, and bounded by the file's size; real files stay far below."""

from __future__ import annotations

import io
import pickle
import re
import struct
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch

from chunky_core.checkpoints.containers.content import open_content
from chunky_core.checkpoints.pickles.restricted_pickle import read_pickle
from chunky_core.checkpoints.pickles.stack_machine import Budget, Rules
from chunky_core.errors import UnsupportedCheckpointError
from chunky_core.generator.architecture import StyleGAN2Architecture

TOO_MUCH = "far more work"


def cost(content: bytes, budget: Budget | None = None) -> Budget:
    """What reading the pickle spent."""
    budget = budget or Budget()
    before = Budget(budget.operations, budget.text, budget.keys)
    read_pickle(memoryview(bytearray(content)), Rules(budget))
    return Budget(before.operations - budget.operations, before.text - budget.text, before.keys - budget.keys)


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def function(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def numbers(count: int) -> bytes:
    return b"".join(b"J" + struct.pack("<i", 7 * i) for i in range(count))


def pairs(count: int, kind: bytes = b"\x86") -> bytes:
    return b"".join(b"J" + struct.pack("<i", 7 * i) + b"N" + kind for i in range(count))


def keyed(count: int) -> dict[str, bytes]:
    """Pickles that make `count` keys of numbers, in every way there is."""
    one_by_one = b"".join(b"J" + struct.pack("<i", 7 * i) + b"Ns" for i in range(count))
    floats = b"".join(b"G" + struct.pack(">d", 0.5 + i) + b"N" for i in range(count))
    filled = b"}(" + pairs(count, b"") + b"u"
    return {
        "SETITEM": b"}" + one_by_one + b".",
        "SETITEMS": filled + b".",
        "DICT": b"(" + pairs(count, b"") + b"d.",
        "floats": b"}(" + floats + b"u.",
        "booleans": b"}(" + b"\x88N" * count + b"u.",
        "ADDITEMS": b"\x8f(" + numbers(count) + b"\x90.",
        "FROZENSET": b"(" + numbers(count) + b"\x91.",
        "set": function("builtins", "set") + b"(" + numbers(count) + b"l\x85R.",
        "OrderedDict": function("collections", "OrderedDict") + b"(" + pairs(count) + b"l\x85R.",
        "NEWOBJ": function("collections", "OrderedDict") + b"(" + pairs(count) + b"l\x85\x81.",
        "OBJ": b"(" + function("collections", "OrderedDict") + b"(" + pairs(count) + b"lo.",
        "INST": b"((" + pairs(count) + b"licollections\nOrderedDict\n.",
        "defaultdict": function("collections", "defaultdict") + b"N(" + pairs(count) + b"l\x86R.",
        "_reconstructor": function("copyreg", "_reconstructor")
        + function("dnnlib.util", "EasyDict")
        + b"N("
        + pairs(count)
        + b"l\x87R.",
    }


@pytest.mark.parametrize("way", keyed(1))
def test_keys_that_are_no_text_are_counted(way: str) -> None:
    assert cost(b"\x80\x04" + keyed(40)[way], Budget(keys=50)).keys == 40
    with pytest.raises(UnsupportedCheckpointError, match=TOO_MUCH):
        cost(b"\x80\x04" + keyed(60)[way], Budget(keys=50))


def test_copies_of_a_dict_pay_for_its_keys_again() -> None:
    filled = b"}(" + pairs(40, b"") + b"uq\x010" + function("collections", "OrderedDict") + b"q\x020"
    copies = b"h\x02h\x01\x85R0" * 3
    assert cost(b"\x80\x02" + filled + copies + b"N.").keys == 160


def test_shapes_names_and_memo_numbers_are_no_keys() -> None:
    size = function("torch", "Size") + b"(" + numbers(8) + b"t\x85R0"
    assert cost(b"\x80\x02" + size * 100 + b"N.").keys == 0
    assert cost(pickle.dumps({f"layer{i}": i for i in range(5000)}, 2)).keys == 0
    puts = b"".join(b"r" + struct.pack("<I", 2**16 * i) for i in range(5000))
    assert cost(b"\x80\x02N" + puts + b"j" + struct.pack("<I", 2**16) + b".").keys == 0
    assert cost(b"Np" + b"9" * 400 + b"\n0g" + b"9" * 400 + b"\n.").keys == 0


LONG = "x" * 100_000
COPIES = {
    "encode": function("_codecs", "encode") + text(LONG) + b"q\x00\x85R0",
    "bytes": function("builtins", "bytes") + text(LONG) + b"q\x00" + text("latin1") + b"\x86R0",
}


@pytest.mark.parametrize("way", COPIES)
def test_every_copy_of_a_text_is_paid(way: str) -> None:
    once = cost(b"\x80\x02" + COPIES[way] + b"N.").text
    assert 2 * len(LONG) <= once < 3 * len(LONG)
    content = b"\x80\x02" + COPIES[way] + b"N."
    again = function("_codecs", "encode") + b"h\x00\x85R0"
    assert cost(content[:-2] + again * 5 + b"N.").text - once >= 5 * len(LONG)
    many = content[:-2] + again * 400 + b"N."
    with pytest.raises(UnsupportedCheckpointError, match=TOO_MUCH):
        cost(many, Budget.for_file(len(many)))


def test_an_arrays_text_is_paid_each_time() -> None:
    state = b"(K\x01K\x64\x85cnumpy\ndtype\n" + text("u1") + b"\x85RI00\n" + text("y" * 100) + b"tq\x05"
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85" + text("b") + b"tR"
    one = cost(b"\x80\x02" + empty + state + b"b.").text
    two = cost(b"\x80\x02" + empty + state + b"b0" + empty + b"h\x05b.").text
    assert two - one >= 100


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"}" + text("k" * 2000) + b"Ns.", "text of 2000 characters as a key"),
        (b"}B" + struct.pack("<I", 2000) + bytes(2000) + b"Ns.", "as a key"),
        (text("m" * 1000) + text("n") + b"\x93.", "'m{60}"),
        (
            function("numpy.core.multiarray", "scalar")
            + function("numpy", "dtype")
            + text("U9999")
            + b"\x85RB"
            + struct.pack("<I", 39996)
            + bytes(39996)
            + b"\x86R.",
            "one number or word of 39996 bytes",
        ),
    ],
)
def test_long_names_keys_and_words_are_refused(content: bytes, words: str) -> None:
    with pytest.raises(UnsupportedCheckpointError, match=words) as caught:
        cost(b"\x80\x04" + content)
    assert len(str(caught.value)) < 400


def test_lines_cost_what_they_hold() -> None:
    """As protocol 0 writes numbers: a valid file must not run out of budget."""
    content = pickle.dumps(list(range(20_000)), 0)
    assert cost(content).text <= len(content) < Budget.for_file(len(content)).text


def test_the_names_of_storages_are_short(tmp_path: Path) -> None:
    stream = io.BytesIO()
    torch.save(torch.ones(2), stream, _use_new_zipfile_serialization=False)
    content = stream.getvalue()
    name = re.search(rb"X.\0\0\0\d{6,}", content, re.DOTALL)
    assert name
    (tmp_path / "long.pt").write_bytes(content.replace(name[0], text("7" * 1000)))
    with (
        pytest.raises(UnsupportedCheckpointError, match="name of 1000 characters"),
        open_content(tmp_path / "long.pt"),
    ):
        pass


def adam_state(parameters: int) -> dict[str, Any]:
    moments = {"step": torch.tensor(3.0), "exp_avg": torch.ones(2), "exp_avg_sq": torch.ones(2)}
    return {
        "state": {index: dict(moments) for index in range(parameters)},
        "param_groups": [{"lr": 0.002, "betas": (0.0, 0.99), "params": list(range(parameters))}],
    }


@pytest.mark.parametrize("legacy", [False, True])
def test_the_optimizers_of_a_large_network_stay_within_the_budget(legacy: bool, tmp_path: Path) -> None:
    architecture = StyleGAN2Architecture(8, 8, 0, 1024, 3, 8192, 8, 8)
    parameters = len(list(architecture.empty_module().parameters()))
    assert parameters > 100
    saved = {"g_optim": adam_state(parameters), "d_optim": adam_state(parameters), "extra": OrderedDict(a=1)}
    saved["by_identity"] = {
        1 << 47 | index: index for index in range(parameters)
    }  # as PyTorch before 1.5 wrote
    saved["counts"] = dict(defaultdict(int, {index: 1 for index in range(1000)}))
    torch.save(saved, tmp_path / "train.pt", _use_new_zipfile_serialization=not legacy)
    with open_content(tmp_path / "train.pt") as content:
        assert len(content.value["g_optim"]["state"]) == parameters
        assert content.value["g_optim"]["state"][parameters - 1]["exp_avg"].size == (2,)
