"""The demo's staff: one of each role, to log in as at the desk."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

from healthplus.accounts.actors import System
from healthplus.database import Transaction, load
from healthplus.staff.accounts import add_staff, set_role
from healthplus.staff.passwords import HASHER, LENGTH_MIN
from healthplus.staff.rights import Role, is_everywhere, is_of_provider

_queries = load(Path(__file__).with_name("demo_data.sql"))

STAFF: dict[str, tuple[str, Role]] = {
    "demo-desk": ("Meera Joshi", "desk"),
    "demo-ward": ("Arun Kulkarni", "ward"),
    "demo-doctor": ("Demo doctor", "practitioner"),
    "demo-admin": ("Sunita Nair", "administrator"),
}
"""Names and roles by log-on ID."""
_ACTOR = System("demo")


async def make_staff(tx: Transaction, provider_id: int) -> str:
    """Add the staff, unless they are there, at a clinic of a provider; return their new password, one for all."""
    password = secrets.token_urlsafe(LENGTH_MIN)
    password_hash = await asyncio.to_thread(HASHER.hash, password)
    clinic_id = await tx.fetch_value(_queries.first_clinic, provider_id)
    there = {row["log_on"] for row in await tx.fetch(_queries.staff_there, list(STAFF))}
    for log_on, (name, role) in STAFF.items():
        if log_on not in there:
            staff_id = await add_staff(tx, log_on, name, _ACTOR, provider_id if is_of_provider(role) else None)
            await set_role(tx, staff_id, None if is_everywhere(role) else clinic_id, role, _ACTOR)
    await tx.execute(_queries.put_staff_password, list(STAFF), password_hash)
    return password
