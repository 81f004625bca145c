"""A queue that somebody chose before signing in: they are in it as soon as their code is right."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from litestar import Response
from litestar.datastructures import Cookie

from healthplus.accounts.actors import Patient
from healthplus.booking.outcomes import RefusalCode, Refused
from healthplus.errors import HealthPlusError
from healthplus.web.pages.addresses import ticket_path
from healthplus.web.pages.rendering import see_other
from healthplus.web.pages.sealed_cookies import sealed_cookie, unsealed_cookie
from healthplus.web.pages.service_choice import field_name
from healthplus.web.pages.session import PatientSession, site
from healthplus.web.services import AnyRequest, services

_COOKIE, _REFUSAL_COOKIE = "chosen-queue", "not-joined"
_COOKIE_SECONDS = 2 * 3600
"""As long as a code may have to be waited for."""
_REFUSAL_SECONDS = 60


class ChosenQueue(msgspec.Struct, frozen=True):
    """What was chosen on the queue's page at `back_to`, as a cookie has it; with `key`, asking again is asking once.

    `anywhere`: at any of the provider's clinics.
    """

    back_to: str
    provider_id: int
    provider: str
    clinic_id: int
    anywhere: bool
    bounds: tuple[datetime, datetime]
    slots_needed: int
    service_ids: tuple[int, ...]
    key: str

    def instead(self, person_id: UUID | None = None) -> dict[str, object]:
        """Return the query of the page that asks whether to join instead of what the patient has."""
        begins, ends = self.bounds
        where = {"provider": self.provider_id, "clinic": self.clinic_id, "n": self.slots_needed}
        within = {field_name("from", self.service_ids): begins.isoformat(), "to": ends.isoformat()}
        person = {"person": person_id} if person_id else {}
        anywhere = {"anywhere": 1} if self.anywhere else {}
        return {"for": "line", **where, "service": self.service_ids, **within, **person, **anywhere}


class NotJoined(msgspec.Struct, frozen=True):
    """Why a patient is not in the queue at `back_to`, as a cookie has it for the next page.

    `refused` None: there was no room or no time for it.
    """

    patient_id: int
    back_to: str
    refused: Refused[RefusalCode] | None


def sign_in_to_join(request: AnyRequest, chosen: ChosenQueue) -> Response[str]:
    """Redirect to signing in, after which the queue is joined."""
    cookie = sealed_cookie(request, _COOKIE, chosen, _COOKIE_SECONDS)
    return see_other(request, "/verify", {"next": chosen.back_to}, [cookie])


def chosen_queue(request: AnyRequest, back_to: str) -> ChosenQueue | None:
    """Return the queue that is joined after the code by whom that leads back to this address."""
    chosen = unsealed_cookie(request, _COOKIE, ChosenQueue)
    return chosen if chosen is not None and chosen.back_to == back_to else None


async def join_chosen_queue(
    request: AnyRequest, patient_id: int, chosen: ChosenQueue
) -> tuple[str, dict[str, object], list[Cookie]]:
    """Put a patient who has just signed in into the queue that they had chosen.

    Return the path and query of what to show them, and cookies for it: their ticket, what is in its way, or the queue's
    page, which says why they are not in it.
    """
    refused = None
    try:
        joined = await services(request).waiting.join(
            chosen.provider_id,
            None if chosen.anywhere else chosen.clinic_id,
            chosen.bounds,
            chosen.slots_needed,
            patient_id,
            Patient(patient_id),
            chosen.key,
            service_ids=chosen.service_ids,
        )
        if not isinstance(joined, Refused):
            return ticket_path(chosen.provider_id, joined[0].ticket_id), {}, []
        if joined.code == "claimed":
            return "/busy", chosen.instead(), []
        refused = joined
    except HealthPlusError:
        pass  # The code is used up by now, so they are signed in all the same.
    not_joined = NotJoined(patient_id, chosen.back_to, refused)
    return chosen.back_to, {}, [sealed_cookie(request, _REFUSAL_COOKIE, not_joined, _REFUSAL_SECONDS)]


def forget_chosen_queue(request: AnyRequest) -> list[Cookie]:
    """Return the cookie by which a browser forgets which queue was chosen, if it keeps any."""
    return [site(request).end_cookie(_COOKIE)] if site(request).read(request, _COOKIE) else []


def not_joined(request: AnyRequest, session: PatientSession | None, back_to: str) -> NotJoined | None:
    """Return why the patient who asks for a queue's page has just not been put into it; None: they have not tried."""
    found = unsealed_cookie(request, _REFUSAL_COOKIE, NotJoined)
    is_own = found is not None and session is not None and found.patient_id == session.patient_id
    return found if is_own and found is not None and found.back_to == back_to else None


def forget_not_joined(request: AnyRequest) -> list[Cookie]:
    """Return the cookie by which that is said once."""
    return [site(request).end_cookie(_REFUSAL_COOKIE)] if site(request).read(request, _REFUSAL_COOKIE) else []
