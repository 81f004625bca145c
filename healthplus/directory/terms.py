"""Keep the terms of cancelling: of clinics, and of single services there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from healthplus.database import Database, Transaction, load
from healthplus.directory.ladder import Step, ladder_text, parse_ladder
from healthplus.errors import NotFound

queries = load(Path(__file__).with_name("directory.sql"))


async def set_terms(
    database: Database,
    clinic_id: int,
    service: str | None,
    ladder: str,
    note: Callable[[Transaction, Sequence[Step]], Awaitable[None]] | None = None,
) -> str:
    """Set the terms of new holds at a clinic, or of services with a slug there, and return them as a text.

    What is held and booked keeps its terms. `none` takes them away; for a service, the clinic's count again. `note`
    notes them, in the same transaction. Raises BadInput when the text is no ladder, NotFound when there is no such
    clinic or service.
    """
    async with database.transaction() as tx:
        currency = await tx.fetch_value(queries.keep_currency, clinic_id)
        if currency is None:
            raise NotFound("There is no such clinic.")
        steps = parse_ladder(ladder, currency)
        terms_id = await put_terms(tx, steps)
        if note is not None:
            await note(tx, steps)
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
