"""The slot chart: a week of counts, a day's slots, and holding one of them."""

from __future__ import annotations

import asyncio
import hashlib
import math
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath, QueryParameter

from healthplus.booking.book import CLIENT_MARGIN, Outcome
from healthplus.database import Record
from healthplus.web.api.common import ClinicId, ProviderId, actor
from healthplus.web.languages import Language, zone_names
from healthplus.web.live import DAYS, Asked, Chart
from healthplus.web.pages.addresses import chart_path, hold_path, line_path, results_path, slug
from healthplus.web.pages.booking import at_clinic, booking_queries, no_such_slot_text, parsed_day, parsed_instant
from healthplus.web.pages.rendering import language_of, moved, news_answer, page, see_other
from healthplus.web.pages.visitor import Place, Visitor, demand_visitor, form_of, idempotency_key, visitor
from healthplus.web.pages.wants import PARTS, part_of
from healthplus.web.services import AnyRequest, services

_OTHER_TIMES = 3

Text = Annotated[str, QueryParameter(max_length=100)]


class Cell(NamedTuple):
    """A slot as one person sees it: `free`, `short` (too short a gap), `held`, `booked` or `mine`.

    `held_until`: by the client's clock; None where whoever has it waits or is waited for.
    """

    starts_at: datetime
    ends_at: datetime
    state: str
    held_until: datetime | None


class Written(NamedTuple):
    """A slot's times: `from_` and `to` as "10:20 am", `dial` and `rest` its halves, `value` as forms carry it."""

    number: int
    value: str
    from_: str
    to: str
    dial: str
    rest: str


# A page of slots writes some hundred times, and the next page, for somebody else, the same ones.
@lru_cache(20_000)
def _written(starts_at: datetime, ends_at: datetime, zone: str, language: Language) -> Written:
    from_, dial = language.clock(starts_at, zone), language.dial(starts_at, zone)
    to = language.clock(ends_at, zone)
    return Written(int(starts_at.timestamp()), starts_at.isoformat(), from_, to, dial, from_.replace(dial, "").strip())


class Part(NamedTuple):
    """The morning, afternoon or evening of the day, if it has any slots, and how many of them can be chosen."""

    name: str
    cells: list[Cell]
    free: int
    held: int


class News(msgspec.Struct):
    """What may have changed on a chart: `cells` and `held_until` in the order of its slots, counts as they are shown.

    `shape` changes when there are other slots, or other days and parts with any, than before.
    """

    version: str
    shape: str
    cells: list[str]
    held_until: list[datetime | None]
    free: list[int]
    week: list[int]


class View(NamedTuple):
    """A chart as one person sees it."""

    cells: list[Cell]
    parts: list[Part]
    days: list[date]
    week: list[tuple[str, list[int | None]]]

    def news(self) -> News:
        shape = repr(
            (
                [cell.starts_at for cell in self.cells],
                [(part, [count is None for count in counts]) for part, counts in self.week],
            )
        )
        free = [part.free for part in self.parts]
        week = [count for _, counts in self.week for count in counts if count is not None]
        told = ([cell.state for cell in self.cells], [cell.held_until for cell in self.cells], free, week)
        return News(_digest(repr((shape, told))), _digest(shape), *told)


def _digest(text: str) -> str:
    return hashlib.blake2s(text.encode(), digest_size=8).hexdigest()


class ChartController(Controller):
    path = "/doctor/{provider_id:int}/{name:str}/{clinic_id:int}"

    @get()
    async def chart(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        name: FromPath[str],
        clinic_id: ClinicId,
        day: Text = "",
        n: Text = "1",
        start: Text = "",
    ) -> Response[str]:
        place = await at_clinic(request, provider_id, clinic_id)
        chosen = parsed_instant(start)
        if name != slug(place["provider"]):
            return moved(request, chart_path(provider_id, place["provider"], clinic_id))
        asked = _asked(request, place, day, n, chosen)
        return await _page(request, place, asked, chosen)

    @get("/news")
    async def news(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        name: FromPath[str],  # noqa: ARG002 - a part of the address
        clinic_id: ClinicId,
        day: Text = "",
        n: Text = "1",
        after: Text = "",
    ) -> Response[bytes]:
        """Tell what a chart shows as soon as it is no longer `after`, a version; nothing when it stays for 25 s."""
        asked = _asked(request, await at_clinic(request, provider_id, clinic_id), day, n, None)

        async def look() -> News | None:
            told = (await _view(request, asked)).news()
            return None if told.version == after else told

        return news_answer(request, await services(request).charts.as_soon_as(provider_id, look))

    @post()
    async def hold(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        name: FromPath[str],  # noqa: ARG002 - a part of the address
        clinic_id: ClinicId,
        day: Text = "",
        n: Text = "1",
    ) -> Response[str]:
        place = await at_clinic(request, provider_id, clinic_id)
        form = await form_of(request)
        start = parsed_instant(form.get("start", ""))
        asked = _asked(request, place, day, n, start)
        _ = language_of(request).gettext
        if start is None:
            return await _page(request, place, asked, None, error=_("Choose a time first."))
        back_to = _path(asked, place["provider"], start)
        who = demand_visitor(request, back_to)
        held = _held_here(who, asked)
        if held is not None and held.row["starts_at"] == start:  # by a second click, or by going back
            return see_other(request, held.path)
        outcome = await _take(request, who, asked, held, start, idempotency_key(form, "start"))
        if outcome.code in ("reserved", "moved"):
            assert outcome.booking_id is not None
            return see_other(request, hold_path(provider_id, outcome.booking_id))
        if outcome.code == "claimed":
            wanted = {"for": "hold", "provider": provider_id, "clinic": clinic_id, "start": start.isoformat()}
            return see_other(request, "/busy", {**wanted, "n": asked.slots_needed})
        return await _page(request, place, asked, start, outcome)


async def _take(
    request: AnyRequest, who: Visitor, asked: Asked, held: Place | None, start: datetime, key: str
) -> Outcome:
    """Hold a start; or move there what is held, which keeps its five minutes, unless that is over meanwhile."""
    book, by = services(request).book, (actor(who.patient_id), key)
    if held is not None:
        outcome = await book.reschedule(asked.provider_id, held.id, who.patient_id, start, *by)
        if outcome.code not in ("expired", "wrong_state", "not_found"):
            return outcome
    return await book.hold(asked.provider_id, asked.clinic_id, start, asked.slots_needed, who.patient_id, *by)


async def refused_hold(
    request: AnyRequest, place: Record, start: datetime, slots_needed: int, outcome: Outcome
) -> Response[str]:
    """Give the chart with why a start on it cannot be held, and what can be had in its stead."""
    return await _page(request, place, _asked(request, place, "", str(slots_needed), start), start, outcome)


def _asked(request: AnyRequest, place: Record, day: str, n: str, start: datetime | None) -> Asked:
    """Read what chart is asked for; what makes no sense is as if it were not there."""
    zone = ZoneInfo(place["time_zone"])
    today = services(request).clock.now().astimezone(zone).date()
    last = today + timedelta(days=place["max_booking_days"])
    on = parsed_day(day) or (start.astimezone(zone).date() if start else today)
    on = min(max(on, today), last)
    slots_needed = min(max(int(n) if n.isdecimal() and len(n) < 3 else 1, 1), place["slots_max"])
    first = today + timedelta(days=(on - today).days // DAYS * DAYS)
    return Asked(place["provider_id"], place["clinic_id"], on, first, slots_needed, place["time_zone"])


def _path(asked: Asked, provider: str, start: datetime | None = None) -> str:
    return chart_path(asked.provider_id, provider, asked.clinic_id, day=asked.day, start=start, n=asked.slots_needed)


def _held_here(who: Visitor | None, asked: Asked) -> Place | None:
    """Give a live hold that can be moved to another time of this chart, in one step and with its five minutes."""
    if who is None or who.place is None or who.place.kind != "hold":
        return None
    here = (who.place.provider_id, who.place.row["clinic_id"], who.place.row["slots_needed"])
    return who.place if here == (asked.provider_id, asked.clinic_id, asked.slots_needed) else None


async def _view(request: AnyRequest, asked: Asked) -> View:
    app = services(request)
    chart, mine = await asyncio.gather(app.charts.chart(asked), _mine(request, asked))
    cells = [_cell(row, mine) for row in chart.slots]
    parts = []
    for part in PARTS:
        own = [cell for cell in cells if part_of(cell.starts_at, asked.zone) == part]
        states = [cell.state for cell in own]
        if own:
            parts.append(Part(part, own, states.count("free"), states.count("held")))
    days = [asked.first_day + timedelta(days=number) for number in range(DAYS)]
    week = [(part, [_count(chart, on, part) for on in days]) for part in PARTS]
    # A doctor of the evenings has no mornings to look at.
    return View(cells, parts, days, [row for row in week if any(count is not None for count in row[1])])


async def _mine(request: AnyRequest, asked: Asked) -> list[Record]:
    if (who := visitor(request)) is None:
        return []
    day = asked.midnight(asked.day), asked.midnight(asked.day + timedelta(days=1))
    return await services(request).database.fetch(booking_queries.mine, asked.provider_id, who.patient_id, *day)


def _cell(row: Record, mine: list[Record]) -> Cell:
    state = row["state"]
    if any(own["starts_at"] <= row["starts_at"] < own["ends_at"] for own in mine):
        state = "mine"
    elif state == "free" and not row["fits"]:
        state = "short"
    held_until = row["held_until"] - CLIENT_MARGIN if state == "held" and row["held_until"] else None
    return Cell(row["starts_at"], row["ends_at"], state, held_until)


def _count(chart: Chart, on: date, part: str) -> int | None:
    begins, ends = PARTS[part]
    counts = [count for hour, count in chart.week.get(on, {}).items() if begins <= hour < ends]
    return sum(counts) if counts else None


async def _page(
    request: AnyRequest,
    place: Record,
    asked: Asked,
    chosen: datetime | None,
    outcome: Outcome | None = None,
    error: str | None = None,
) -> Response[str]:
    app = services(request)
    language = language_of(request)
    now = app.clock.now()
    view = await _view(request, asked)
    zone = ZoneInfo(asked.zone)
    today = now.astimezone(zone).date()
    last = today + timedelta(days=place["max_booking_days"])
    if outcome is not None:
        error = _refusal(request, asked, outcome, chosen)
    others = (outcome.alternatives or []) if outcome else []
    # Of the same day where there are some.
    others = ([at for at in others if _is_on(asked, at)] or others)[:_OTHER_TIMES]
    day = asked.midnight(asked.day), asked.midnight(asked.day + timedelta(days=1))
    is_away = not view.cells and await app.database.fetch_value(
        booking_queries.away, asked.provider_id, asked.clinic_id, *day
    )
    return page(
        request,
        "chart/chart.html",
        status=200 if error is None else 409 if outcome else 422,
        place=place,
        asked=asked,
        view=view,
        news=view.news(),
        chosen=chosen if any(cell.starts_at == chosen for cell in view.cells) else None,
        error=error,
        others=others,
        can_wait=outcome is not None and bool(outcome.can_wait) and not any(_is_on(asked, at) for at in others),
        is_away=is_away,
        zone_name=zone_names([cell.starts_at for cell in view.cells] or [day[1]], asked.zone),
        moves=_held_here(visitor(request), asked) is not None,
        next_day=next(
            (on for on in view.days if on > asked.day and any(_free(view, on))),
            None,
        ),
        free_on=lambda on: sum(_free(view, on)),
        earlier=asked.first_day - timedelta(days=1) if asked.first_day > today else None,
        later=asked.first_day + timedelta(days=DAYS) if asked.first_day + timedelta(days=DAYS) <= last else None,
        path_to=lambda on=asked.day, n=asked.slots_needed, start=None: chart_path(
            asked.provider_id, place["provider"], asked.clinic_id, day=on, n=n, start=start
        ),
        line_to=lambda **what: line_path(
            asked.provider_id, place["provider"], asked.clinic_id, day=asked.day, n=asked.slots_needed, **what
        ),
        others_path=results_path(place["city_slug"], place["specialities"][0]["slug"] if place["specialities"] else ""),
        written=lambda cell: _written(cell.starts_at, cell.ends_at, asked.zone, language),
        minutes_left=lambda at: max(1, math.ceil(((at - now).total_seconds() - 1) / 60)),
    )


def _is_on(asked: Asked, at: datetime) -> bool:
    return at.astimezone(ZoneInfo(asked.zone)).date() == asked.day


def _free(view: View, on: date) -> list[int]:
    return [counts[view.days.index(on)] or 0 for _, counts in view.week]


def _refusal(request: AnyRequest, asked: Asked, outcome: Outcome, chosen: datetime | None) -> str:
    """Say why there is no hold, and what to do next."""
    language = language_of(request)
    _ = language.gettext
    time = language.clock(chosen, asked.zone) if chosen else ""
    match outcome.code:
        case "slot_full" | "slot_held" if any(_is_on(asked, at) for at in outcome.alternatives or []):
            return _("Someone took %(time)s as you chose. These are free:") % {"time": time}
        case "slot_full" | "slot_held" if outcome.can_wait:
            return _("Someone took %(time)s as you chose. All others of this day are held or promised.") % {
                "time": time
            }
        case "slot_full" | "slot_held":
            return _("Someone took %(time)s as you chose, and this day is full now.") % {"time": time}
        case "lapses":
            return _(
                "Three of your holds ran out unpaid within a day. You may still join a line, or hold again tomorrow."
            )
        case "no_such_slot":
            return no_such_slot_text(language, outcome.reason or "")
        case _:
            return _("This form was sent before with another time. Choose again.")
