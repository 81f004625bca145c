"""Accounts of staff, as administrators see to them: adding, disabling, roles, and links to choose a password with."""

from __future__ import annotations

import re
import secrets

from healthplus.accounts.actors import Actor
from healthplus.accounts.sessions import hash_token
from healthplus.database import Database, Record, Transaction
from healthplus.errors import BadInput, Conflict, LastAdministrator, NotFound
from healthplus.staff.rights import Role, is_everywhere
from healthplus.staff.sessions import queries
from healthplus.text import checked_name, identifier

LINK_PATH = "/desk/welcome?link="
NAME_LENGTH_MAX = 200
_LOG_ON = re.compile(r"[a-z0-9][a-z0-9._-]{2,39}")


def normal_log_on(text: str) -> str:
    """Return a log-on ID as it is kept, from what somebody typed for one."""
    return identifier(text).lower()


def is_log_on(text: str) -> bool:
    """Return whether a text may be a log-on ID."""
    return _LOG_ON.fullmatch(text) is not None


async def add_staff(
    database: Database | Transaction, log_on: str, name: str, actor: Actor, provider_id: int | None = None
) -> int:
    """Add a member of the staff, who has no role and no way in yet. Raises BadInput, and Conflict for a taken ID."""
    log_on, name = normal_log_on(log_on), checked_name(name, NAME_LENGTH_MAX)
    if not is_log_on(log_on):
        raise BadInput("A log-on ID has 3 to 40 small letters, digits, dots, hyphens and underscores, as in asha.rao.")
    staff_id: int | None = await database.fetch_value(queries.add_account, log_on, name, provider_id, str(actor))
    if staff_id is None:
        raise Conflict(f"Somebody has the log-on ID {log_on} already; choose another.")
    return staff_id


async def set_role(
    database: Database | Transaction, staff_id: int, clinic_id: int | None, role: Role | None, actor: Actor
) -> bool:
    """Set, replace or (None) remove a person's role at a clinic.

    Without a clinic: at every clinic, which only an administrator is. Return whether they need a new link: where this
    is more than the desk of one clinic, whose ward administrator may know it, all that they logged in with has ended.
    Raises NotFound and LastAdministrator.
    """
    if role is not None and is_everywhere(role) != (clinic_id is None):
        raise BadInput("An administrator is one of every clinic; every other role is for one clinic.")
    outcome = await database.fetch_value(queries.set_role, staff_id, clinic_id, role, str(actor))
    match outcome:
        case "not_found":
            raise NotFound("There is no such account, or it is disabled.")
        case "last":
            raise LastAdministrator
    return bool(outcome == "link_due")


async def make_link(
    database: Database | Transaction, staff_id: int, actor: Actor, *, ends_factors: bool = False
) -> str:
    """Return the token of a new link, good once and for a day, in the place of those made before.

    `ends_factors`: app and passkeys end with its use. Nobody but its reader learns the password. Raises NotFound.
    """
    token = secrets.token_urlsafe(32)
    if not await database.fetch_value(queries.make_link, staff_id, hash_token(token), ends_factors, str(actor)):
        raise NotFound("There is no such account, or it is disabled.")
    return token


async def disable_staff(database: Database | Transaction, staff_id: int, actor: Actor) -> None:
    """End an account's way in: sessions at their next request, passwords, apps, passkeys and links at once.

    Raises NotFound and LastAdministrator.
    """
    match await database.fetch_value(queries.disable, staff_id, str(actor)):
        case "not_found":
            raise NotFound("There is no such account, or it is disabled already.")
        case "last":
            raise LastAdministrator


async def enable_staff(database: Database | Transaction, staff_id: int, actor: Actor) -> None:
    """Let an account that was disabled be used again, with a new link. Raises NotFound."""
    if not await database.fetch_value(queries.enable, staff_id, str(actor)):
        raise NotFound("There is no such account, or it is not disabled.")


async def staff_named(database: Database | Transaction, log_on: str) -> Record:
    """Return the account of a log-on ID. Raises NotFound."""
    row = await database.fetch_row(queries.account_named, normal_log_on(log_on))
    if row is None:
        raise NotFound(f"Nobody has the log-on ID {log_on}; `healthplus staff list` shows them.")
    return row


async def list_staff(database: Database | Transaction) -> list[Record]:
    """Return everybody with their roles, and how they can log in."""
    return await database.fetch(queries.accounts)
