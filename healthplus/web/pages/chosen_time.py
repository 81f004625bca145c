"""A time that somebody chose before signing in: it is held as soon as their code is right."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from litestar import Response
from litestar.datastructures import Cookie

from healthplus.accounts.actors import Patient
from healthplus.booking.outcomes import Refused
from healthplus.directory.known_services import Service
from healthplus.errors import HealthPlusError
from healthplus.web.pages.addresses import hold_path
from healthplus.web.pages.booking import booking_queries
from healthplus.web.pages.rendering import see_other
from healthplus.web.pages.sealed_cookies import sealed_cookie, unsealed_cookie
from healthplus.web.pages.service_choice import field_name
from healthplus.web.pages.session import site
from healthplus.web.services import AnyRequest, services
from healthplus.web.shared_charts import ChartKey

_COOKIE = "chosen"
_COOKIE_SECONDS = 2 * 3600
"""As long as a code may have to be waited for."""


class ChosenTime(msgspec.Struct, frozen=True):
    """What was chosen on the chart at `back_to`, as a cookie has it; with `key`, asking again is asking once."""

    back_to: str
    provider_id: int
    clinic_id: int
    start: datetime
    slots_needed: int
    service_ids: tuple[int, ...]
    key: str


def sign_in_to_hold(request: AnyRequest, key: ChartKey, start: datetime, back_to: str, form_key: str) -> Response[str]:
    """Redirect to signing in, after which a start of the chart at `back_to` is held."""
    chosen = ChosenTime(back_to, key.provider_id, key.clinic_id, start, key.slots_needed, key.service_ids, form_key)
    cookie = sealed_cookie(request, _COOKIE, chosen, _COOKIE_SECONDS)
    return see_other(request, "/verify", {"next": back_to}, [cookie])


async def hold_chosen_time(request: AnyRequest, patient_id: int, back_to: str) -> tuple[str, dict[str, object]]:
    """Hold what a patient who has just signed in had chosen on the page they are to be led back to.

    Return the path and query of what to show them: the hold, what is in its way, or that page, which says what is free.
    """
    chosen = unsealed_cookie(request, _COOKIE, ChosenTime)
    if chosen is None or chosen.back_to != back_to:  # chosen before, and given up since
        return back_to, {}
    try:
        outcome = await services(request).book.hold(
            chosen.provider_id,
            chosen.clinic_id,
            chosen.start,
            chosen.slots_needed,
            patient_id,
            Patient(patient_id),
            chosen.key,
            service_ids=chosen.service_ids,
        )
    except HealthPlusError:
        # No room or no time for it. The code is used up by now, so they are signed in all the same.
        return back_to, {}
    if not isinstance(outcome, Refused):
        return hold_path(chosen.provider_id, outcome.booking_id), {}
    if outcome.code == "claimed":
        return "/busy", claimed_instead(chosen, chosen.start)
    return back_to, {}


async def chosen_time(request: AnyRequest, back_to: str) -> tuple[dict[str, object], list[Service]] | None:
    """Return what who is led back to this address holds then, as pages show an appointment, and for which services."""
    chosen = unsealed_cookie(request, _COOKIE, ChosenTime)
    if chosen is None or chosen.back_to != back_to:
        return None
    app = services(request)
    where = chosen.provider_id, chosen.clinic_id
    row = await app.database.fetch_row(booking_queries.practice_location, *where)
    if row is None:  # works there no more
        return None
    return {**row, "starts_at": chosen.start}, await app.known_services.of(chosen.service_ids)


def forget_chosen_time(request: AnyRequest) -> list[Cookie]:
    """Return the cookie by which a browser forgets what was chosen, if it keeps anything."""
    return [site(request).end_cookie(_COOKIE)] if site(request).read(request, _COOKIE) else []


def claimed_instead(chosen: ChartKey | ChosenTime, start: datetime, person_id: UUID | None = None) -> dict[str, object]:
    """Return the query of the page that asks whether to have a start instead of what the patient has."""
    where = {"provider": chosen.provider_id, "clinic": chosen.clinic_id, "n": chosen.slots_needed}
    at = {field_name("start", chosen.service_ids): start.isoformat()}
    person = {"person": person_id} if person_id else {}
    return {"for": "hold", **where, **at, **person, "service": chosen.service_ids}
