from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

from litestar import Controller, Response, get
from litestar.params import QueryParameter

from healthplus.booking.book import CLIENT_MARGIN
from healthplus.database import load
from healthplus.errors import BadInput, NotFound
from healthplus.web.api.common import READ_PROBLEMS, ProviderId, checked_instant, patient_or_anyone
from healthplus.web.api.models import ID_MAX, Slot, Slots
from healthplus.web.http.etags import IfNoneMatch, names
from healthplus.web.services import AnyRequest, services

queries = load(Path(__file__).with_name("queries.sql"))

WINDOW_MAX = timedelta(days=31)
_WINDOW = timedelta(days=1)


class SlotsController(Controller):
    path = "/providers/{provider_id:int}/slots"
    tags = ("Slots",)

    @get(responses=READ_PROBLEMS)
    async def slots(
        self,
        request: AnyRequest,
        provider_id: ProviderId,
        from_: Annotated[datetime | None, QueryParameter(name="from", description="Default: now.")] = None,
        to: Annotated[
            datetime | None, QueryParameter(name="to", description="Default: a day after `from`; at most 31 days.")
        ] = None,
        clinic_id: Annotated[int | None, QueryParameter(ge=1, le=ID_MAX, description="Default: all of them.")] = None,
        slots_needed: Annotated[int, QueryParameter(ge=1, le=20, description="Consecutive slots.")] = 1,
        if_none_match: IfNoneMatch = None,
    ) -> Response[Slots]:
        """Show which of a provider's slots are free, held, booked or mine; anyone may look."""
        book = services(request).book
        patient_id = await patient_or_anyone(request)
        stamp = await book.chart_stamp(provider_id)
        assert stamp is not None
        starts_from = stamp["minute"] if from_ is None else checked_instant("from", from_)
        starts_before = starts_from + _WINDOW if to is None else checked_instant("to", to)
        if not starts_from < starts_before <= starts_from + WINDOW_MAX:
            raise BadInput("`to` must be after `from`, by at most 31 days.")

        asked = (patient_id, provider_id, clinic_id, starts_from, starts_before, slots_needed, *stamp)
        etag = f'"{hashlib.sha256(repr(asked).encode()).hexdigest()[:32]}"'
        headers = {"ETag": etag}
        if names(if_none_match, etag):
            return Response(content=None, status_code=304, headers=headers)  # type: ignore[arg-type]
        rows = await book.chart(provider_id, clinic_id, starts_from, starts_before, slots_needed, patient_id)
        if not rows and not await services(request).database.fetch_value(queries.provider_exists, provider_id):
            raise NotFound("There is no such provider; search for one.")
        slots = [
            Slot(
                row["clinic_id"],
                row["starts_at"],
                row["ends_at"],
                row["state"],
                row["held_until"] and row["held_until"] - CLIENT_MARGIN,
                row["fits"],
            )
            for row in rows
        ]
        return Response(Slots(provider_id, starts_from, starts_before, slots_needed, slots), headers=headers)
