"""The languages of the pages: their texts, and how each writes dates, times and money.

English is the language of the source. Every other has a folder of gettext catalogues, one for each area of the site.
They are read when the process starts.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency, get_currency_symbol
from babel.support import Translations
from markupsafe import Markup, escape

from healthplus.money import currency_digits, in_units
from healthplus.text import comparable

CATALOGUES = Path(__file__).with_name("locale")

HOME_ZONE = "Asia/Kolkata"
"""The zone of times that belong to no clinic, such as the end of a number's pause."""

# A page of slots shows a hundred times of day, and the next page mostly the same ones.
_WRITTEN_MAX = 20_000
_write_moment = lru_cache(_WRITTEN_MAX)(format_datetime)
_write_day = lru_cache(_WRITTEN_MAX)(format_date)
_write_money = lru_cache(_WRITTEN_MAX)(format_currency)

_CLOCKS = {"en": ("h:mm a", "h:mm:ss a"), "hi": ("B\xa0h:mm", "B\xa0h:mm:ss")}
"""In Hindi the part of the day and the hour stand on one line."""


def N_(text: str) -> str:  # noqa: N802 - the name by which such texts are found
    """Mark a text to be translated where it is used."""
    return text


_Day: TypeAlias = date  # a method below is called so


class Language:
    """One language; `prefix` is what the paths of its pages begin with."""

    def __init__(self, code: str, name: str, prefix: str) -> None:
        self.code = code
        self.name = name
        self.prefix = prefix
        self.locale = Locale(code, "IN")
        self.translations, self._known, self._own = _translations(code)
        self.gettext = self.translations.gettext
        self.ngettext = self.translations.ngettext

    def url(self, path: str) -> str:
        """Return the path of a page in this language; `path` is its path in English."""
        return self.prefix + path

    def known_name(self, kind: str, name: str) -> str:
        """Return a city, speciality, service, language or preparation, or the directory's own words where not known."""
        return self._known.get((kind, name.casefold()), name)

    def named(self, kind: str, name: str) -> Markup:
        """Return a known name for a page; one that is not known in the reader's language is read aloud as English."""
        known = self.known_name(kind, name)
        return Markup('<span lang="en">{}</span>').format(name) if self.prefix and known == name else escape(known)

    def own_name(self, kind: str, text: str) -> str:
        """Return the directory's name of what `text` names in this language, as `known_name` has it; else `text`."""
        return self._own.get((kind, comparable(text)), text)

    def day(self, on: _Day, today: _Day | None = None) -> str:
        """Return a day as "Tue 24 Nov"; where `today` is given and it is near, as "Today" or "Tomorrow"."""
        return (self._distance(on, today) if today else "") or _write_day(on, "EEE d MMM", self.locale)

    def far_day(self, on: _Day, today: _Day) -> str:
        """Return a day with how far off it is, as "Tomorrow, Tue 24 Nov"."""
        distance = self._distance(on, today)
        return f"{distance}, {self.day(on)}" if distance else self.day(on)

    def _distance(self, on: _Day, today: _Day) -> str:
        if on == today:
            return self.gettext("Today")
        return self.gettext("Tomorrow") if on == today + timedelta(days=1) else ""

    def month(self, on: _Day) -> str:
        """Return a day's month as "November 2026"."""
        return _write_day(on, "LLLL y", self.locale)

    def weekday(self, number: int) -> str:
        """Return a day of the week as "Mon"; Monday is number 1."""
        return str(self.locale.days["format"]["abbreviated"][number - 1])

    def date(self, at: datetime, zone: str, now: datetime | None = None) -> str:
        """Return a day as "Tue 24 Nov"; where `now` is given, with how far off it is: "Tomorrow, Tue 24 Nov"."""
        there = ZoneInfo(zone)
        on = at.astimezone(there).date()
        return self.far_day(on, now.astimezone(there).date()) if now else self.day(on)

    def near_date(self, at: datetime, zone: str, now: datetime) -> str:
        """Return a day as "Today", "Tomorrow" or "Tue 24 Nov"."""
        there = ZoneInfo(zone)
        return self.day(at.astimezone(there).date(), now.astimezone(there).date())

    def long_date(self, at: datetime, zone: str) -> str:
        """Return a day as "24 November 2026"."""
        return _write_moment(at, "d MMMM y", ZoneInfo(zone), self.locale)

    def clock(self, at: datetime, zone: str, *, seconds: bool = False) -> str:
        """Return a time of day as "10:20 am", without its zone: for use beside one that has it.

        In the hour that an autumn night has twice, the zone tells which it is: "1:30 am EDT".
        """
        return self._with_zone_where_repeated(self._clock(at, zone, seconds=seconds), at, zone)

    def dial(self, at: datetime, zone: str) -> str:
        """Return a time of day as "10:20", for use among others of the same half of the day."""
        return self._with_zone_where_repeated(_write_moment(at, "h:mm", ZoneInfo(zone), self.locale), at, zone)

    def time(self, at: datetime, zone: str, *, seconds: bool = False) -> Markup:
        """Return a time of day with its zone, as "10:20 am IST", for a page: readers elsewhere see the zone.

        Who that is, static/js/app.js finds out.
        """
        return self._with_zone(self.clock(at, zone, seconds=seconds), at, zone)

    def span(self, starts: datetime, ends: datetime, zone: str) -> Markup:
        """Return from when to when, for a page, as "10:20 to 10:30 am IST"; it breaks only before the zone."""
        text = self.bare_span(starts, ends, zone)
        name = f"{ends.astimezone(ZoneInfo(zone)):%Z}"
        together = Markup('<span class="together">{}</span>').format(text)
        return together if text.endswith(name) else together + _for_readers_elsewhere(f" {name}", zone)

    def bare_span(self, starts: datetime, ends: datetime, zone: str) -> str:
        """Return from when to when, as "10:20 to 10:30 am", for use beside a day that has the zone."""
        start, end = self.clock(starts, zone), self.clock(ends, zone)
        if self._part_of_day(starts, zone) == self._part_of_day(ends, zone):
            # The half of the day is said once: where it stands behind, with the end, else with the start.
            if self.code == "hi":
                end = self.dial(ends, zone)
            else:
                start = self.dial(starts, zone)
        return self.gettext("%(start)s to %(end)s") % {"start": start, "end": end}

    def _part_of_day(self, at: datetime, zone: str) -> tuple[str, str]:
        part = _write_moment(at, _CLOCKS[self.code][0].replace("h:mm", "").strip(), ZoneInfo(zone), self.locale)
        return part, f"{at.astimezone(ZoneInfo(zone)):%Z}"

    def zone(self, starts: Sequence[datetime], zone: str) -> Markup:
        """Return the zone of times of one day, as " · IST", to stand behind the day; readers elsewhere see it."""
        return _for_readers_elsewhere(f" · {zone_names(starts, zone)}", zone)

    def _with_zone(self, text: str, at: datetime, zone: str) -> Markup:
        name = f"{at.astimezone(ZoneInfo(zone)):%Z}"
        # One that tells two hours of a night apart is there already, for all.
        return escape(text) if text.endswith(name) else escape(text) + _for_readers_elsewhere(f" {name}", zone)

    def _clock(self, at: datetime, zone: str, *, seconds: bool) -> str:
        text = _write_moment(at, _CLOCKS[self.code][seconds], ZoneInfo(zone), self.locale)
        return text.replace("AM", "am").replace("PM", "pm")

    @staticmethod
    def _with_zone_where_repeated(text: str, at: datetime, zone: str) -> str:
        local = at.astimezone(ZoneInfo(zone))
        is_repeated = local.replace(fold=0).utcoffset() > local.replace(fold=1).utcoffset()  # type: ignore[operator]
        return f"{text} {local:%Z}" if is_repeated else text

    def moment(self, at: datetime, zone: str, now: datetime | None = None) -> Markup:
        """Return day, time and zone, for a page, as "Tue 24 Nov, 10:20 am IST"; the day as `date` has it."""
        return escape(f"{self.date(at, zone, now)}, ") + self.time(at, zone)

    def money(self, amount_minor: int, currency: str) -> str:
        """Return an amount, with decimals only if it has a fraction: "₹1,500", "$99.50", "KWD 12.345"."""
        amount = in_units(amount_minor, currency)
        # A sign of letters stands apart from the digits.
        sign = "¤\xa0" if self.currency_symbol(currency)[-1].isalpha() else "¤"
        decimals = f".{'0' * currency_digits(currency)}" if amount % 1 else ""
        return _write_money(amount, currency, f"{sign}#,##,##0{decimals}", self.locale, currency_digits=False)

    def currency_symbol(self, currency: str) -> str:
        """Return a currency as it is written before an amount: "₹", "$", "KWD"."""
        return get_currency_symbol(currency, self.locale)


def zone_names(starts: Sequence[datetime], zone: str) -> str:
    """Return the zone that times of one day, in order, are in, as "IST"; both where clocks change in between."""
    ends = starts[0], starts[-1]
    return " / ".join(dict.fromkeys(f"{at.astimezone(ZoneInfo(zone)):%Z}" for at in ends))


@lru_cache(_WRITTEN_MAX)
def _for_readers_elsewhere(text: str, zone: str) -> Markup:
    return Markup('<span class="zone" data-zone="{}">{}</span>').format(zone, text)


_Names: TypeAlias = dict[tuple[str, str], str]


def _translations(code: str) -> tuple[Translations, _Names, _Names]:
    """Return the texts of a language, and names by their kind and small letters: to this language, and back."""
    merged = Translations()
    known: _Names = {}
    own: _Names = {}
    for path in sorted((CATALOGUES / code).glob("*.po")):
        with path.open("rb") as file:
            catalogue = read_po(file, locale=code, abort_invalid=True)
        for message in catalogue:
            if message.context:
                name, there = str(message.id), str(message.string)
                known[message.context, name.casefold()] = there
                # Of several that are called the same here, the first in the catalogue.
                own.setdefault((message.context, comparable(there)), name)
        compiled = io.BytesIO()
        write_mo(compiled, catalogue)
        compiled.seek(0)
        merged.merge(Translations(compiled))
    return merged, known, own


ENGLISH = Language("en", "English", "")
HINDI = Language("hi", "हिन्दी", "/hi")
LANGUAGES = (ENGLISH, HINDI)


def split_path(path: str) -> tuple[Language, str]:
    """Return the language of a path and the page's path in English, each with the query that may follow."""
    for language in LANGUAGES:
        rest = path.removeprefix(language.prefix)
        if language.prefix and rest != path and rest[:1] in ("", "/", "?"):
            return language, rest if rest.startswith("/") else f"/{rest}"
    return ENGLISH, path
