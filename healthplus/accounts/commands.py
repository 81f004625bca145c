"""Commands that register developers and show how much they use the API."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import click

from healthplus.accounts.keys import PER_DAY, PER_MINUTE, SCOPES, Scope, add_key, list_keys, revoke_key
from healthplus.database import Database, Record, running_database
from healthplus.settings import Settings

T = TypeVar("T")

_QUOTA = click.IntRange(1, 1_000_000_000)


@click.group("key")
def key_group() -> None:
    """Developers who call the API from programs of their own."""


@key_group.command("add")
@click.argument("name")
@click.option("--per-minute", type=_QUOTA, default=PER_MINUTE, show_default=True, help="Requests a minute.")
@click.option("--per-day", type=_QUOTA, default=PER_DAY, show_default=True, help="Requests a day of UTC.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    default=SCOPES[:1],
    show_default=True,
    help="What the key is for; may be given again.",
)
@click.option("--expires-days", type=click.IntRange(1, 3660), help="By default, it is good until it is revoked.")
@click.pass_obj
def add_key_command(
    settings: Settings, name: str, per_minute: int, per_day: int, scopes: tuple[Scope, ...], expires_days: int | None
) -> None:
    """Register a developer, and print the key to give them; it cannot be shown again."""
    expires_in = None if expires_days is None else timedelta(days=expires_days)
    key_id, key = _with_database(
        settings, lambda database: add_key(database, name, scopes, per_minute, per_day, expires_in)
    )
    click.echo(f"Key {key_id}\n{key}")


@key_group.command("list")
@click.pass_obj
def list_keys_command(settings: Settings) -> None:
    """List the keys, with their quotas and how many requests were made with each; days are those of UTC."""
    for row in _with_database(settings, list_keys):
        used = f", last used {row['used_at']:%Y-%m-%d %H:%M} UTC" if row["used_at"] else ""
        click.echo(
            f"{row['key_id']} {row['name']}: {' and '.join(row['scopes'])}, {row['per_minute']} a minute, "
            f"{row['per_day']} a day, {_state(row)}; {row['today']} today, {row['last_7_days']} in 7 days, "
            f"{row['last_30_days']} in 30 days{used}"
        )


@key_group.command("revoke")
@click.argument("key_id", type=click.IntRange(1, 2**63 - 1))
@click.pass_obj
def revoke_key_command(settings: Settings, key_id: int) -> None:
    """End a key, at once and for good; `key list` shows the ids."""
    name = _with_database(settings, lambda database: revoke_key(database, key_id))
    click.echo(f"The key of {name} is revoked.")


def _state(row: Record) -> str:
    if row["revoked_at"]:
        return f"revoked {row['revoked_at']:%Y-%m-%d}"
    if row["expires_at"]:
        return f"{'expired' if row['is_expired'] else 'expires'} {row['expires_at']:%Y-%m-%d}"
    return "good until revoked"


def _with_database(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    async def run(dsn: str) -> T:
        async with await Database.connect(dsn, min_size=1, max_size=1) as database:
            return await work(database)

    with running_database(settings) as dsn:
        return asyncio.run(run(dsn))
