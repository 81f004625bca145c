"""Keep what providers offer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import msgspec

from healthplus.database import Database, Record, Transaction, load
from healthplus.directory.service_text import Service, check_service
from healthplus.errors import Conflict
from healthplus.names import service_slug

queries = load(Path(__file__).with_name("directory.sql"))


async def put_service(
    database: Database,
    provider_id: int,
    clinic_id: int | None,
    service: Service,
    currency: str,
    note: Callable[[Transaction, Record], Awaitable[None]] | None = None,
) -> tuple[Literal["added", "changed", "unchanged"], Record]:
    """Have a provider offer a service at a clinic where it works (None: at each); return what was done, and its row.

    One of the same name and kind that differs is closed: what is held, booked or waited for keeps it. `note` notes what
    was changed, in the same transaction. Raises BadInput
    when it cannot be offered, Conflict when the clinic has another currency.
    """
    name = service_slug(check_service(service, currency).name)
    given = msgspec.structs.asdict(service) | {
        "provider_id": provider_id,
        "clinic_id": clinic_id,
        "service_type": name,
        "currency": currency,
    }
    async with database.transaction() as tx:
        if clinic_id is not None and await tx.fetch_value(queries.keep_currency, clinic_id) != currency:
            raise Conflict("The clinic has another currency since a moment ago: look at it, and try again.")
        await tx.execute(queries.put_service_types, [{"slug": name, "name": service.name, "is_test": service.is_test}])
        counts = await tx.fetch_row(queries.put_services, [given])
        assert counts is not None
        rows = await tx.fetch(queries.services_of_provider, provider_id)
        wanted = name, service.is_test, clinic_id
        row = next(row for row in rows if (row["name_slug"], row["is_test"], row["clinic_id"]) == wanted)
        if note is not None and (counts["added"] or counts["updated"]):
            await note(tx, row)
    return "added" if counts["added"] else "changed" if counts["updated"] else "unchanged", row
