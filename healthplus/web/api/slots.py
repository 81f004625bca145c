"""A provider's slots in a window of time."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

from litestar import Controller, Response, get
from litestar.params import QueryParameter

from healthplus.booking.book import CLIENT_MARGIN
from healthplus.database import Record, load
from healthplus.directory.known_services import SERVICES_MAX
from healthplus.directory.service_text import NAME_MAX
from healthplus.errors import BadInput, NotFound
from healthplus.web.api.models import Slot, Slots
from healthplus.web.api.presenters import chosen_services
from healthplus.web.api.problems import READ_PROBLEMS
from healthplus.web.api.requested_services import requested_services, require_bookable
from healthplus.web.http.actor import find_patient
from healthplus.web.http.answers import JsonAnswer
from healthplus.web.http.etags import IfNoneMatch, etag_matches, etag_of
from healthplus.web.http.ids import ID_MAX, ProviderId
from healthplus.web.http.instants import checked_instant
from healthplus.web.services import AnyRequest, services

queries = load(Path(__file__).with_name("queries.sql"))

WINDOW_MAX = timedelta(days=31)
_WINDOW = timedelta(days=1)


class SlotsController(Controller):
    path = "/providers/{provider_id:int}/slots"
    tags = ("Slots",)

    @get(responses=READ_PROBLEMS)
    async def slots(  # noqa: PLR0913, PLR0917 - what a request may ask for
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        from_: Annotated[datetime | None, QueryParameter(name="from", description="Default: now.")] = None,
        to: Annotated[
            datetime | None, QueryParameter(name="to", description="Default: a day after `from`; at most 31 days.")
        ] = None,
        clinic_id: Annotated[int | None, QueryParameter(ge=1, le=ID_MAX, description="Default: all of them.")] = None,
        slots_needed: Annotated[int, QueryParameter(ge=1, le=20, description="Consecutive slots.")] = 1,
        service: Annotated[
            str | None,
            QueryParameter(max_length=NAME_MAX, description="What is to be done, by slug or id of its `services`."),
        ] = None,
        tests: Annotated[
            list[str] | None,
            QueryParameter(
                description=f"Tests to be done in one visit, by slug or id; once for each, at most {SERVICES_MAX}."
            ),
        ] = None,
        if_none_match: IfNoneMatch = None,
    ) -> Response[Slots]:
        """Show which of a provider's slots are free, held, booked or mine; no sign-in is needed.

        With `service` or `tests`: those at which they may begin, and with `fits` where there is time for them. Where
        one clinic alone offers all that is named, only its slots are shown.
        """
        app = services(request)
        book = app.book
        clinic_id, service_ids = await requested_services(
            app, provider_id, clinic_id, slots_needed, service, tests or ()
        )
        if service_ids:
            await require_bookable(app, provider_id, clinic_id, service_ids)
        patient_id = await find_patient(request)
        stamp = await book.chart_stamp(provider_id)
        assert stamp is not None
        starts_from = stamp["minute"] if from_ is None else checked_instant("from", from_)
        starts_before = starts_from + _WINDOW if to is None else checked_instant("to", to)
        if not starts_from < starts_before <= starts_from + WINDOW_MAX:
            raise BadInput("`to` must be after `from`, by at most 31 days.")

        # All that the answer depends on: the stamp changes with the book and with time.
        depends_on = (
            patient_id,
            provider_id,
            clinic_id,
            starts_from,
            starts_before,
            slots_needed,
            *service_ids,
            *stamp,
        )
        etag = etag_of(repr(depends_on).encode())
        headers = {"ETag": etag}
        if etag_matches(if_none_match, etag):
            return Response(content=None, status_code=304, headers=headers)  # type: ignore[arg-type]
        rows = await book.chart(
            provider_id, clinic_id, starts_from, starts_before, slots_needed, patient_id, service_ids
        )
        if not rows and not await app.database.fetch_value(queries.provider_exists, provider_id):
            raise NotFound("There is no such provider; search for one.")
        slots = [_slot(row) for row in rows]
        shown = Slots(
            provider_id, starts_from, starts_before, slots_needed, slots, await chosen_services(app, service_ids)
        )
        return JsonAnswer(shown, headers=headers)


def _slot(row: Record) -> Slot:
    held_until = row["held_until"] and row["held_until"] - CLIENT_MARGIN
    return Slot(row["clinic_id"], row["starts_at"], row["ends_at"], row["state"], held_until, row["fits"])
