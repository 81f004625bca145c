"""Commands for what providers offer."""

from __future__ import annotations

from pathlib import Path

import click

from healthplus import directory
from healthplus.database import Database, Record, Transaction, load
from healthplus.directory.commands import ID, find_row, with_database
from healthplus.directory.fees import FUNDINGS, read_fee
from healthplus.directory.preparation import checked_preparation
from healthplus.directory.service_text import BUFFER_MINUTES_MAX, LENGTH_MINUTES_MAX, Service, service_text
from healthplus.directory.services import put_service
from healthplus.directory.weekdays import in_bits, parse_days
from healthplus.errors import BadInput, Conflict, NotFound
from healthplus.money import unit_name
from healthplus.settings import Settings
from healthplus.staff.command_audit import note_command

queries = load(Path(directory.__file__).with_name("directory.sql"))

_DID = {"added": "Added", "changed": "Changed", "unchanged": "Offered like that already"}
_LENGTH = click.IntRange(0, LENGTH_MINUTES_MAX)
_BUFFER = click.IntRange(0, BUFFER_MINUTES_MAX)


@click.group("service")
def service_group() -> None:
    """What providers offer: visits and laboratory tests, with their length and fee."""


@service_group.command("add")
@click.argument("provider")
@click.argument("name")
@click.option("--fee", required=True, help="In whole units of the clinic's currency, such as rupees.")
@click.option("--length", "length_minutes", type=_LENGTH, help="Minutes; a test may take none of its own.")
@click.option("--clinic", help="The clinic's id or identifier; by default each one at which the provider works.")
@click.option("--test", "is_test", is_flag=True, help="A laboratory test: several go into one visit, and add up.")
@click.option("--funding", type=click.Choice(FUNDINGS), help="By default as visits there are paid; free without a fee.")
@click.option("--buffer", "buffer_minutes", type=_BUFFER, default=0, help="Minutes that are kept free after it.")
@click.option("--starts-every", type=int, default=1, help="Starts on every so many slots of a shift only.")
@click.option("--days", default="Mon-Sun", show_default=True, help='Only on some days, such as "Mon,Wed" or "Mon-Fri".')
@click.option("--preparation", help='What a patient has to do before it, not naming it; "" takes it away.')
@click.option("--more-a-day", is_flag=True, help="A patient may have others with the provider on that day.")
@click.pass_obj
def add_service_command(  # noqa: PLR0913 - a service has as many facts
    settings: Settings,
    provider: str,
    name: str,
    *,
    fee: str,
    length_minutes: int | None,
    clinic: str | None,
    is_test: bool,
    funding: str | None,
    buffer_minutes: int,
    starts_every: int,
    days: str,
    preparation: str | None,
    more_a_day: bool,
) -> None:
    """Offer a service, or change it: what is held and booked keeps what it had. PROVIDER is an id or identifier."""
    if length_minutes is None and not is_test:
        raise BadInput("Say how long a visit takes, as in --length 45; only a --test may take no time of its own.")

    async def add(database: Database) -> str:
        offering = await find_row(database, queries.find_provider, provider, "provider")
        at = None if clinic is None else await find_row(database, queries.find_clinic, clinic, "clinic")
        currency = await _currency(database, offering, at)
        service = Service(
            name,
            is_test,
            read_fee(fee, currency),
            length_minutes or 0,
            funding,
            buffer_minutes,
            starts_every,
            in_bits(parse_days(days)),
            more_a_day,
            None if preparation is None else checked_preparation(preparation),
        )
        clinic_id = None if at is None else int(at["clinic_id"])

        async def note(tx: Transaction, row: Record) -> None:
            facts = [name, str(row["fee_minor"]), f"{row['length_minutes']} min", row["preparation"]]
            detail = "; ".join(fact for fact in facts if fact)
            await note_command(tx, "put_service", detail, clinic_id, offering["provider_id"])

        did, row = await put_service(database, offering["provider_id"], clinic_id, service, currency, note)
        return f"{_DID[did]}, {offering['name']}: {_line(row)}"

    click.echo(with_database(settings, add))


@service_group.command("list")
@click.argument("provider")
@click.pass_obj
def list_services_command(settings: Settings, provider: str) -> None:
    """List a provider's services, those that are closed last, as a file for `import` would name them."""

    async def services(database: Database) -> list[Record]:
        offering = await find_row(database, queries.find_provider, provider, "provider")
        return await database.fetch(queries.services_of_provider, offering["provider_id"])

    rows = with_database(settings, services, reads=True)
    if not rows:
        click.echo("No services: a visit takes the slots that are chosen, for the fee that `healthplus find` shows.")
    for row in rows:
        click.echo(_line(row))


@service_group.command("close")
@click.argument("service_id", type=ID)
@click.pass_obj
def close_service_command(settings: Settings, service_id: int) -> None:
    """Offer a service no longer; who holds it, has booked it or waits for it keeps it. `service list` shows the ids."""

    async def close(database: Database) -> None:
        async with database.transaction() as tx:
            closed = await tx.fetch_row(queries.close_service, service_id)
            if closed is not None:
                await note_command(tx, "close_service", closed["name"], closed["clinic_id"], closed["provider_id"])
                return
            row = await tx.fetch_row(queries.service_closed_at, service_id)
        if row is None:
            raise NotFound(f"There is no service {service_id}; `healthplus service list PROVIDER` shows the ids.")
        raise Conflict(f"Service {service_id} was closed already, at {row['closed_at']:%Y-%m-%d %H:%M} UTC.")

    with_database(settings, close)
    click.echo(f"Service {service_id} is closed.")


async def _currency(database: Database, provider: Record, clinic: Record | None) -> str:
    at = clinic and clinic["clinic_id"]
    currencies = [
        row["currency"] for row in await database.fetch(queries.currencies_of_provider, provider["provider_id"], at)
    ]
    if not currencies:
        where = clinic["name"] if clinic else "any clinic"
        raise NotFound(f"{provider['name']} does not work at {where}; `healthplus find NAME` shows who works where.")
    if len(currencies) > 1:
        raise BadInput(f"{provider['name']} works in {' and '.join(currencies)}; say which clinic, with --clinic.")
    return str(currencies[0])


def _line(row: Record) -> str:
    service = Service(**{name: row[name] for name in Service.__struct_fields__})
    kind = "test" if row["is_test"] else "visit"
    closed = f"; closed {row['closed_at']:%Y-%m-%d %H:%M} UTC" if row["closed_at"] else ""
    before = f"; before it: {row['preparation']}" if row["preparation"] else ""
    return (
        f"service {row['service_id']} ({kind} {row['slug']}), {row['clinic'] or 'all clinics'}: "
        f"{service_text(service, row['currency'])} ({unit_name(row['currency'])}){closed}{before}"
    )
