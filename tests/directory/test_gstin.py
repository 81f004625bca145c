"""A clinic's GSTIN: its form, and the sign that tells a mistyped one."""

from __future__ import annotations

import pytest

from healthplus.directory.gstin import check_sign, checked_gstin
from healthplus.errors import BadInput


def test_a_gstin_is_kept_without_spaces_and_in_capitals() -> None:
    assert checked_gstin("27AAPFU0939F1ZV") == "27AAPFU0939F1ZV"
    assert checked_gstin(" 27 aapfu0939f 1zv") == "27AAPFU0939F1ZV"
    assert check_sign("29AAGCB7383J1Z") == "4"


@pytest.mark.parametrize("wrong", ["", "27AAPFU0939F1Z", "27AAPFU0939F1ZVV", "x" * 40])
def test_what_has_another_form_is_none(wrong: str) -> None:
    with pytest.raises(BadInput, match="expected 15 letters and digits"):
        checked_gstin(wrong)


@pytest.mark.parametrize("wrong", ["27AAPFU0939F1ZW", "27AAPFU0939F1Z५", "27AAPFU0993F1ZV", "72AAPFU0939F1ZV"])
def test_one_mistyped_sign_is_seen(wrong: str) -> None:
    with pytest.raises(BadInput, match="mistyped"):
        checked_gstin(wrong)
