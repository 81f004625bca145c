"""A patient's ticket as its page shows it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from healthplus.booking.book import CLIENT_MARGIN
from healthplus.booking.outcomes import TicketState
from healthplus.database import Record
from healthplus.directory.known_services import Service
from healthplus.waiting.positions import QueuePosition
from healthplus.web.languages import N_, Language
from healthplus.web.pages.acceptance_rate import AcceptanceRate
from healthplus.web.pages.addresses import chart_path, queue_path
from healthplus.web.pages.queue_alternatives import QueueAlternatives
from healthplus.web.pages.queue_windows import window_between, window_text
from healthplus.web.pages.service_choice import PARAMETER

_TITLES: dict[TicketState, str] = {
    "offered": N_("Your turn"),
    "called": N_("A time has come free. Will you take it?"),
    "lapsed": N_("Your turn is over"),
    "full": N_("All these times are booked"),
    "left": N_("You left the queue"),
    "timed_out": N_("Your hour in the queue is over"),
}


@dataclass(frozen=True)
class TicketView:
    """What templates/queue/position.html reads; `row` is one of the query `ticket`.

    `chosen`: the services that the ticket is for. `instead`: what is free without waiting, where the wait is over.
    """

    provider_id: int
    ticket: QueuePosition
    row: Record
    chosen: list[Service]
    now: datetime
    language: Language
    instead: QueueAlternatives | None = None

    @property
    def state(self) -> TicketState:
        return self.ticket.state

    @property
    def zone(self) -> str:
        return str(self.row["time_zone"])

    @property
    def acceptance_rate(self) -> AcceptanceRate | None:
        return AcceptanceRate.of(self.row["joined_position"], self.row)

    @property
    def until(self) -> datetime | None:
        """Return by when the offer must be taken, or the call answered, as the patient sees it."""
        return None if self.ticket.deadline is None else self.ticket.deadline - CLIENT_MARGIN

    @property
    def refresh_seconds(self) -> int:
        """Return how often the page reloads without scripts: who is next has but a minute to take a time."""
        return 10 if self.state == "waiting" and self.ticket.position == 1 else 25

    @property
    def next_until(self) -> datetime:
        """Return when the first hold of others ends, as its patient sees it."""
        assert self.ticket.next_lapse_at is not None
        return self.ticket.next_lapse_at - CLIENT_MARGIN

    @property
    def window_text(self) -> str:
        return window_text(self.language, self.ticket.window_from, self.ticket.visit_to, self.zone)

    @property
    def starts(self) -> str:
        assert self.ticket.starts_at is not None
        return self.language.clock(self.ticket.starts_at, self.zone)

    @property
    def title(self) -> str:
        if self.state == "waiting":
            return self.language.gettext("You are number %(num)d in the queue") % {"num": self.ticket.position}
        if self.state == "accepted":
            return self.language.gettext(self._accepted_title) % {"time": self.starts}
        if self.has_let_go:
            return self.language.gettext("You gave %(time)s back") % {"time": self.starts}
        if self.ticket.answered:
            return self.language.gettext("You said yes to %(time)s") % {"time": self.starts}
        return self.language.gettext(_TITLES[self.state])

    @property
    def _accepted_title(self) -> str:
        if self.is_released:
            return N_("You gave %(time)s back")
        return (
            N_("You took %(time)s") if self.is_held or self.is_booked or self.is_cancelled else N_("%(time)s ran out")
        )

    @property
    def has_let_go(self) -> bool:
        """Return whether the patient left the queue while a time was offered to them alone."""
        return self.state == "left" and self.ticket.starts_at is not None

    @property
    def is_released(self) -> bool:
        """Return whether the time that the patient took was given back before it ran out."""
        return bool(self.row["offer_state"] == "released")

    @property
    def spoken(self) -> str:
        """Return what is read aloud when it changes; the text of an offer or a call is an alert already."""
        if self.state in ("offered", "called"):
            return ""
        sentence = self.language.gettext("%(sentence)s.") % {"sentence": self.title}
        return sentence if self.state != "waiting" or not self.ticket.holds else f"{sentence} {self.next_text}"

    @property
    def spoken_elsewhere(self) -> str:
        """Return what is read aloud on another page: of an offer, too, as its bar is no alert there."""
        if self.state not in ("offered", "called"):
            return self.spoken
        if self.state == "called" and not self.ticket.answered:
            return self.title
        offer = self.language.gettext("It’s your turn: %(time)s is held for you") % {"time": self.starts}
        return self.language.gettext("%(sentence)s.") % {"sentence": self.title if self.ticket.answered else offer}

    @property
    def next_text(self) -> str:
        """Return when the next time may come free: the first hold of others ends."""
        minutes = max(1, math.ceil((self.next_until - self.now).total_seconds() / 60))
        return self.language.ngettext(
            "Next hold ends within %(num)d min, unless it is paid for.",
            "Next hold ends within %(num)d min, unless it is paid for.",
            minutes,
        ) % {"num": minutes}

    @property
    def is_held(self) -> bool:
        """Return whether the time that the patient took is still held for them."""
        return self.row["offer_state"] == "reserved" and self.until is not None and self.until > self.now

    @property
    def is_booked(self) -> bool:
        return self.row["offer_state"] in ("booked", "arrived", "fulfilled", "no_show")

    @property
    def is_cancelled(self) -> bool:
        """Return whether the time that the patient took was booked, and cancelled later."""
        return bool(self.row["offer_state"] == "cancelled")

    @property
    def slots_needed(self) -> int:
        """Return how many slots in a row addresses ask for; services say that themselves."""
        return 1 if self.chosen else self.ticket.slots_needed

    @property
    def chart_path(self) -> str:
        day = (self.ticket.starts_at or self.ticket.window_from).astimezone(ZoneInfo(self.zone)).date()
        clinic_id = self.row["clinic_id"]
        return chart_path(
            self.provider_id,
            self.row["provider"],
            clinic_id,
            services=self.ticket.service_ids,
            day=day,
            n=self.slots_needed,
        )

    @property
    def queue_path(self) -> str:
        """Return where the patient can join the queue again with the same window."""
        window = window_between(self.ticket.window_from, self.ticket.visit_to, self.zone)
        n, service_ids = self.slots_needed, self.ticket.service_ids or ()
        query = {"n": n, PARAMETER: service_ids} if window is None else window.query(n, service_ids=service_ids)
        return queue_path(self.provider_id, self.row["provider"], self.row["clinic_id"], **query)

    @property
    def others_path(self) -> str:
        return f"/find?{urlencode({'need': self.row['speciality'] or '', 'place': self.row['city_slug']})}"
