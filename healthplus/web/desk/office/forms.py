"""Read the office's forms: what is wrong is said field by field, and everything typed stays."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal

from healthplus import text as typed
from healthplus.directory.fees import FUNDINGS, checked_fee
from healthplus.errors import BadInput
from healthplus.money import FEE_MINOR_MAX, in_units
from healthplus.web.http.ids import ID_MAX
from healthplus.web.languages import Language

DAY_MINUTES = 24 * 60
_NAME_LENGTH_MAX = 60


class Form:
    """What somebody typed, by field; `errors` says what is wrong, by the field that it is about."""

    def __init__(self, given: Mapping[str, str], language: Language) -> None:
        self.given = dict(given)
        self.errors: dict[str, str] = {}
        self.gettext = language.gettext

    @property
    def is_good(self) -> bool:
        return not self.errors

    def fail(self, field: str, text: str) -> None:
        """Note what is wrong with a field; the first thing counts."""
        self.errors.setdefault(field, text)

    def text(self, field: str, length_max: int, *, required: bool = False, lines: bool = False) -> str:
        """Return free text on one line, or on several where there may be `lines`."""
        read = typed.lines if lines else typed.line
        return self._checked(field, read(self.given.get(field, "")), length_max, required=required)

    def name(self, field: str, length_max: int, *, required: bool = False) -> str:
        """Return a name of somebody or something."""
        return self._checked(field, typed.name(self.given.get(field, "")), length_max, required=required)

    def _checked(self, field: str, text: str, length_max: int, *, required: bool) -> str:
        if not text:
            if required:
                self.fail(field, self.gettext("This is needed."))
        elif not typed.is_name(text.replace("\n", " "), length_max):
            self.fail(field, self.gettext("At most %(count)s letters and signs, please.") % {"count": length_max})
        return text

    def phone(self, field: str) -> str:
        """Return a phone number as people write it, of a mobile or not; empty where nothing is typed."""
        text = typed.phone(self.given.get(field, ""))
        if text and not (
            re.fullmatch(r"\+?[\d ()./-]{,40}", text, re.ASCII) and 6 <= sum(map(str.isdigit, text)) <= 15
        ):
            self.fail(field, self.gettext("A phone number, such as 020 2543 1234 or +91 98765 43210."))
        return text

    def written(
        self,
        field: str,
        length_max: int,
        pattern: str,
        wrong: str,
        read: Callable[[str], str] = typed.identifier,
    ) -> str:
        """Return a text that is written in one way, as `read` reads it; empty for nothing typed. `wrong`: the error."""
        text = self._checked(field, read(self.given.get(field, "")), length_max, required=False)
        if text and not re.fullmatch(pattern, text):
            self.fail(field, wrong)
        return text

    def names(self, field: str, count_max: int) -> list[str]:
        """Return what is separated by commas, each once."""
        parts = dict.fromkeys(typed.name(part) for part in self.given.get(field, "").split(","))
        names = [part for part in parts if part]
        if len(names) > count_max:
            self.fail(field, self.gettext("At most %(count)s, separated by commas.") % {"count": count_max})
        elif not all(typed.is_name(name, _NAME_LENGTH_MAX) for name in names):
            text = self.gettext("Each of them has at most %(count)s letters and signs.")
            self.fail(field, text % {"count": _NAME_LENGTH_MAX})
        return names

    def number(self, field: str, low: int, high: int, default: int | None = None) -> int | None:
        """Return a whole number; `default` where nothing is typed, which without one is an error."""
        text = typed.number(self.given.get(field, ""))
        if not text and default is not None:
            return default
        if re.fullmatch(r"\d{1,10}", text, re.ASCII) and low <= int(text) <= high:
            return int(text)
        self.fail(field, self.gettext("A whole number from %(low)s to %(high)s.") % {"low": low, "high": high})
        return None

    def id(self, field: str, wrong: str, *, required: bool = False) -> int | None:
        """Return a number that something goes by, as addresses have it; None for nothing typed. `wrong`: the error."""
        text = typed.number(self.given.get(field, ""))
        if re.fullmatch(r"\d{1,18}", text, re.ASCII) and 1 <= int(text) <= ID_MAX:
            return int(text)
        if text or required:
            self.fail(field, wrong)
        return None

    def degrees(self, field: str, limit: int) -> float | None:
        """Return a latitude or longitude from -limit to limit; None where nothing is typed, or something wrong."""
        text = typed.number(self.given.get(field, ""))
        if not text:
            return None
        if re.fullmatch(r"-?\d{1,3}(\.\d{1,12})?", text, re.ASCII) and abs(float(text)) <= limit:
            return float(text)
        self.fail(field, self.gettext("Degrees with decimals, such as 18.5074."))
        return None

    def fee(self, field: str, currency: str) -> int | None:
        """Return an amount in the smallest unit; nothing typed is 0."""
        text = typed.number(self.given.get(field, "")).replace(",", "") or "0"
        try:
            if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII):
                raise BadInput
            return checked_fee(Decimal(text), currency)
        except BadInput:
            most = in_units(FEE_MINOR_MAX, currency)
            if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII) and Decimal(text) > most:
                self.fail(field, self.gettext("At most %(amount)s.") % {"amount": f"{most:,.0f}"})
            else:
                self.fail(field, self.gettext("An amount such as 500 or 649.50."))
        return None

    def fee_and_funding(self, currency: str) -> tuple[int | None, str]:
        """Return the fee in the smallest unit, and how it is paid: one of FUNDINGS, or empty for nothing chosen."""
        fee_minor, funding = self.fee("fee", currency), self.choice("funding", ("", *FUNDINGS))
        if funding == "online" and fee_minor == 0:
            self.fail("funding", self.gettext("What is paid online costs something."))
        elif funding == "free" and fee_minor:
            self.fail("funding", self.gettext("What is free has no fee."))
        return fee_minor, funding

    def clock(self, field: str) -> int | None:
        """Return a time of day in minutes after midnight; 24:00 is the end of the day."""
        found = re.fullmatch(r"(\d{1,2}):(\d\d)", typed.number(self.given.get(field, "")), re.ASCII)
        minutes = int(found[1]) * 60 + int(found[2]) if found and int(found[2]) < 60 else DAY_MINUTES + 1
        if minutes <= DAY_MINUTES:
            return minutes
        self.fail(field, self.gettext("A time of day, such as 09:30."))
        return None

    def day(self, field: str, *, required: bool = False) -> date | None:
        """Return a day of the years 2000 to 2199; None where nothing is typed, or something wrong."""
        text = typed.number(self.given.get(field, ""))
        if not text and not required:
            return None
        try:
            found = date.fromisoformat(text)
        except ValueError:
            found = date.min
        if 2000 <= found.year < 2200:
            return found
        self.fail(field, self.gettext("A day, such as 2026-12-24."))
        return None

    def choice(self, field: str, possible: Mapping[str, object] | tuple[str, ...], default: str = "") -> str:
        """Return which of the possible values was chosen, `default` if none; what else was sent is an error."""
        chosen = self.given.get(field, "") or default
        if chosen not in possible:
            self.fail(field, self.gettext("Choose one of these."))
        return chosen

    def days(self, prefix: str = "day_") -> list[int]:
        """Return the weekdays that are ticked; Monday is 1."""
        return [day for day in range(1, 8) if self.given.get(f"{prefix}{day}")]
