"""Phone numbers: read as people write them, kept in E.164."""

from __future__ import annotations

import re

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from healthplus import text as typed
from healthplus.errors import PhoneRefused

_WRITTEN = re.compile(r"\+?[0-9 ().\-/]{1,40}")
_MOBILE = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)
_NOBODYS = re.compile(r"\+910\d{9}", re.ASCII)
_UNFIT = {
    PhoneNumberType.FIXED_LINE: "This is a landline, which cannot get a text message",
    PhoneNumberType.TOLL_FREE: "This is a toll-free number",
    PhoneNumberType.PREMIUM_RATE: "This is a premium-rate number",
}


def phone_number(text: str, region: str | None = None, *, mobile: bool = True, demo: bool = False) -> str:
    """Return a number in E.164; one without a country code is one of `region`. Raises PhoneRefused.

    `demo`: also one of those that patients of the demo have, and nobody else.
    """
    text = typed.phone(text)
    try:
        if not _WRITTEN.fullmatch(text):
            raise PhoneRefused
        if demo and (nobodys := _nobodys(text)):
            return nobodys
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        raise PhoneRefused from None
    if not phonenumbers.is_valid_number(number):
        raise PhoneRefused
    kind = phonenumbers.number_type(number)
    if mobile and kind not in _MOBILE:
        raise PhoneRefused(f"{_UNFIT.get(kind, 'This is no mobile number')}; give a mobile number.")
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _nobodys(text: str) -> str | None:
    """Return a number in E.164 that nobody has, as no subscriber's in India begins with 0; None where it is another."""
    digits = re.sub(r"[^\d+]", "", text)
    return next((one for one in (digits, f"+91{digits}") if _NOBODYS.fullmatch(one)), None)


def is_mobile(phone: str) -> bool:
    """Return whether a number in E.164 can get a text message."""
    return phonenumbers.number_type(phonenumbers.parse(phone)) in _MOBILE


def written(phone: str) -> str:
    """Return a number in E.164 as people write it, with its country code."""
    if _NOBODYS.fullmatch(phone):
        return f"{phone[:3]} {phone[3:8]} {phone[8:]}"
    return phonenumbers.format_number(phonenumbers.parse(phone), PhoneNumberFormat.INTERNATIONAL)


def masked(phone: str) -> str:
    """Return what may be shown of a number: its last digits."""
    return f"••• {phone[-4:]}"
