"""Keep what providers offer, and the terms of clinics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from healthplus.database import Database, Record, Transaction, load
from healthplus.directory.ladder import Step, ladder_text, parse_ladder
from healthplus.directory.service_text import Service, check_service
from healthplus.errors import Conflict, NotFound
from healthplus.names import service_slug

queries = load(Path(__file__).with_name("directory.sql"))


async def put_service(
    database: Database, provider_id: int, clinic_id: int | None, service: Service, currency: str
) -> tuple[Literal["added", "changed", "unchanged"], Record]:
    """Have a provider offer a service at a clinic where it works (None: at each); return what was done, and its row.

    One of the same name that differs is closed: what is held, booked or waited for keeps it. Raises BadInput when it
    cannot be offered, Conflict when the name is that of a test and this is a visit, or the other way round.
    """
    kind = service_slug(check_service(service, currency).name)
    given = msgspec.structs.asdict(service) | {
        "provider_id": provider_id,
        "clinic_id": clinic_id,
        "service_type": kind,
        "currency": currency,
    }
    async with database.transaction() as tx:
        await tx.execute(queries.put_service_types, [{"slug": kind, "name": service.name, "is_test": service.is_test}])
        known = await tx.fetch_row(queries.service_type, kind)
        assert known is not None
        if known["is_test"] != service.is_test:
            is_what = "laboratory test" if known["is_test"] else "visit"
            raise Conflict(f"{known['name']!r} is a {is_what}: offer it as one, or give this another name.")
        counts = await tx.fetch_row(queries.put_services, [given])
        assert counts is not None
        rows = await tx.fetch(queries.services_of_provider, provider_id)
    row = next(row for row in rows if row["slug"] == kind and row["clinic_id"] == clinic_id)
    return "added" if counts["added"] else "changed" if counts["updated"] else "unchanged", row


async def set_terms(database: Database, clinic_id: int, service: str | None, ladder: str) -> str:
    """Set the terms of new holds at a clinic, or of services with a slug there, and return them as a text.

    What is held and booked keeps its terms. `none` takes them away; for a service, the clinic's count again. Raises
    BadInput when the text is no ladder, NotFound when there is no such clinic or service.
    """
    async with database.transaction() as tx:
        currency = await tx.fetch_value(queries.keep_currency, clinic_id)
        if currency is None:
            raise NotFound("There is no such clinic.")
        steps = parse_ladder(ladder, currency)
        terms_id = await put_terms(tx, steps)
        if service is None:
            await tx.execute(queries.set_clinic_terms, clinic_id, terms_id)
            return ladder_text(steps, currency)
        kind = await tx.fetch_row(queries.service_type, service)
        if kind is None:
            raise NotFound(f"No service has the slug {service!r}; `healthplus service list PROVIDER` shows the slugs.")
        if terms_id is None:
            await tx.execute(queries.remove_service_terms, clinic_id, kind["service_type_id"])
        else:
            await tx.execute(queries.set_service_terms, clinic_id, kind["service_type_id"], terms_id)
    return ladder_text(steps, currency)


async def put_terms(tx: Database | Transaction, steps: Sequence[Step]) -> int | None:
    """Return the id of terms with the steps of a ladder, None where there are none."""
    if not steps:
        return None
    columns = zip(*((step.hours_before, step.kept_percent, step.kept_minor) for step in steps), strict=True)
    return int(await tx.fetch_value(queries.put_terms, *map(list, columns)))
