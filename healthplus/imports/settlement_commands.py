"""The command that takes in what a gateway paid out from a file, where its API is not read or was not."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import click

from healthplus.database import Database
from healthplus.directory.commands import with_database
from healthplus.errors import BadInput, NotFound
from healthplus.imports.settlement_files import Remark, SettlementFile, read_settlement_file
from healthplus.payments.accounts import queries
from healthplus.payments.settled import SettlementPage
from healthplus.payments.settlements import SettlementBook, period_of
from healthplus.settings import Settings

_LINES_SHOWN_MAX = 50
_PAGE = 500


class _Stored(NamedTuple):
    """How many lines are new, and how many were there; and those that said something else before."""

    new: int
    known: int
    other: list[Remark]


@click.group("settlements")
def settlements_group() -> None:
    """What the payment gateways paid out, and what they kept."""


@settlements_group.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--account", required=True, help="The account's name; `healthplus payment-account list` shows them.")
@click.pass_obj
def import_command(settings: Settings, file: Path, account: str) -> None:
    """Take in a report of what was paid out, as its owner downloads it from Razorpay or Stripe as CSV."""
    found = read_settlement_file(file)

    async def store(database: Database) -> _Stored:
        gateways = {row["account"]: row["gateway"] for row in await database.fetch(queries.accounts)}
        if account not in gateways:
            raise NotFound(f"There is no payment account {account!r}; `healthplus payment-account list` shows them.")
        if gateways[account] != found.gateway:
            raise BadInput(f"The file is of {found.gateway}; the account {account} is at {gateways[account]}.")
        return await _store(database, account, found)

    stored = with_database(settings, store)
    settlements = len({row[0].name for _, row in found.rows})
    click.echo(
        f"Settlements: {settlements}. Lines: {stored.new} new, {stored.known} known before, "
        f"{found.not_settled} not paid out yet."
    )
    left_out = sorted(found.left_out + stored.other)
    for remark in left_out[:_LINES_SHOWN_MAX]:
        click.echo(f"Left out, line {remark.line}: {remark.text}")
    if (more := len(left_out) - _LINES_SHOWN_MAX) > 0:
        click.echo(f"Left out: {more} more.")
    click.echo("What does not match stands at Office, Money (/desk/office/money).")


async def _store(database: Database, account: str, found: SettlementFile) -> _Stored:
    book = SettlementBook(database)
    if others := await book.other_accounts(account, [one for _, (_, one) in found.rows if one is not None]):
        raise BadInput(f"The file has payments of the account {others[0]}: import it with --account {others[0]}.")
    lines = {(one.settlement, one.name): line for line, (_, one) in found.rows if one is not None}
    known, other = 0, []
    for start in range(0, len(found.rows), _PAGE):
        rows = found.rows[start : start + _PAGE]
        settlements = list({row[0].name: row[0] for _, row in rows}.values())
        page = SettlementPage(settlements, [one for _, (_, one) in rows if one is not None])
        for row in await book.store(account, page):
            if row["is_same"]:
                known += 1
            else:
                text = f"{row['name']} said something else before, which stays as it was"
                other.append(Remark(lines[row["settlement"], row["name"]], text))
    if found.rows:
        settlements = [row[0] for _, row in found.rows]
        await book.finish(account, [one.name for one in settlements], *period_of(settlements))
    return _Stored(len(lines) - known - len(other), known, other)
