"""The line: joining it, waiting in it, being offered a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar import Controller, Response, get, post
from litestar.params import FromPath, QueryParameter

from healthplus.booking.book import CLIENT_MARGIN, Outcome
from healthplus.database import Record, load
from healthplus.errors import BadInput, NotFound
from healthplus.waiting.waiting_users import QueuePosition
from healthplus.web.http.actor import actor
from healthplus.web.http.ids import ClinicId, ProviderId
from healthplus.web.http.instants import YEAR_MAX, YEAR_MIN
from healthplus.web.http.refusals import error_for_refusal
from healthplus.web.languages import N_, Language
from healthplus.web.pages.addresses import chart_path, hold_path, line_path, provider_path, wait_path
from healthplus.web.pages.queue_windows import PARTS, WHAT, Want, part_of, want_of, window_text
from healthplus.web.pages.rendering import fragment, language_of, news_answer, page, see_other
from healthplus.web.pages.session import Visitor, demand_visitor, form_of, idempotency_key, visitor
from healthplus.web.services import AnyRequest, services
from healthplus.web.shared_charts import Asked

queries = load(Path(__file__).with_name("queue.sql"))

Day = Annotated[date | None, QueryParameter(description="A day, as in 2026-11-27.")]
Part = Annotated[str | None, QueryParameter(description="morning, afternoon or evening.")]
Slots = Annotated[int, QueryParameter(ge=1, le=20, description="Consecutive slots, 1 to 20.")]

WAITS_MIN = 30
"""So many waits must be over before odds are told of them."""
GOOD_ODDS = 0.2
"""Below these, other ways to a visit are shown before the line."""


_TITLES = {
    "offered": N_("Your turn"),
    "lapsed": N_("Your turn is over"),
    "full": N_("All of it is booked"),
    "left": N_("You left the line"),
    "timed_out": N_("Your hour in line is over"),
}


@dataclass(frozen=True)
class Odds:
    """Of `waits` that began at `position` and are over, `got` ended with a time; None: too few to say."""

    position: int
    waits: int
    got: int

    @classmethod
    def of(cls, position: int | None, row: Record) -> Odds | None:
        if position is None or row["waits"] < WAITS_MIN:
            return None
        return cls(position, row["waits"], row["got"])

    @property
    def are_poor(self) -> bool:
        return self.got < GOOD_ODDS * self.waits


class LineController(Controller):
    path = "/doctor/{provider_id:int}/{slug:str}/{clinic_id:int}/line"

    @get()
    async def ask(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        clinic_id: ClinicId,
        day: Day = None,
        part: Part = None,
        n: Slots = 1,
    ) -> Response[str]:
        line = await _line(request, provider_id, clinic_id)
        want = _want(request, line, day, part, request.query_params.get("what", "part"))
        anywhere = "anywhere" in request.query_params
        free = await _free_starts(request, provider_id, line, want, n)
        return _line_page(request, provider_id, line, want, n, anywhere=anywhere, free=free)

    @post()
    async def join(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        clinic_id: ClinicId,
        day: Day = None,
        part: Part = None,
        n: Slots = 1,
    ) -> Response[str]:
        form = await form_of(request)
        line = await _line(request, provider_id, clinic_id)
        want = _want(request, line, day, part, form.get("what", "part"))
        anywhere = "anywhere" in form
        back_to = line_path(provider_id, line["provider"], clinic_id, **want.asked(n, anywhere))
        who = demand_visitor(request, back_to)
        wanted = want.window(line["time_zone"])
        outcome, place = await services(request).waiting.join(
            provider_id,
            None if anywhere else clinic_id,
            wanted,
            n,
            who.patient_id,
            actor(who.patient_id),
            idempotency_key(form, "what", "anywhere"),
        )
        if place is not None:
            return see_other(request, wait_path(provider_id, place.ticket_id))
        if outcome.code == "claimed":
            told: dict[str, object] = {"for": "line", "provider": provider_id, "clinic": clinic_id, "n": n}
            told |= {"from": wanted[0].isoformat(), "to": wanted[1].isoformat()} | ({"anywhere": 1} if anywhere else {})
            return see_other(request, "/busy", told)
        return _line_page(request, provider_id, line, want, n, anywhere=anywhere, refused=outcome)


async def refused_wait(
    request: AnyRequest, place: Record, want: Want, n: int, anywhere: bool, outcome: Outcome
) -> Response[str]:
    """Give the page of a line with why it cannot be joined. Raises what no page of ours brings about."""
    provider_id = place["provider_id"]
    line = await _line(request, provider_id, place["clinic_id"])
    return _line_page(request, provider_id, line, want, n, anywhere=anywhere, refused=outcome)


class WaitController(Controller):
    path = "/doctor/{provider_id:int}/wait/{ticket_id:uuid}"

    @get()
    async def look(self, request: AnyRequest, provider_id: ProviderId, ticket_id: FromPath[UUID]) -> Response[str]:
        who = demand_visitor(request)
        return await _wait_page(request, provider_id, ticket_id, who)

    @post()
    async def act(self, request: AnyRequest, provider_id: ProviderId, ticket_id: FromPath[UUID]) -> Response[str]:
        form = await form_of(request)
        path = wait_path(provider_id, ticket_id)
        who = demand_visitor(request, path)
        book, by = services(request).book, actor(who.patient_id)
        key = idempotency_key(form, "action")
        if form.get("action") == "take":
            outcome = await book.accept(provider_id, ticket_id, who.patient_id, by, key)
            taken = outcome.code == "accepted" or (outcome.code == "wrong_state" and outcome.state == "accepted")
            if taken:
                assert outcome.booking_id is not None
                return see_other(request, hold_path(provider_id, outcome.booking_id))
        elif form.get("action") == "leave":
            outcome = await book.leave_queue(provider_id, ticket_id, who.patient_id, by, key)
            if outcome.code == "left":
                return see_other(request, path)
        else:
            raise BadInput("action: take or leave.")
        if outcome.code == "not_found":
            raise NotFound
        return await _wait_page(request, provider_id, ticket_id, who, refused=outcome)

    @get("/news")
    async def news(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        ticket_id: FromPath[UUID],
        after: Annotated[str | None, QueryParameter(max_length=64)] = None,
    ) -> Response[bytes]:
        """Tell the page's script what is new: nothing but the version when nothing is, 25 seconds later at most."""
        waiting = services(request).waiting
        if (who := visitor(request)) is None:
            return news_answer(request, {"over": True}, status=401)
        if after is None:
            place = await waiting.look(provider_id, ticket_id, who.patient_id)
        else:
            place = await waiting.poll(provider_id, ticket_id, who.patient_id, after)
        if place is None:
            raise NotFound
        told: dict[str, object] = {"version": place.version}
        if place.version != after:
            shown = await _shown(request, provider_id, place)
            told |= {"state": shown.state, "title": shown.title, "say": shown.said, "position": place.position}
            told["html"] = fragment(request, "waiting/place.html", shown=shown, refused=None)
        if waiting.draining:
            told["reconnect"] = True
        return news_answer(request, told)


@dataclass(frozen=True)
class Shown:
    """A wait as its page shows it. `until`: by when the offer must be taken, as its client is told."""

    provider_id: int
    place: QueuePosition
    row: Record
    zone: str
    now: datetime
    odds: Odds | None
    language: Language

    @property
    def state(self) -> str:
        return self.place.state

    @property
    def until(self) -> datetime | None:
        return None if self.place.deadline is None else self.place.deadline - CLIENT_MARGIN

    @property
    def next_within_minutes(self) -> int:
        """In how many minutes the first hold ends, as whoever has it is told."""
        return max(1, math.ceil((self.next_until - self.now).total_seconds() / 60))

    @property
    def next_until(self) -> datetime:
        """By when the first hold that others have is over for them."""
        assert self.place.next_lapse_at is not None
        return self.place.next_lapse_at - CLIENT_MARGIN

    @property
    def wanted(self) -> str:
        return window_text(self.language, self.place.window_from, self.place.window_to, self.zone)

    @property
    def starts(self) -> str:
        assert self.place.starts_at is not None
        return self.language.clock(self.place.starts_at, self.zone)

    @property
    def title(self) -> str:
        if self.state == "waiting":
            return self.language.gettext("You are number %(num)d in line") % {"num": self.place.position}
        if self.state == "accepted":
            return self.language.gettext("You took %(time)s") % {"time": self.starts}
        return self.language.gettext(_TITLES[self.state])

    @property
    def said(self) -> str:
        """What is read aloud when it changes; an offer speaks for itself."""
        if self.state == "offered":
            return ""
        if self.state != "waiting" or not self.place.holds:
            return f"{self.title}."
        within = self.language.ngettext(
            "Next hold ends within %(num)d min, unless it is paid for.",
            "Next hold ends within %(num)d min, unless it is paid for.",
            self.next_within_minutes,
        ) % {"num": self.next_within_minutes}
        return f"{self.title}. {within}"

    @property
    def chart(self) -> str:
        day = (self.place.starts_at or self.place.window_from).astimezone(ZoneInfo(self.zone)).date()
        clinic_id = self.row["clinic_id"]
        return chart_path(self.provider_id, self.row["provider"], clinic_id, day=day, n=self.place.slots_needed)

    @property
    def provider(self) -> str:
        return provider_path(self.provider_id, self.row["provider"])

    @property
    def others(self) -> str:
        return f"/find?{urlencode({'need': self.row['speciality'] or '', 'place': self.row['city_slug']})}"

    @property
    def line(self) -> str:
        want = want_of(self.place.window_from, self.place.window_to, self.zone)
        n = self.place.slots_needed
        asked = {"n": n} if want is None else want.asked(n)
        return line_path(self.provider_id, self.row["provider"], self.row["clinic_id"], **asked)

    @property
    def is_held(self) -> bool:
        """Whether the time that was taken is still held for them."""
        return self.row["offer_state"] == "reserved" and self.until is not None and self.until > self.now


async def _shown(request: AnyRequest, provider_id: int, place: QueuePosition) -> Shown:
    app = services(request)
    row = await app.database.fetch_row(queries.wait, provider_id, place.ticket_id)
    if row is None:
        raise NotFound
    odds = Odds.of(row["joined_position"], row)
    return Shown(provider_id, place, row, row["time_zone"], app.clock.now(), odds, language_of(request))


async def _wait_page(
    request: AnyRequest, provider_id: int, ticket_id: UUID, who: Visitor, refused: Outcome | None = None
) -> Response[str]:
    place = await services(request).waiting.look(provider_id, ticket_id, who.patient_id)
    if place is None:
        raise NotFound
    return page(
        request,
        "waiting/wait.html",
        status=200 if refused is None else error_for_refusal(refused).status,
        shown=await _shown(request, provider_id, place),
        refused=refused,
        refreshes="still" not in request.query_params,
    )


async def _line(request: AnyRequest, provider_id: int, clinic_id: int) -> Record:
    row = await services(request).database.fetch_row(queries.line, provider_id, clinic_id)
    if row is None:
        raise NotFound
    return row


def _want(request: AnyRequest, line: Record, day: date | None, part: str | None, what: str) -> Want:
    now = services(request).clock.now()
    want = Want(
        day or now.astimezone(ZoneInfo(line["time_zone"])).date(), part or part_of(now, line["time_zone"]), what
    )
    if want.part not in PARTS:
        raise BadInput(f"part: {', '.join(PARTS)}.")
    if want.what not in WHAT:
        raise BadInput(f"what: {', '.join(WHAT)}.")
    if not YEAR_MIN <= want.day.year <= YEAR_MAX:
        raise BadInput(f"day: the year must be between {YEAR_MIN} and {YEAR_MAX}.")
    return want


async def _free_starts(request: AnyRequest, provider_id: int, line: Record, want: Want, n: int) -> int:
    """Count what of the day wanted can be had without waiting."""
    zone = line["time_zone"]
    asked = Asked(provider_id, line["clinic_id"], want.day, want.day, n, zone)
    begins, ends = want.window(zone)
    chart = await services(request).charts.chart(asked)
    return sum(row["fits"] and row["state"] == "free" and begins <= row["starts_at"] < ends for row in chart.slots)


def _line_page(
    request: AnyRequest,
    provider_id: int,
    line: Record,
    want: Want,
    n: int,
    *,
    anywhere: bool,
    refused: Outcome | None = None,
    free: int = 0,
) -> Response[str]:
    if refused is not None and refused.code not in ("slot_full", "no_such_slot"):
        raise error_for_refusal(refused)

    def chart(day: date | None = None, start: datetime | None = None) -> str:
        return chart_path(provider_id, line["provider"], line["clinic_id"], day=day, start=start, n=n)

    zone = line["time_zone"]
    alternatives = refused.alternatives or [] if refused is not None else []
    return page(
        request,
        "waiting/line.html",
        status=200 if refused is None else error_for_refusal(refused).status,
        provider_id=provider_id,
        line=line,
        action=line_path(provider_id, line["provider"], line["clinic_id"], day=want.day, part=want.part, n=n),
        want=want,
        choices=[(what, want._replace(what=what).text(language_of(request))) for what in WHAT],
        n=n,
        anywhere=anywhere,
        odds=Odds.of(line["position"], line),
        chart=chart(want.day),
        free=free,
        provider=provider_path(provider_id, line["provider"]),
        refused=refused,
        alternatives=[(at, chart(at.astimezone(ZoneInfo(zone)).date(), at)) for at in alternatives],
    )
