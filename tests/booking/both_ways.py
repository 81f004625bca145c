"""Holds, confirms and joins by their plain case and by the full verb, and joins in a rush and one by one.

What one way would do, the other must do as well: one of them does it in a transaction that is rolled back, then the
other for good, and what they answer and write is compared.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from healthplus.accounts.actors import Patient
from healthplus.booking import calls, outcomes
from healthplus.booking.book import services_of
from healthplus.database import Database, Range
from tests.fixtures.races import rewrite

Written: TypeAlias = list[Any]
"""The rows, each with the name of its table."""

_PLAIN_FUNCTIONS = {
    "hold": ("booking.hold_plainly", 10),
    "confirm": ("booking.confirm_plainly", 7),
    "join_queue": ("booking.join_plainly", 10),
}
_PLAIN = {
    verb: f"SELECT {', '.join(outcomes.COLUMNS)} FROM {function}"
    f"({', '.join(f'${number + 1}' for number in range(count))})"
    for verb, (function, count) in _PLAIN_FUNCTIONS.items()
}
_BEFORE = """SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS transaction,
    coalesce((SELECT version FROM booking.book WHERE provider_id = $1), 0) AS version"""
_WRITTEN = """
SELECT coalesce(jsonb_agg(written ORDER BY written::text), '[]') FROM (
    SELECT 'book' AS of, to_jsonb(row) AS row FROM booking.book AS row WHERE provider_id = $1
    UNION ALL SELECT 'claim', to_jsonb(row) FROM booking.claim AS row WHERE patient_id = ANY ($2::bigint[])
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
    UNION ALL SELECT 'queue entry', to_jsonb(row) FROM booking.queue_entry AS row
        WHERE provider_id = $1 AND xmin::text::bigint >= $3
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
    for function, _ in _PLAIN_FUNCTIONS.values():
        await rewrite(db, function, ("\nBEGIN\n", f"\nBEGIN\n    {look}\n"))


async def count_together(db: Database) -> None:
    """Have public.together count how often several joins are written together, undone or not."""
    await db.execute("CREATE SEQUENCE public.together; GRANT USAGE ON SEQUENCE public.together TO PUBLIC")
    count = "PERFORM nextval('public.together') WHERE cardinality(p_windows) > 1;"
    await rewrite(db, "booking.put_plain_joins", ("\nBEGIN\n", f"\nBEGIN\n    {count}\n"))


@dataclass(frozen=True)
class Call:
    """A hold, a confirm or a join by a patient, as far as the plain case may do it."""

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
            asked = (provider, clinic, start, slots, more.get("service_ids") or None, patient, person)
            return Call(
                verb, provider, patient, (*asked, str(actor), key, None), (*asked, None, None, str(actor), key, None)
            )
    if verb == "join_queue" and isinstance(args[5], Patient):
        return join_of(provider, args, more)
    if verb == "confirm":
        booking_id, money, actor, key = [*args, None][:4]
        if isinstance(actor, Patient):
            return Call(
                verb,
                provider,
                actor.patient_id,
                (provider, booking_id, actor.patient_id, money, str(actor), key, None),
                (provider, booking_id, money, str(actor), key, None, None),
            )
    return None


def join_of(provider: int, args: list[Any], more: dict[str, Any]) -> Call:
    """Return the call that Book.join_queue makes."""
    clinic, start, end, slots, patient, actor, key = [*args, None][:7]
    window, whom = (provider, clinic, Range(start, end), slots), (patient, more.get("person_id"), str(actor), key)
    wanted, services = services_of(more.get("service_ids") or ())
    return Call("join_queue", provider, patient, (*window, services, *whom, None), (*window, wanted, *whom))


@dataclass
class Done:
    """What calls answered and wrote. No code: the plain case left it to the verb."""

    answers: list[dict[str, Any]]
    rows: Written

    def said(self) -> list[str]:
        """Return the answers and the rows as texts, without the ids that the database made up; of a refusal its code.

        What a rush refuses without the lock, it refuses by the rows as they were before, with what was free then.
        """
        answers = [answer if answer["state"] else answer["code"] for answer in self.answers]
        texts = [json.dumps(part, default=str, sort_keys=True) for part in [*answers, *self.rows]]
        events = [row["row"] for row in self.rows if row["of"] == "event"]
        made = [event["booking_id" if event["kind"] == "reserved" else "ticket_id"] for event in events
                if event["kind"] in ("reserved", "waiting")]  # fmt: skip
        for number, text in enumerate(texts):
            for one in made:
                texts[number] = texts[number].replace(one, "a new id") if one in text else texts[number]
        return texts

    def differs_from(self, other: Done) -> str:
        """Return what is not the same; an empty text where nothing is."""
        mine, theirs = Counter(self.said()), Counter(other.said())
        lines = [f"- {text}" for text in mine - theirs] + [f"+ {text}" for text in theirs - mine]
        return "\n".join(lines)


async def _undone(db: Database, whose: tuple[Any, ...], sql: str, args: tuple[Any, ...]) -> Done:
    """Return what a statement answers, in its order, and writes, and undo it."""
    with contextlib.suppress(_Undone):
        async with db.transaction() as transaction:
            rows = [dict(row) for row in await transaction.fetch(sql, *args)]
            done = Done(rows, await transaction.fetch_value(_WRITTEN, *whose))
            raise _Undone
    return done


def _as_row(answer: outcomes.Outcome) -> dict[str, Any]:
    return {name: getattr(answer, name, None) for name in outcomes.COLUMNS}


class Rush:
    """Compares joins of one queue in a rush, `try_it`, with the same calls one by one for real, `differences`."""

    def __init__(self, db: Database, asked: Sequence[Call]) -> None:
        self.db, self.asked = db, asked

    async def try_it(self) -> None:
        """Make the calls in a rush, and undo them."""
        provider = self.asked[0].provider
        before = await self.db.fetch_row(_BEFORE, provider)
        assert before
        self.whose = provider, [one.patient for one in self.asked], before["transaction"], before["version"], None
        columns = [list(column) for column in zip(*(one.plain[1:] for one in self.asked), strict=True)]
        sql = calls.calls["join_many"]
        self.together = await _undone(self.db, self.whose, sql, (provider, *columns))
        self.together.answers.sort(key=lambda answer: answer["ordinal"])
        self.together.answers = [{name: row[name] for name in outcomes.COLUMNS} for row in self.together.answers]

    async def differences(self, answers: Sequence[outcomes.Outcome]) -> str:
        """Return where both ways do not do the same."""
        done = Done([_as_row(answer) for answer in answers], await self.db.fetch_value(_WRITTEN, *self.whose))
        codes = [[answer["code"] for answer in way.answers] for way in (self.together, done)]
        books = [next(row["row"] for row in way.rows if row["of"] == "book") for way in (self.together, done)]
        # Either way may advance the book once more, for a call that is then refused. A rush has seen without the lock
        # that there is nothing to wait for; one by one, there may be an offer that the call before has led to.
        for one, other in (books, books[::-1]):
            if other["served_version"] is None:
                one.update(served_version=None, served_at=other["served_at"])
        return self.together.differs_from(done) or ("" if codes[0] == codes[1] else f"{codes}")


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
            self.call.provider, [self.call.patient], before["transaction"], before["version"], self.call.booking_id
        )  # fmt: skip
        untouched = await self.db.fetch_value(_WRITTEN, *self.whose)
        plain = await _undone(self.db, self.whose, _PLAIN[self.call.verb], self.call.plain)
        if plain.answers[0]["code"] is None:
            return Done(plain.answers, untouched).differs_from(plain)
        await self.db.execute("UPDATE public.plain_case SET is_on = false")
        self.one = plain
        if not is_plain_first:
            self.one = await _undone(self.db, self.whose, calls.calls[self.call.verb], self.call.full)
            await self.db.execute("UPDATE public.plain_case SET is_on = true")
        return ""

    async def differences(self, answer: outcomes.Outcome) -> str:
        """Return where both ways do not do the same, once the other has been done for real."""
        assert self.one
        await self.db.execute("UPDATE public.plain_case SET is_on = true")
        return self.one.differs_from(Done([_as_row(answer)], await self.db.fetch_value(_WRITTEN, *self.whose)))
