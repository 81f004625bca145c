"""Holds and confirms by their plain case and by the full verb: what either would do, the other must do as well.

One of them does it in a transaction that is rolled back, then the other for good, and what they answer and write is
compared.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import Any, TypeAlias

from healthplus.accounts.actors import Patient
from healthplus.booking import calls, outcomes
from healthplus.database import Database
from tests.fixtures.races import rewrite

Written: TypeAlias = list[Any]
"""The rows, each with the name of its table."""

_PARAMETERS = {"hold": 8, "confirm": 7}
_PLAIN = {
    verb: f"SELECT {', '.join(outcomes.COLUMNS)} FROM booking.{verb}_plainly"
    f"({', '.join(f'${number + 1}' for number in range(count))})"
    for verb, count in _PARAMETERS.items()
}
_BEFORE = """SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS transaction,
    coalesce((SELECT version FROM booking.book WHERE provider_id = $1), 0) AS version"""
_WRITTEN = """
SELECT coalesce(jsonb_agg(written ORDER BY written::text), '[]') FROM (
    SELECT 'book' AS of, to_jsonb(row) AS row FROM booking.book AS row WHERE provider_id = $1
    UNION ALL SELECT 'claim', to_jsonb(row) FROM booking.claim AS row WHERE patient_id = $2
    UNION ALL SELECT 'scarce day', to_jsonb(row) FROM booking.scarce_day AS row WHERE provider_id = $1
    UNION ALL SELECT 'booking', to_jsonb(row) FROM booking.booking AS row
        WHERE provider_id = $1 AND xmin::text::bigint >= $3
    UNION ALL SELECT 'ticket', to_jsonb(row) FROM booking.ticket AS row
        WHERE provider_id = $1 AND xmin::text::bigint >= $3
    UNION ALL SELECT 'result', to_jsonb(row) FROM booking.idempotency AS row
        WHERE provider_id = $1 AND xmin::text::bigint >= $3
    UNION ALL SELECT 'replacement', to_jsonb(row) FROM booking.replacement AS row
        WHERE provider_id = $1 AND xmin::text::bigint >= $3
    UNION ALL SELECT 'notice', to_jsonb(row) - 'notice_id' FROM notices.notice AS row
        WHERE provider_id = $1 AND xmin::text::bigint >= $3
    UNION ALL SELECT 'event', to_jsonb(row) FROM booking.event AS row WHERE provider_id = $1 AND seq > $4
    UNION ALL SELECT 'payment', to_jsonb(row) FROM ledger.payment AS row WHERE provider_id = $1 AND hold_id = $5
    UNION ALL SELECT 'ledger entry', to_jsonb(row) FROM ledger.entry AS row WHERE provider_id = $1 AND hold_id = $5
) AS written"""


class _Undone(Exception):
    """Rolls a transaction back."""


async def make_switch(db: Database) -> None:
    """Have the plain case be on only while public.plain_case says so."""
    await db.execute("CREATE TABLE public.plain_case (is_on boolean NOT NULL)")
    await db.execute("GRANT SELECT ON public.plain_case TO PUBLIC; INSERT INTO public.plain_case VALUES (true)")
    look = "IF NOT (SELECT is_on FROM public.plain_case) THEN RETURN NULL; END IF;"
    for verb in _PARAMETERS:
        await rewrite(db, f"booking.{verb}_plainly", ("\nBEGIN\n", f"\nBEGIN\n    {look}\n"))


@dataclass(frozen=True)
class Call:
    """A hold or a confirm by a patient, as far as the plain case may do it."""

    verb: str
    provider: int
    patient: int
    plain: tuple[Any, ...]
    full: tuple[Any, ...]

    @property
    def booking_id(self) -> str | None:
        """Return what a confirm books."""
        return str(self.plain[1]) if self.verb == "confirm" else None


def call_of(verb: str, provider: int, args: list[Any], more: dict[str, Any]) -> Call | None:
    """Return the call that a method of Book makes, if the verb tries the plain case for it."""
    if verb == "hold" and not more.get("instead_of") and not more.get("reason"):
        clinic, start, slots, patient, actor, key = [*args, None][:6]
        person = more.get("person_id")
        if isinstance(actor, Patient):
            asked = (provider, clinic, start, slots, patient, person)
            return Call(verb, provider, patient, (*asked, str(actor), key), (*asked, None, None, str(actor), key, None))
    if verb == "confirm":
        booking_id, money, actor, key = [*args, None][:4]
        if isinstance(actor, Patient):
            return Call(
                verb,
                provider,
                actor.patient_id,
                (provider, booking_id, actor.patient_id, money, str(actor), key, None),
                (provider, booking_id, money, str(actor), key, None),
            )
    return None


@dataclass
class Done:
    """What a call answered and wrote. No code: the plain case left it to the verb."""

    answer: dict[str, Any]
    rows: Written

    def said(self) -> list[str]:
        """Return the answer and the rows as texts, without the id that the database made up for a hold."""
        made = str(self.answer["booking_id"])
        return [
            json.dumps(part, default=str, sort_keys=True).replace(made, "its id") for part in [self.answer, *self.rows]
        ]

    def differs_from(self, other: Done) -> str:
        """Return what is not the same; an empty text where nothing is."""
        mine, theirs = self.said(), other.said()
        lines = [f"- {text}" for text in mine if text not in theirs] + [f"+ {x}" for x in theirs if x not in mine]
        return "\n".join(lines)


class BothWays:
    """Compares both ways of one call: first `try_one`, then the call for real, then `differences`."""

    def __init__(self, db: Database, call: Call) -> None:
        self.db, self.call = db, call
        self.one: Done | None = None

    async def try_one(self, *, is_plain_first: bool) -> str:
        """Make the call in one way, and undo it; have the other be what is done next.

        Return what the plain case has written where it left the call to the verb, which must be nothing.
        """
        before = await self.db.fetch_row(_BEFORE, self.call.provider)
        assert before
        self.whose = (
            self.call.provider, self.call.patient, before["transaction"], before["version"], self.call.booking_id
        )  # fmt: skip
        untouched = await self.db.fetch_value(_WRITTEN, *self.whose)
        plain = await self._undone(_PLAIN[self.call.verb], self.call.plain)
        if plain.answer["code"] is None:
            return Done(plain.answer, untouched).differs_from(plain)
        await self.db.execute("UPDATE public.plain_case SET is_on = false")
        self.one = plain
        if not is_plain_first:
            self.one = await self._undone(calls.calls[self.call.verb], self.call.full)
            await self.db.execute("UPDATE public.plain_case SET is_on = true")
        return ""

    async def _undone(self, sql: str, args: tuple[Any, ...]) -> Done:
        with contextlib.suppress(_Undone):
            async with self.db.transaction() as transaction:
                row = await transaction.fetch_row(sql, *args)
                assert row
                done = Done(dict(row), await transaction.fetch_value(_WRITTEN, *self.whose))
                raise _Undone
        return done

    async def differences(self, answer: outcomes.Outcome) -> str:
        """Return where both ways do not do the same, once the other has been done for real."""
        assert self.one
        await self.db.execute("UPDATE public.plain_case SET is_on = true")
        said = {name: getattr(answer, name, None) for name in outcomes.COLUMNS}
        return self.one.differs_from(Done(said, await self.db.fetch_value(_WRITTEN, *self.whose)))
