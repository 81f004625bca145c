"""What of the audit is looked for, as the address of its page has it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from healthplus.booking.numbers import ids_of
from healthplus.database import Record
from healthplus.errors import BadInput
from healthplus.text import identifier
from healthplus.web.desk.office.forms import Form
from healthplus.web.pages.booking import parsed_instant

FILTERS = ("who", "what", "patient", "booking", "from", "to")
_LENGTH_MAX = 100


class AuditSearch:
    """One search; what is wrong with it is noted in its form, and then left out."""

    def __init__(self, form: Form, zone: str) -> None:
        self.form = form
        self._zone = ZoneInfo(zone)
        given = {name: identifier(form.given.get(name, ""))[:_LENGTH_MAX] for name in FILTERS}
        self.given = {name: text for name, text in given.items() if text}
        self.who = self.given.get("who")
        self.action = self.given.get("what")
        self.patient_id = form.id("patient", form.gettext("A patient’s number, such as 1204."))
        self.booking_from, self.booking_to = booking_range(form, "booking")
        self.from_at = self._day("from", 0)
        self.to_at = self._day("to", 1)
        self.before = _mark_of(form.given.get("before", ""))

    @property
    def args(self) -> tuple[Any, ...]:
        """What the console's functions take, as far as page and export have it in common."""
        who = (self.who, self.action, self.patient_id, self.booking_from, self.booking_to)
        return (*who, self.from_at, self.to_at)

    @property
    def query(self) -> str:
        """The same search as a query, without the page that one is on."""
        return urlencode(self.given)

    def after(self, row: Record) -> str:
        """Return the query of the page that begins after a row."""
        return urlencode({**self.given, "before": f"{row['at'].astimezone(UTC).isoformat()}~{row['entry_id']}"})

    def _day(self, field: str, days_later: int) -> datetime | None:
        day: date | None = self.form.day(field)
        return None if day is None else datetime.combine(day + timedelta(days=days_later), time(), self._zone)


def booking_range(form: Form, field: str) -> tuple[UUID | None, UUID | None]:
    """Return between which ids a booking lies whose number, or id, somebody typed; None for nothing or what is none."""
    text = identifier(form.given.get(field, ""))
    if not text:
        return None, None
    try:
        if re.fullmatch(r"[0-9a-f-]{36}", text.lower()):
            return UUID(text), UUID(text)
        return ids_of(text)
    except (BadInput, ValueError):
        form.fail(field, form.gettext("An appointment’s number, such as HP-7K3M-2QXD."))
        return None, None


def _mark_of(text: str) -> tuple[datetime | None, int | None]:
    """Return the entry that a page begins after, as its address has it."""
    at, _, number = text.partition("~")
    found = parsed_instant(at)
    if found is None or not re.fullmatch(r"\d{1,18}", number, re.ASCII):
        return None, None
    return found, int(number)
