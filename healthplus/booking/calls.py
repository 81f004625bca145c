"""How the verbs are called: within the bounds of what one process may have at the database, and some together.

booking/bulkheads.py has the bounds, booking/lanes.py what goes together.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from healthplus.accounts.actors import Actor, Patient, Staff, System
from healthplus.accounts.sessions import KnownTokens, unknown_token
from healthplus.booking import outcomes
from healthplus.booking.bulkheads import WAIT_SECONDS_MAX, BookBulkheads
from healthplus.booking.lanes import Call, Lane
from healthplus.booking.outcomes import Refused, outcome_of
from healthplus.database import Database, Record, load, note_change
from healthplus.errors import DatabaseBusy, DatabaseReadOnly, DatabaseUnreachable, OutcomeUnknown
from healthplus.metrics import VERBS
from healthplus.refusals import refused

T = TypeVar("T")

queries = load(Path(__file__).with_name("queries.sql"))
calls = {
    name: sql.replace("SELECT *", f"SELECT {', '.join(outcomes.COLUMNS)}", 1).replace(
        "(outcome).*", ", ".join(f"(outcome).{column}" for column in outcomes.COLUMNS), 1
    )
    for name, sql in queries.items()
}
"""The calls of the verbs, which name the columns they read."""

_NEWCOMERS = frozenset({"hold", "join_queue", "resume"})
"""Verbs of the many who want something: those at one book go one by one, or together as a rush. Nobody who has
something already waits behind them."""

_SIGNED_OUT = object()
"""What a lane answers to a call whose token does not sign its patient in."""


@dataclass(frozen=True, slots=True)
class Request:
    """A verb that is asked for, which may go together with others.

    `args`: the arguments of the single verb, but for the provider. `row`: those of a lane or rush, one for each of its
    arrays; None where the call must go alone. `refusable`: those of booking.refuse_hold, for a hold.
    """

    verb: str
    provider_id: int
    patient_id: int | None
    actor: Actor
    key: str | None
    token_hash: bytes | None
    args: tuple[object, ...]
    row: tuple[object, ...] | None
    refusable: tuple[object, ...] | None = None


class BookCalls:
    """The calls of one process."""

    def __init__(
        self,
        database: Database,
        changed: Callable[[int], None] = lambda _: None,
        tokens: KnownTokens | None = None,
    ) -> None:
        """Call `changed` with each provider whose book a verb may have changed, once that is committed.

        `tokens`: what this process knows of tokens, from which one that turns out to be revoked is dropped.
        """
        self._database = database
        self.changed = changed
        self._tokens = tokens or KnownTokens(database)
        self._bulkheads = BookBulkheads(self._is_locked)
        self._numbers = itertools.count()
        self._refusals = Lane(database, calls["refuse_holds"], partial(self._decode, "hold"))
        self._lanes = {
            "hold": Lane(
                database,
                calls["hold_lane"],
                partial(self._decode, "hold"),
                rush_sql=calls["hold_many"],
                run_rush=self._run_rush,
                refuses=True,
            ),
            "confirm": Lane(database, calls["confirm_lane"], partial(self._decode, "confirm")),
            "join_queue": Lane(
                database,
                calls["join_lane"],
                partial(self._decode, "join_queue"),
                rush_sql=calls["join_many"],
                run_rush=self._run_rush,
            ),
        }

    async def locking(self, provider_id: int, call: Callable[[float], Awaitable[T]], actor: Actor | None = None) -> T:
        """Return what `call` does: a function of another area that locks the book as a verb does.

        It is given the seconds that it may wait for a connection. Raises as the verbs do.
        """
        return await self._bulkheads.run(provider_id, call, actor, is_newcomer=False)

    async def _call(self, verb: str, provider_id: int, *args: object) -> Any:
        actor = next((arg for arg in args if isinstance(arg, Patient | Staff | System)), None)
        texts = [str(arg) if arg is actor else arg for arg in args]
        return await self._bulkheads.run(
            provider_id,
            lambda wait_seconds: self._ask(verb, provider_id, *texts, wait_seconds=wait_seconds),
            actor,
            is_newcomer=verb in _NEWCOMERS,
        )

    async def _ask(self, verb: str, provider_id: int, *args: object, wait_seconds: float | None = None) -> Any:
        try:
            row = await self._database.fetch_row(calls[verb], provider_id, *args, wait_seconds=wait_seconds)
        except OutcomeUnknown:
            self.changed(provider_id)  # perhaps it was
            raise
        assert row is not None
        return _noted(self._decode(verb, provider_id, row))

    def _decode(self, verb: str, provider_id: int, row: Record) -> Any:
        """Return what a verb did, or _SIGNED_OUT; count it, and tell of the change: its caller may have given up."""
        VERBS.add(verb, row["code"])
        if row["code"] == "signed_out":
            return _SIGNED_OUT
        outcome = outcome_of(row)
        # A refusal may have advanced the book, which is noticed soon; a refused rush must not wake all who wait.
        if not isinstance(outcome, Refused):
            self.changed(provider_id)
        return outcome

    async def _run_rush(self, provider_id: int, send: Callable[[float], Awaitable[T]]) -> T:
        return await self._bulkheads.run(provider_id, send, None, is_newcomer=True)

    async def _gather(self, request: Request) -> Any:
        """Return what a verb does that may go together with the calls of others."""
        until = asyncio.get_running_loop().time() + WAIT_SECONDS_MAX
        lane = self._lanes[request.verb]
        async with self._bulkheads.patient(request.actor, until):
            if request.refusable is not None and lane.would_wait(request.provider_id):
                early = await self._refuse_early(request, until)
                if early is not None:
                    return _noted(await self._told(request, early))
            call = Call(request.provider_id, request.patient_id, request.row, until, has_key=request.key is not None)
            try:
                outcome = await lane.ask(call)
                if outcome is None:
                    return await self._go_alone(request, lane, call)
            except OutcomeUnknown:
                self.changed(request.provider_id)  # perhaps it was
                raise
            finally:
                lane.leave(call)
        if outcome is _SIGNED_OUT:
            self._tokens.forget_token(request.token_hash)
            raise unknown_token()
        return _noted(await self._told(request, outcome))

    async def _told(self, request: Request, outcome: Any) -> Any:
        """Return an outcome; a refusal, before which some look at no token, only where it signs the patient in."""
        if isinstance(outcome, Refused) and request.token_hash is not None and request.patient_id is not None:
            await self._tokens.require(request.token_hash, request.patient_id)
        return outcome

    async def _refuse_early(self, request: Request, until: float) -> Any:
        """Return the refusal of a hold that needs no lock, or None where there is none; it waits for no other call."""
        number = next(self._numbers)  # in place of a book and a patient, since each of these calls may go at once
        # Asked again, it changes nothing either: so it may be, when an answer is lost.
        call = Call(number, number, request.refusable, until, has_key=True)
        try:
            return await self._refusals.ask(call)
        finally:
            self._refusals.leave(call)

    async def _go_alone(self, request: Request, lane: Lane, call: Call) -> Any:
        """Return what the single verb does, which may wait for locks; the later calls of its book wait meanwhile."""

        async def ask(wait_seconds: float) -> Any:
            if request.token_hash is not None and request.patient_id is not None:
                await self._tokens.require_afresh(request.token_hash, request.patient_id)
            return await self._ask(request.verb, request.provider_id, *request.args, wait_seconds=wait_seconds)

        try:
            return await self._bulkheads.run_for_patient(
                request.provider_id,
                ask,
                request.actor,
                call.until,
                is_newcomer=request.verb in _NEWCOMERS,
                let_others=lambda: lane.leave(call),
            )
        except (DatabaseBusy, DatabaseReadOnly, DatabaseUnreachable) as error:
            if call.is_unknown and not isinstance(error, OutcomeUnknown):
                raise OutcomeUnknown from error  # nothing was changed this time, but perhaps the first time
            raise

    async def _is_locked(self, lock: int) -> bool:
        """Look, without waiting, whether a provider's book, or with a minus a patient, is locked."""
        try:
            if lock > 0:
                return bool((await self._ask("advance", lock, True)).code == "busy")
            return bool(await self._database.fetch_value(queries.is_patient_locked, -lock))
        except DatabaseBusy:
            return True


def _noted(outcome: Any) -> Any:
    """Note for the request under way that something was changed, or count a refusal; return the outcome."""
    if not isinstance(outcome, Refused):
        note_change()
    elif outcome.code in outcomes.LIMITS:
        refused.count(outcome.code)
    return outcome
