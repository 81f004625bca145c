"""Read one cell: its value, or BadInput that says what is wrong with it.

What Excel did to it is undone where that is certain.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import lru_cache

import phonenumbers
from babel.numbers import get_currency_symbol

from healthplus.directory.fees import checked_fee
from healthplus.errors import BadInput
from healthplus.imports.shown_names import has_letters

NOTHING = frozenset({"-", "--", "---", "n/a", "na", "n.a.", "nil", "null", "none", "not available", "."})
"""What people write into an optional cell of which they know nothing, in small letters."""
_EXCEL_ERRORS = frozenset({"#n/a", "#ref!", "#value!", "#name?", "#div/0!", "#null!", "#num!", "#error!"})
_CUT_NUMBER = re.compile(r"[+-]?\d(?:[.,]\d+)?[eE]\+?\d{1,3}", re.ASCII)
_EXCEL_TEXT = re.compile(r'="(.*)"')
_YES = frozenset({"true", "yes", "y", "1", "हाँ", "हां"})
_NO = frozenset({"false", "no", "n", "0", "नहीं"})
_GENDERS = {
    "female": "female", "f": "female", "woman": "female", "महिला": "female", "स्त्री": "female",
    "male": "male", "m": "male", "man": "male", "पुरुष": "male",
    "other": "other", "o": "other", "transgender": "other", "non-binary": "other",
}  # fmt: skip
_TYPES = {
    "doctor": "doctor", "physician": "doctor", "practitioner": "doctor", "dentist": "doctor",
    "hospital": "hospital", "clinic": "clinic", "polyclinic": "clinic", "dispensary": "clinic",
    "lab": "lab", "laboratory": "lab", "diagnostic centre": "lab", "diagnostic center": "lab", "pathology lab": "lab",
}  # fmt: skip
_FREE = frozenset({"free", "free of charge", "no charge", "no fee", "निःशुल्क", "मुफ्त"})
# So that 1.500,00 is not guessed at. Thousands are grouped by three or, in India, above that by two.
_AMOUNT = re.compile(r"(\d{1,12}|\d{1,3}(?:,\d{2,3})*,\d{3})(\.\d{1,9})?", re.ASCII)
_DEGREES = re.compile(
    r"(?P<sign>[+-])?(?P<degrees>\d{1,3}(?:[.,]\d{1,12})?)\s*°?\s*"
    r"(?:(?P<minutes>\d{1,2}(?:\.\d{1,9})?)\s*['′]\s*(?:(?P<seconds>\d{1,2}(?:\.\d{1,9})?)\s*(?:\"|″|'')\s*)?)?(?P<side>[NSEW])?",  # noqa: RUF001 - minutes
    re.ASCII,
)
_DAY_FIRST = re.compile(r"(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4})", re.ASCII)
_ISO = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:[T ].*)?", re.ASCII)


def undo_excel(text: str) -> str:
    """Return what a cell said before Excel was kept from reading it as a number; raises BadInput for its errors."""
    if not text.startswith(("#", "=", "'")):
        return text
    if text.casefold() in _EXCEL_ERRORS:
        raise BadInput("an error of Excel's stands here")
    if wrapped := _EXCEL_TEXT.fullmatch(text):
        return wrapped[1].strip()
    return text[1:] if re.match(r"'[\d+=]", text) else text


def require_digits(text: str) -> None:
    """Raise BadInput where Excel has shortened a number."""
    if _CUT_NUMBER.fullmatch(text):
        raise BadInput("Excel has cut this number")


def text_up_to(length_max: int) -> Callable[[str], str]:
    """Return a reader of texts that are no longer."""

    def read(text: str) -> str:
        if len(text) > length_max:
            raise BadInput(f"expected length <= {length_max}")
        return text

    return read


word = text_up_to(200)
line = text_up_to(500)


def name(text: str) -> str:
    """Return a name. One without a letter, or a title alone, would never be found."""
    if not has_letters(text):
        raise BadInput("a name needs at least one letter")
    return word(text)


def choice(options: dict[str, str], expected: str) -> Callable[[str], str]:
    """Return a reader of one of several words, whatever their case."""

    def read(text: str) -> str:
        if (found := options.get(text.casefold().strip(" ."))) is None:
            raise BadInput(f"expected {expected}")
        return found

    return read


gender = choice(_GENDERS, "female, male or other")
provider_type = choice(_TYPES, "doctor, hospital, clinic or lab")
funding = choice({one: one for one in ("online", "clinic", "free")}, "online, clinic or free")


def yes_or_no(text: str) -> bool:
    """Return what a cell says of a question."""
    said = text.casefold()
    if said not in _YES | _NO:
        raise BadInput("expected yes or no")
    return said in _YES


_OPEN = frozenset({"open", "active", "operational", "functional", "functioning", "working", "running"})
_CLOSED = frozenset(
    {"closed", "inactive", "permanently closed", "closed permanently", "shut", "shut down", "defunct", "non functional"}
)


def is_open(text: str) -> bool:
    """Return whether a status says that a place can be booked."""
    said = " ".join(text.casefold().replace("-", " ").replace("_", " ").split())
    if said not in _OPEN | _CLOSED:
        raise BadInput("expected open or closed")
    return said in _OPEN


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers within bounds, also of 30.0."""

    def read(text: str) -> int:
        require_digits(text)
        if (
            not re.fullmatch(r"\d{1,9}(\.0+)?", text, re.ASCII)
            or not least <= (value := int(text.partition(".")[0])) <= most
        ):
            raise BadInput(f"expected a whole number from {least} to {most}")
        return value

    return read


def day(text: str) -> date:
    """Return a date written day first or by ISO 8601; one that is month first only would be guessed at."""
    try:
        if found := _ISO.fullmatch(text):
            return date(int(found[1]), int(found[2]), int(found[3]))
        if found := _DAY_FIRST.fullmatch(text):
            return date(int(found[3]), int(found[2]), int(found[1]))
    except ValueError:
        pass
    raise BadInput("expected a date such as 31/12/2026 or 2026-12-31")


def year(text: str) -> int:
    """Return a year, also that of a date."""
    value = day(text).year if "/" in text or "-" in text or text.count(".") > 1 else whole_number(1900, 2200)(text)
    if not 1900 <= value <= 2200:
        raise BadInput("expected a year from 1900 to 2200")
    return value


def e_mail(text: str) -> str:
    """Return an e-mail address, without the scheme of a link to it."""
    address = re.sub(r"(?i)^mailto:\s*", "", text)
    if len(address) > 254 or not re.fullmatch(r"[^@\s]+@[^@\s]+", address):
        raise BadInput("expected something like name@example.com")
    return address


@lru_cache(maxsize=4096)
def phones(text: str, region: str) -> tuple[str, ...]:
    """Return the numbers of a cell, as they are written; one without a country code is one of `region`."""
    found = []
    require_digits(text)
    for part in re.split(r"\s*[/,;|]\s*|\s+or\s+", text):
        written = re.sub(r"(?i)^(?:phone|tel|mob|mobile|ph|landline|fax)?[\s.:]*|(?<=\d)\.0+$", "", part).strip()
        require_digits(written)
        try:
            if re.fullmatch(r"[+\d\s().\-]{3,40}", written, re.ASCII) and phonenumbers.is_valid_number(
                phonenumbers.parse(written, region)
            ):
                found.append(written)
        except phonenumbers.NumberParseException:
            continue
    if not found:
        raise BadInput("expected a phone number, with its area code")
    return tuple(found)


def degrees(text: str) -> float:
    """Return a coordinate in degrees, also of one in minutes and seconds or with a decimal comma."""
    require_digits(text)
    found = _DEGREES.fullmatch(text.upper())
    if found is None:
        raise BadInput("expected degrees, such as 18.5018")
    value = float(found["degrees"].replace(",", "."))
    value += float(found["minutes"] or 0) / 60 + float(found["seconds"] or 0) / 3600
    return -value if found["sign"] == "-" or found["side"] in ("S", "W") else value


def fee(text: str, currency: str) -> int:
    """Return a fee in the smallest unit, as people write it: ₹1,200, Rs. 500/-, free."""
    require_digits(text)
    if text.casefold() in _FREE:
        return 0
    amount = _bare_amount(text, currency)
    if not _AMOUNT.fullmatch(amount):
        raise BadInput("expected an amount, such as 700 or 649.50")
    return checked_fee(Decimal(amount.replace(",", "")), currency)


def _bare_amount(text: str, currency: str) -> str:
    signs = {currency, get_currency_symbol(currency, "en"), *(("Rs.", "Rs", "rupees") if currency == "INR" else ())}
    either = "|".join(re.escape(sign) for sign in sorted(signs, key=len, reverse=True))
    return re.sub(rf"(?i)^(?:{either})\s*|\s*(?:{either}|/-|/=|\bonly)*\s*$", "", text.strip()).strip()


def items(text: str, separators: str = ";|") -> tuple[str, ...]:
    """Return the parts of a list, each once."""
    parts = re.split(f"[{re.escape(separators)}]", text)
    return tuple(dict.fromkeys(item for part in parts if (item := part.strip())))
