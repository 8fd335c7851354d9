"""The deliberate errors: the name that a host shows, and their way through processes."""

from __future__ import annotations

import pickle

import pytest
import torch

from chunky_core import errors
from chunky_core.checks import check_installed, check_shape
from chunky_core.errors import InvalidInputError, MissingPackageError
from chunky_core.wording import in_pixels, pictures
from tests.pack_on_double import Pack

KINDS = [errors.ChunkyError, *errors.ChunkyError.__subclasses__()]


def shown_type(kind: type[BaseException]) -> str:
    """As a host writes it: module and name."""
    return f"{kind.__module__}.{kind.__qualname__}"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_types_go_by_a_plain_name_and_survive_pickling(kind: type[errors.ChunkyError]) -> None:
    assert shown_type(kind) == f"chunkygan.{kind.__name__}"
    again = pickle.loads(pickle.dumps(kind("found, expected, do")))  # noqa: S301  # made here
    assert type(again) is kind and str(again) == "found, expected, do"


def test_the_host_shows_no_path_of_the_pack(pack: Pack) -> None:
    with pytest.raises(pack.errors.ChunkyError) as caught:
        pack.run("ChunkyGAN_SegmentMasks", image=torch.zeros(1, 8, 8, 3))
    assert shown_type(caught.type) == "chunkygan.InvalidInputError"


def test_sizes_in_words() -> None:
    assert in_pixels(torch.zeros(1, 1, 48, 64)) == in_pixels(torch.zeros(48, 64)) == "64x48"
    assert pictures(torch.zeros(1, 3, 48, 64)) == "a picture of 64x48"
    assert pictures(torch.zeros(3, 3, 512, 512)) == "3 pictures of 512x512"
    assert pictures(torch.zeros(2, 4, 8, 9)) == "2 pictures of 9x8 with 4 channels"
    assert pictures(torch.zeros(1, 1, 8, 9)) == "a picture of 9x8 with 1 channel"
    assert pictures(torch.zeros(3)) == "a tensor of shape [3]"
    assert in_pixels(torch.zeros(3)) == "of shape [3]"


def test_a_wrong_shape_is_named_with_the_expected_one() -> None:
    check_shape(torch.zeros(3, 14, 512), "ws", ("B", 14, 512))
    check_shape(torch.zeros(()), "a scalar", ())
    for shape in ((14, 512), (3, 14, 511), (3, 14, 512, 1)):
        with pytest.raises(InvalidInputError) as caught:
            check_shape(torch.zeros(shape), "ws", ("B", 14, 512), "convert it")
        assert str(caught.value) == f"ws has shape {list(shape)}; expected [B,14,512]; convert it"


def test_a_package_that_is_missing_is_named_with_what_to_do() -> None:
    check_installed("torch", "everything")
    with pytest.raises(
        MissingPackageError, match="loss curves need the package nobody_has_this.*pip install"
    ):
        check_installed("nobody_has_this", "loss curves")
