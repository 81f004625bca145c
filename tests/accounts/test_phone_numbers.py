from __future__ import annotations

import pytest

from healthplus.accounts.phone_numbers import is_mobile, masked, phone_number, written
from healthplus.errors import PhoneRefused


@pytest.mark.parametrize(
    ("text", "region", "phone"),
    [
        ("+919876543210", None, "+919876543210"),
        (" +91 98765-43210\n", None, "+919876543210"),
        ("098765 43210", "IN", "+919876543210"),
        ("9876543210", "IN", "+919876543210"),
        ("0091 9876543210", "IN", "+919876543210"),
        ("+91 09876543210", "IN", "+919876543210"),
        ("९८७६५ ४३२१०", "IN", "+919876543210"),
        ("\u202a+91\xa098765\u201143210\u202c\x00", None, "+919876543210"),
        ("+44 (0)7911 123456", "IN", "+447911123456"),
        ("07911 123456", "GB", "+447911123456"),
        ("+1 212-555-0123", "IN", "+12125550123"),  # there mobiles and landlines cannot be told apart
    ],
)
def test_mobile_numbers_as_people_write_them(text: str, region: str | None, phone: str) -> None:
    assert phone_number(text, region) == phone


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("020 2612 3456", "landline"),
        ("1800 11 1363", "toll-free"),
        ("+44 909 879 0000", "premium-rate"),
        ("+44 56 0000 0000", "no mobile number"),
        ("98765", "in full"),
        ("+91 00000 67890", "in full"),
        ("+447700900123", "in full"),
        ("+9999999999999", "in full"),
        ("", "in full"),
        ("+", "in full"),
        ("Call 98765 43210", "in full"),
        ("98765 43210 ext. 5", "in full"),
        ("98765 43210\ue000", "in full"),
        ("98765;43210", "in full"),
        ("9" * 10_000, "in full"),
        ("tel:+919876543210", "in full"),
    ],
)
def test_what_gets_no_message_is_refused_with_what_to_do(text: str, says: str) -> None:
    with pytest.raises(PhoneRefused, match=says) as caught:
        phone_number(text, "IN")
    assert caught.value.__cause__ is None
    assert not text or len(text) < 6 or text not in str(caught.value)


def test_without_a_region_the_country_code_is_needed() -> None:
    with pytest.raises(PhoneRefused, match="country code"):
        phone_number("9876543210")


def test_a_landline_may_be_called_at() -> None:
    assert phone_number("020 2612 3456", "IN", mobile=False) == "+912026123456"


@pytest.mark.parametrize("text", ["+91 09000 00012", "0900000012", "09000 00012", "+910900000012"])
def test_numbers_that_nobody_has_are_those_of_the_demo_alone(text: str) -> None:
    for mobile in (True, False):
        assert phone_number(text, "IN", mobile=mobile, demo=True) == "+910900000012"
        with pytest.raises(PhoneRefused):
            phone_number(text, "IN", mobile=mobile)
    assert written("+910900000012") == "+91 09000 00012"
    assert not is_mobile("+910900000012")
    assert phone_number("098765 43210", "IN", demo=True) == "+919876543210"


def test_four_digits_are_shown() -> None:
    assert masked("+919876543210") == "••• 3210"
