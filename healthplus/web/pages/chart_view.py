"""What the page of a chart reads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple, assert_never
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from markupsafe import Markup

from healthplus.booking.outcomes import HoldRefused, MoveRefused
from healthplus.database import Record
from healthplus.directory.known_services import Service
from healthplus.web.http.refusals import error_for_refusal
from healthplus.web.languages import Language
from healthplus.web.pages.addresses import about_path_at, chart_path, queue_path, results_path
from healthplus.web.pages.booking import no_such_slot_text
from healthplus.web.pages.limits import Limit
from healthplus.web.pages.patient_chart import Cell, PatientChart
from healthplus.web.pages.person_choice import PersonChoice
from healthplus.web.pages.service_choice import PARAMETER, ServiceChoice, field_name
from healthplus.web.shared_charts import DAYS, ChartKey

_ALTERNATIVES_MAX = 3


class SlotTimes(NamedTuple):
    """A slot's times in words: `from_` and `to` as "10:20 am", `dial` and `rest` the halves of `from_`.

    `value` is what the form sends, `number` is unique on the page.
    """

    number: int
    value: str
    from_: str
    to: str
    dial: str
    rest: str


class ChosenTimes(NamedTuple):
    """A chosen time, as "10:20 to 10:30 am", and its start for a button, as "10:20" and "10:20 am"."""

    span: str
    dial: str
    from_: str


# A page of slots has some hundred of these, and the next page, for another patient, the same ones.
@lru_cache(20_000)
def slot_times(starts_at: datetime, ends_at: datetime, zone: str, language: Language) -> SlotTimes:
    from_, dial = language.clock(starts_at, zone), language.dial(starts_at, zone)
    to = language.clock(ends_at, zone)
    return SlotTimes(
        int(starts_at.timestamp()), starts_at.isoformat(), from_, to, dial, from_.replace(dial, "").strip()
    )


def month_path(location: Record, key: ChartKey, day: date) -> str:
    """Return the address of the month of a day, for what a chart is for."""
    return _path_below(location, key, "month", {"month": f"{day:%Y-%m}"})


def others_path(location: Record) -> str:
    """Return where the other labs of the city are, or others of the first speciality there."""
    specialities = location["specialities"]
    need = "lab" if location["type"] == "lab" else specialities[0]["slug"] if specialities else ""
    return results_path(location["city_slug"], need)


def _path_below(location: Record, key: ChartKey, name: str, query: dict[str, object]) -> str:
    path = chart_path(key.provider_id, location["provider"], key.clinic_id)
    query |= {"n": key.slots_needed, PARAMETER: key.service_ids}
    return f"{path}/{name}?{urlencode(query, doseq=True)}"


@dataclass(frozen=True, kw_only=True)
class ChartView:
    """A patient's chart at a practice location, as templates/chart/chart.html shows it.

    `start` is the time that the patient chose; `outcome`, why it could not be held; `form_error`, what the form lacks.
    `can_move`: choosing a time moves the patient's hold there. `is_away`: the day has no slots because of a leave.
    """

    location: Record
    key: ChartKey
    choice: ServiceChoice
    chart: PatientChart
    language: Language
    now: datetime
    start: datetime | None
    outcome: HoldRefused | MoveRefused | None
    form_error: str | None
    can_move: bool
    is_away: bool
    limit: Limit | None
    who: PersonChoice | None

    @property
    def day(self) -> date:
        return self.key.day

    @property
    def today(self) -> date:
        return self.day_of(self.now)

    @property
    def zone(self) -> Markup:
        """Return the zone of the times, for readers elsewhere."""
        return self.language.zone([cell.starts_at for cell in self.chart.cells], self.key.zone)

    @property
    def minutes(self) -> int | None:
        """Return how long an appointment is; None where slots differ in length, or tests take no time of their own."""
        if self.choice.chosen:
            return self.choice.length_minutes or None
        slot_minutes: int | None = self.location["slot_minutes"]
        return slot_minutes * self.key.slots_needed if slot_minutes else None

    @property
    def free(self) -> int:
        return sum(part.free for part in self.chart.parts)

    @property
    def held(self) -> int:
        return sum(part.held for part in self.chart.parts)

    @property
    def has_taken_beside_free(self) -> bool:
        """Return whether there are slots that stay out of sight until they are asked for."""
        hidden = (part.cells for part in self.chart.parts if part.free)
        return any(cell.state not in ("free", "mine") for cells in hidden for cell in cells)

    @property
    def is_too_short(self) -> bool:
        """Return whether there are free slots on this day, but none with so much time after it."""
        return not self.free and any(cell.state == "short" for cell in self.chart.cells)

    @property
    def not_done(self) -> list[Service]:
        return self.choice.not_done_on(self.day)

    @property
    def month_path(self) -> str:
        """Return where every day of this one's month is shown with its free times."""
        return month_path(self.location, self.key, self.day)

    @property
    def tests_path(self) -> str:
        """Return where tests are chosen, with those that are chosen now."""
        return f"{self.path()}&tests"

    @property
    def start_field(self) -> str:
        return field_name("start", self.key.service_ids)

    @property
    def chosen(self) -> datetime | None:
        return self.start if any(cell.starts_at == self.start for cell in self.chart.cells) else None

    @property
    def chosen_times(self) -> ChosenTimes | None:
        """Return the time that the address names as the bar below the chart says it; None where it is not free."""
        at = next((at for at, cell in enumerate(self.chart.cells) if cell.starts_at == self.start), None)
        if at is None or self.chart.cells[at].state != "free":
            return None
        times = self.times(self.chart.cells[at])
        ends_at = self.chart.cells[at : at + self.key.slots_needed][-1].ends_at
        if length := timedelta(minutes=self.choice.length_minutes):
            ends_at = self.chart.cells[at].starts_at + length
        span = self.language.bare_span(self.chart.cells[at].starts_at, ends_at, self.key.zone)
        return ChosenTimes(span, times.dial, times.from_)

    @property
    def is_gone(self) -> bool:
        """Return whether the time that the address names, as after signing in, is held or booked by others."""
        if self.start is None or self.outcome is not None or self.form_error is not None:
            return False
        states = {cell.starts_at: cell.state for cell in self.chart.cells}
        return states.get(self.start) in ("held", "booked")

    @property
    def error(self) -> str | None:
        if self.is_gone:
            return self._taken_text()
        return self.form_error if self.outcome is None else self._refusal_text(self.outcome)

    @property
    def status(self) -> int:
        if self.outcome is not None:
            return error_for_refusal(self.outcome).status if self.limit else 409
        if self.form_error is not None:
            return 409 if self.form_error == self.choice.fault else 422
        return 200

    @property
    def alternatives(self) -> list[datetime]:
        """Return times to choose instead of the refused one, of the same day where there are some."""
        if self.is_gone:
            start = self.start
            assert start is not None
            free = (cell.starts_at for cell in self.chart.cells if cell.state == "free")
            return sorted(sorted(free, key=lambda at: abs(at - start))[:_ALTERNATIVES_MAX])
        starts = (self.outcome.alternatives or []) if self.outcome else []
        return ([at for at in starts if self.day_of(at) == self.day] or starts)[:_ALTERNATIVES_MAX]

    @property
    def can_wait(self) -> bool:
        if self.is_gone:
            return not self.free and bool(self.held)
        if self.outcome is None or not self.outcome.can_wait:
            return False
        return not any(self.day_of(at) == self.day for at in self.alternatives)

    @property
    def next_day(self) -> date | None:
        """Return the first later day of the shown ones on which something is free."""
        return next((day for day, free in self.chart.week.items() if day > self.day and free), None)

    @property
    def is_free_only_later(self) -> bool:
        """Return whether nothing is free before this day: who books a later one may ask for an earlier time at once."""
        return self.earlier is None and not any(free for day, free in self.chart.week.items() if day < self.day)

    @property
    def earlier(self) -> date | None:
        """Return the last day of the week before; None where that is past."""
        return self.key.first_day - timedelta(days=1) if self.key.first_day > self.today else None

    @property
    def later(self) -> date | None:
        """Return the first day of the week after; None where that is further ahead than can be booked."""
        first = self.key.first_day + timedelta(days=DAYS)
        last = self.today + timedelta(days=self.location["max_booking_days"])
        return first if first <= last else None

    @property
    def updates_path(self) -> str:
        return _path_below(self.location, self.key, "news", {"day": self.day})

    @property
    def about_path(self) -> str:
        return about_path_at(self.location)

    @property
    def others_path(self) -> str:
        return others_path(self.location)

    def path(
        self,
        day: date | None = None,
        n: int | None = None,
        start: datetime | None = None,
        services: Sequence[int] | None = None,
    ) -> str:
        """Return the address of this chart, but of another day, of `n` slots in a row, or with a time chosen.

        `services`: but for these; none of them for a plain visit.
        """
        key = self.key
        return chart_path(
            key.provider_id,
            self.location["provider"],
            key.clinic_id,
            services=key.service_ids if services is None else services,
            day=day or self.day,
            start=start,
            n=n or key.slots_needed,
        )

    def queue_path(self, **query: object) -> str:
        """Return where the patient joins the queue for this day; `query` says for which times of it."""
        key = self.key
        query = {PARAMETER: key.service_ids, "day": self.day, "n": key.slots_needed} | query
        return queue_path(key.provider_id, self.location["provider"], key.clinic_id, **query)

    def times(self, cell: Cell) -> SlotTimes:
        length = timedelta(minutes=self.choice.length_minutes)
        ends_at = cell.starts_at + length if length else cell.ends_at
        return slot_times(cell.starts_at, ends_at, self.key.zone, self.language)

    def minutes_left(self, at: datetime) -> int:
        # A second less: clocks differ a little, and a hold of five minutes is never one of six.
        return max(1, math.ceil(((at - self.now).total_seconds() - 1) / 60))

    def day_of(self, at: datetime) -> date:
        return at.astimezone(ZoneInfo(self.key.zone)).date()

    def _taken_text(self) -> str:
        """Return that somebody else has the chosen time, and what to do next."""
        _ = self.language.gettext
        if any(self.day_of(at) == self.day for at in self.alternatives):
            said = _("%(time)s has just been taken. These times are free:")
        elif self.can_wait:
            said = _("%(time)s has just been taken. All other times of this day are on hold: you can join the queue.")
        else:
            said = _("%(time)s has just been taken, and this day is full now.")
        return said % {"time": self.language.clock(self.start, self.key.zone) if self.start else ""}

    def _refusal_text(self, outcome: HoldRefused | MoveRefused) -> str:
        """Return why there is no hold, and what to do next."""
        _ = self.language.gettext
        match outcome.code:
            case "slot_full" | "slot_held":
                return self._taken_text()
            case "lapses" | "hold_budget" | "overlap" | "same_day" | "too_many_unpaid" | "too_many_ahead":
                assert self.limit is not None
                return self.limit.text
            case "no_such_slot":
                return self.choice.fault or no_such_slot_text(self.language, outcome.reason or "")
            case "online_only":  # of the desk alone
                return _("Pay online to book this.")
            case "key_reused" | "claimed" | "expired" | "wrong_state" | "too_late" | "not_found":
                return _("This form was sent before with another time. Choose again.")
            case code:
                assert_never(code)
