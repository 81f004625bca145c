"""The country this installation is for: its money, addresses, phone numbers, languages, numbers to call, authorities.

Each country is a file of countries/; which one, HEALTHPLUS_COUNTRY says, once for a process (decision 0083).
"""

from __future__ import annotations

import os
import re
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import available_timezones

import msgspec

VARIABLE = "HEALTHPLUS_COUNTRY"
DEFAULT = "IN"
_FOLDER = Path(__file__).with_name("countries")

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Digits = Annotated[str, msgspec.Meta(pattern="^[0-9]{2,15}\\Z")]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    pass


class Phone(_Part, frozen=True):
    """Phone numbers as people write them here, and one from a neighbour."""

    example: _Text
    landline_example: _Text
    from_abroad_example: _Text


class PostalCode(_Part, frozen=True):
    """Postal codes: `parts` is a regular expression of one as it is typed, `kept` how its groups are put together.

    `called` is what people write before one, as a regular expression.
    """

    name: _Text
    example: _Text
    parts: _Text
    kept: _Text
    called: _Text
    digits_only: bool

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(self.parts, re.ASCII)

    def checked(self, text: str) -> str:
        """Return a code as it is kept, from one in plain signs and any case; raises ValueError where it is none."""
        found = self._pattern.fullmatch(text.strip().upper())
        if found is None:
            raise ValueError(f"expected a {self.name} such as {self.example}")
        return found.expand(self.kept)


class Privacy(_Part, frozen=True):
    """Who sees to personal data, by which law; `report_hours` after a breach is known its details are due there."""

    law: _Text
    authority: _Text
    authority_short: _Text
    report_hours: Annotated[int, msgspec.Meta(ge=1)]


class Call(_Part, frozen=True):
    """A number to call, and what stands on the button that does it."""

    number: _Digits
    text: _Text


class Urgent(_Part, frozen=True):
    """What is said of a need that cannot wait, and whom to call, the first first."""

    text: _Text
    calls: Annotated[tuple[Call, ...], msgspec.Meta(min_length=1)]


class Emergency(_Part, frozen=True):
    """Whom to call: `number` in any emergency, `footer` at the foot of each page, the others for a kind of need."""

    number: _Digits
    footer: tuple[Call, ...]
    body: Urgent
    mind: Urgent
    violence: Urgent
    child: Urgent


class Country(_Part, frozen=True):
    """What the product needs to know of a country; docs/countries.md says what each setting means.

    `code` is that of ISO 3166, which the registers of phone numbers and of locales have, too. `month_first`: days are
    written as in "Nov 24". `box` is the least and most latitude, then longitude, of what lies in it. `tax_number` is
    what the number is called that a clinic's receipts name; "" where they name none.
    """

    code: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}\\Z")]
    name: _Text
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}\\Z")]
    unit_name: _Text
    time_zone: str
    languages: Annotated[tuple[Literal["en", "hi"], ...], msgspec.Meta(min_length=1)]
    has_states: bool
    month_first: bool
    tax_number: Literal["", "GSTIN"]
    box: tuple[float, float, float, float]
    phone: Phone
    postal_code: PostalCode
    privacy: Privacy
    emergency: Emergency


def country(said: str) -> Country:
    """Return a country by its code, or from a file of one's own. Raises ValueError, whose text names the fault."""
    known = {one.stem: one for one in sorted(_FOLDER.glob("*.toml"))}
    path = known.get(said) or Path(said)
    if not path.is_absolute() or path.suffix != ".toml":
        raise ValueError(f"must be {', '.join(known)} or the full path of a file such as /etc/xy.toml, not {said!r}.")
    try:
        found = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Country)
        _check(found)
    except OSError as error:
        raise ValueError(f"must be a file that can be read: {error.strerror}, {said}.") from None
    except (ValueError, re.error) as error:
        raise ValueError(f"has a fault in {path.name}: {error}.") from None
    return found


def _check(found: Country) -> None:
    re.compile(found.postal_code.called)
    if found.postal_code.checked(found.postal_code.example) != found.postal_code.example:
        raise ValueError("the example of a postal code is not as it is kept")
    if found.time_zone not in available_timezones():
        raise ValueError(f"{found.time_zone!r} is no time zone")
    if found.languages[0] != "en":
        raise ValueError("the first of the languages is en, which the pages are written in")


def _of_this_process() -> Country:
    try:
        return country(os.environ.get(VARIABLE) or DEFAULT)
    except ValueError:  # of which the settings tell; nothing runs with it
        return country(DEFAULT)


HERE = _of_this_process()
"""The country of this process."""
