"""What members of the staff do with their own accounts: choose a password, set up an app or a passkey."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from healthplus.accounts.secret import Secret
from healthplus.accounts.sessions import TOKEN_LENGTH_MAX, hash_token
from healthplus.database import Database, Record
from healthplus.errors import BadInput, LastFactor, LogInRefused, StaffLinkOver, WeakPassword
from healthplus.staff import passkeys
from healthplus.staff.apps import AppSecrets, step_of_code
from healthplus.staff.log_in import Challenge
from healthplus.staff.passwords import Passwords, is_long
from healthplus.staff.refusals import refusals_as_ours
from healthplus.staff.sessions import StaffSession, queries


class OwnAccount:
    """Changes what somebody logs in with; each change is noted in the audit."""

    def __init__(self, database: Database, secret: Secret, passwords: Passwords) -> None:
        self._database = database
        self._passwords = passwords
        self._apps = AppSecrets(secret)

    async def link(self, token: str) -> Record:
        """Return whose one-use link this is. Raises StaffLinkOver."""
        row = None
        if len(token) <= TOKEN_LENGTH_MAX:
            row = await self._database.fetch_row(queries.link, hash_token(token))
        if row is None:
            raise StaffLinkOver
        return row

    async def use_link(self, token: str, password: str, app_secret: str | None, code: str, address: str) -> None:
        """Choose a password with a link; with a right code of `app_secret`, that app is set up with it.

        Raises StaffLinkOver, WeakPassword and, for a wrong code, LogInRefused. The link is used up only by success.
        """
        row = await self.link(token)
        sealed = step = None
        if app_secret is not None and code.strip():
            step = step_of_code(app_secret, code, await self._now())
            if step is None:
                raise LogInRefused(reason="code")
            sealed = self._apps.seal(app_secret, row["staff_id"])
        has_factor = sealed is not None or row["has_app"] or row["has_passkey"]
        await self._require_strong(row["staff_id"], password, has_factor=has_factor)
        password_hash = await self._passwords.hash(password)
        if not await self._database.fetch_value(
            queries.use_link, hash_token(token), password_hash, is_long(password), sealed, step, address
        ):
            raise StaffLinkOver

    async def factors(self, session: StaffSession) -> Record:
        """Return what somebody can log in with."""
        with refusals_as_ours():
            row = await self._database.fetch_row(queries.own_factors, session.token_hash)
        assert row is not None
        return row

    async def change_password(self, session: StaffSession, password: str, address: str) -> None:
        """Change the password; all other sessions end. Raises WeakPassword and LastFactor."""
        row = await self.factors(session)
        has_factor = row["has_app"] or row["has_passkey"]
        await self._require_strong(session.staff_id, password, has_factor=has_factor)
        password_hash = await self._passwords.hash(password)
        if not await self._change(session, queries.change_password, password_hash, is_long(password), address):
            raise LastFactor

    async def set_up_app(self, session: StaffSession, app_secret: str, code: str, address: str) -> None:
        """Set up an app that has made a right code, in the place of another one. Raises LogInRefused."""
        step = step_of_code(app_secret, code, await self._now())
        if step is None:
            raise LogInRefused(reason="code")
        sealed = self._apps.seal(app_secret, session.staff_id)
        await self._change(session, queries.set_app, sealed, step, address)

    async def remove_app(self, session: StaffSession, address: str) -> None:
        """Take the app away. Raises LastFactor."""
        if not await self._change(session, queries.set_app, None, None, address):
            raise LastFactor

    async def passkeys(self, session: StaffSession) -> list[Record]:
        """Return somebody's passkeys, the oldest first."""
        with refusals_as_ours():
            return await self._database.fetch(queries.passkeys, session.token_hash)

    async def add_passkey(
        self, session: StaffSession, challenge: Challenge, answer: str, agent: str, address: str
    ) -> None:
        """Add a passkey that a browser has made. Raises BadInput."""
        made = None
        if challenge.expires_at > await self._now():
            made = passkeys.new_passkey(challenge.site, challenge.value, answer)
        if made is None or not await self._change(session, queries.add_passkey, *made, agent, address):
            raise BadInput("passkey: it could not be added; try again.")

    async def remove_passkey(self, session: StaffSession, passkey_id: UUID, address: str) -> None:
        """Remove a passkey. Raises LastFactor, also where it is gone."""
        if not await self._change(session, queries.remove_passkey, passkey_id, address):
            raise LastFactor

    async def _change(self, session: StaffSession, sql: str, *args: object) -> bool:
        """Call a function that changes the account of who is logged in; return whether it did."""
        with refusals_as_ours():
            done: bool = await self._database.fetch_value(sql, session.token_hash, *args)
        return done

    async def _require_strong(self, staff_id: int, password: str, *, has_factor: bool) -> None:
        own = await self._database.fetch_row(queries.own_words, staff_id)
        words = [] if own is None else [own["log_on"] or "", own["name"], *own["clinics"]]
        if (weak := await self._passwords.weakness(password, words, has_factor=has_factor)) is not None:
            raise WeakPassword(reason=weak)

    async def _now(self) -> datetime:
        now: datetime = await self._database.fetch_value("SELECT public.app_now()")
        return now
