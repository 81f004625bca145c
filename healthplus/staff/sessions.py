"""Sessions of staff: who is logged in with a token, and what they may do. Nothing is cached: an end is one at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import msgspec

from healthplus.accounts.actors import Staff
from healthplus.accounts.sessions import TOKEN_LENGTH_MAX, hash_token
from healthplus.database import Database, Record, load
from healthplus.staff.refusals import refusals_as_ours
from healthplus.staff.rights import Right, Role, has_right, has_right_anywhere, role_for

queries = load(Path(__file__).with_name("queries.sql"))

SESSION_SECONDS = 24 * 3600
"""As long as staff.session_time() of the database."""
LOCK_SECONDS = 600
"""As long as staff.lock_time() of the database: what pages count before they ask again."""


class StaffSession(msgspec.Struct, frozen=True):
    """A member of the staff who is logged in. `roles` are by clinic; under None stands what they are at every clinic.

    `is_locked`: nothing may be seen or done before they show again who they are. `is_proven`: they did so just now.
    """

    token_hash: bytes
    session_id: UUID
    staff_id: int
    version: int
    log_on: str
    name: str
    provider_id: int | None
    is_locked: bool
    is_proven: bool
    roles: Mapping[int | None, Role]

    @property
    def actor(self) -> Staff:
        return Staff(self.staff_id)

    def role_for(self, right: Right, clinic_id: int | None) -> Role | None:
        """Return the role that gives them a right at a clinic (None: at every); None: they have it not."""
        return role_for(self.roles, right, clinic_id)

    def may(self, right: Right, clinic_id: int | None) -> bool:
        """Return whether they have a right at a clinic; None: at every clinic, as what is of no clinic needs."""
        return has_right(self.roles, right, clinic_id)

    def may_anywhere(self, right: Right) -> bool:
        """Return whether they have a right at one clinic or more."""
        return has_right_anywhere(self.roles, right)


class StaffSessions:
    """Finds sessions, locks and ends them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, token: str, *, is_use: bool = True) -> StaffSession | None:
        """Return the session of a token; None where it is nobody's, or over.

        It is noted to be in use, unless it is a page that asks by itself, which must not keep a screen unlocked.
        """
        if len(token) > TOKEN_LENGTH_MAX:
            return None
        token_hash = hash_token(token)
        row = await self._database.fetch_row(queries.use_session, token_hash, is_use)
        if row is None:
            return None
        found = dict(row)
        roles = dict(zip(found.pop("clinic_ids"), found.pop("roles"), strict=True))
        return StaffSession(token_hash=token_hash, roles=roles, **found)

    async def lock(self, session: StaffSession, address: str) -> None:
        """Lock the screen of a session."""
        await self._database.execute(queries.lock_session, session.token_hash, address)

    async def note_forbidden(self, session: StaffSession, right: str, clinic_id: int | None, address: str) -> None:
        """Note that somebody asked for a page for which they lack the right."""
        await self._database.execute(
            queries.append_forbidden, str(session.actor), session.session_id, address, right, clinic_id
        )

    async def end(self, session: StaffSession, address: str) -> None:
        """Log a session out."""
        await self._database.execute(queries.end_session, session.token_hash, "", address)

    async def end_other(self, session: StaffSession, session_id: UUID, address: str) -> None:
        """Log out another session of the same person, if it still goes on."""
        with refusals_as_ours():
            await self._database.execute(queries.end_other, session.token_hash, session_id, address)

    async def end_all(self, session: StaffSession, address: str) -> None:
        """Log the person out everywhere, at once and in every process; no browser of theirs is known any more."""
        with refusals_as_ours():
            await self._database.execute(queries.end_sessions, session.token_hash, address)

    async def of(self, session: StaffSession) -> list[Record]:
        """Return where the person is logged in; `is_this` marks this session."""
        with refusals_as_ours():
            return await self._database.fetch(queries.sessions, session.token_hash)

    async def memberships(self, session: StaffSession) -> list[Record]:
        """Return the clinics of a person with what they are there; None stands for every clinic."""
        with refusals_as_ours():
            return await self._database.fetch(queries.memberships, session.token_hash)
