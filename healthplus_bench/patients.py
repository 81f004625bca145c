"""Load by patients who are careful clients: an answer is noted as a promise, a lost connection means "perhaps"."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from healthplus.booking.book import CLIENT_MARGIN
from healthplus.database import Database, load
from healthplus.errors import DatabaseUnreachable
from healthplus_bench.client import Connection, connect, delete, get, post
from healthplus_bench.environment import SLOT_TIME, Environment, clinic_of
from healthplus_bench.promises import DONE, Asked, Join, Operation, Promises

queries = load(Path(__file__).with_name("faults.sql"))

SLOTS = 4
"""Few enough that most who come must wait."""
PROVIDERS = 3
"""The first ones, among which patients choose."""
PATIENCE = 12
"""Answers to polls before a patient who waits leaves."""
_LOOK_SECONDS = 60
"""How long after a payment of an unknown outcome a patient looks for what it may have booked."""
_NOTHING_DONE = ("busy", "read_only", "database_unreachable", "overloaded", "disk_full", "draining")
"""What a 503 may say that tells for certain that nothing was changed."""


@dataclass(frozen=True)
class Faulty:
    """What patients do who are to meet faults, where holds and offers last `hold_seconds` and `offer_seconds`.

    They give up an answer after `answer_seconds_max`, that to a poll after `poll_seconds_max`, and ask again. Some
    pay just after their time, let offers go, ask again for what they were answered before, and look for what nobody
    told them.
    """

    hold_seconds: float
    offer_seconds: float
    answer_seconds_max: float = 8.0
    poll_seconds_max: float = 40.0
    late_share: float = 0.03
    forget_share: float = 0.04
    repeat_share: float = 0.1


class Patient:
    """Books again and again, for a while: holds, waits, pays, gives back, lets go; rests `rest_seconds_max` at most."""

    def __init__(
        self,
        environment: Environment,
        port: int,
        patient_id: int,
        promises: Promises,
        faulty: Faulty | None = None,
        rest_seconds_max: float = 0.05,
    ) -> None:
        self._environment = environment
        self._port = port
        self._patient_id = patient_id
        self._token = environment.token(patient_id)
        self._draw = Random(patient_id)  # noqa: S311
        self._promises = promises
        self._faulty = faulty
        self._rest_seconds_max = rest_seconds_max
        self._connection: Connection | None = None
        self._over = asyncio.Event()
        self._keys = 0
        self._tries = self._tries_lost = 0
        self._unsure: list[Operation] = []
        """Payments that may have been made although they were refused in the end."""

    def key(self) -> str:
        self._keys += 1
        return f"{self._patient_id}-{self._keys}"

    async def ask(self, raw: bytes, *, is_poll: bool = False) -> tuple[int, dict[str, Any]]:
        """Ask until there is an answer: the same request under the same key has one effect."""
        seconds_max = None
        if self._faulty is not None:
            seconds_max = self._faulty.poll_seconds_max if is_poll else self._faulty.answer_seconds_max
        self._tries = self._tries_lost = 0
        while True:
            is_sent = False
            self._tries += 1
            try:
                if self._connection is not None and not self._connection.is_open:
                    self._promises.lost += 1
                    self._connection = None
                if self._connection is None:
                    self._connection = await connect(self._port)
                is_sent = True
                answer = await self._connection.request(raw, seconds_max)
            except (OSError, RuntimeError):
                self._promises.lost += 1
                self._tries_lost += is_sent
                self._connection = None
                await asyncio.sleep(0.05)
                continue
            self._promises.answers[answer.status] += 1
            document = msgspec.json.decode(answer.body)
            if answer.status >= 500 and document.get("code") not in _NOTHING_DONE:
                self._tries_lost += 1
            if answer.status == 503:
                await asyncio.sleep(0.1)
                continue
            return answer.status, document

    async def do(
        self,
        asked: Asked,
        provider_id: int,
        raw: bytes,
        start: datetime | None = None,
        booking_id: str = "",
    ) -> tuple[Operation, Any]:
        """Ask for something, and note what came of it; return that with the answer's document."""
        sent = time.monotonic()
        status, answer = await self.ask(raw, is_poll=asked == "poll")
        is_done = status < 300
        if not is_done and asked == "pay":  # the money of any try may book the hold yet, as the gateway knows of it
            self._tries_lost = self._tries - 1
        made = booking_id
        if is_done and asked in ("hold", "accept", "pay"):
            made, start = answer["id"], datetime.fromisoformat(answer["start"])
        operation = Operation(
            self._patient_id, asked, provider_id, sent, time.monotonic(),
            DONE if is_done else answer.get("code", str(status)), start, made, booking_id, self._tries_lost,
            self._until(answer) if is_done and asked in ("hold", "accept") else None,
        )  # fmt: skip
        self._note(operation)
        return operation, answer

    def _note(self, operation: Operation) -> None:
        self._promises.operations.append(operation)
        if operation.changes and operation.is_done:
            self._promises.acknowledged_to = max(self._promises.acknowledged_to, operation.sent)

    def _until(self, hold: Any) -> float | None:
        """Return when a hold ends, by the server, which grants more than it says."""
        if "expires_at" not in hold:
            return None
        return self._promises.seconds_of(hold["expires_at"]) + CLIENT_MARGIN.total_seconds()

    async def live(self, over: asyncio.Event) -> None:
        self._over = over
        while not over.is_set():
            await self.try_once(self._draw.randint(1, PROVIDERS))
            await asyncio.sleep(self._draw.uniform(0, self._rest_seconds_max))
        if self._connection is not None:
            self._connection.close()

    async def try_once(self, provider_id: int) -> None:
        start = self._environment.start_of(self._draw.randrange(SLOTS))
        wanted = {"clinic_id": clinic_of(provider_id), "start": start}
        raw = post(f"/providers/{provider_id}/holds", self._token, self.key(), wanted)
        held, answer = await self.do("hold", provider_id, raw, start)
        if held.is_done:
            self._promises.events.append((provider_id, "reserved", held.booking_id))
            await self.use(held)
            if self._faulty and self._draw.random() < self._faulty.repeat_share:
                await self._repeat(held, raw)
        elif answer["code"] == "slot_held":
            await self.wait(provider_id)
        elif answer["code"] == "claimed":
            await asyncio.sleep(1 if self._faulty else 0.3)
        if self._unsure and self._unsure[-1].sent > time.monotonic() - _LOOK_SECONDS:
            await self._look()

    async def use(self, held: Operation) -> None:
        """Pay and perhaps cancel, or give back, or forget."""
        late_share, forget_share = (self._faulty.late_share, self._faulty.forget_share) if self._faulty else (0, 0.2)
        what = self._draw.random()
        if what < 0.5:
            await self._pay(held)
        elif what < 0.5 + late_share:
            if held.until is not None:
                await asyncio.sleep(max(0.0, held.until - time.monotonic() + self._draw.uniform(0.1, 0.5)))
            await self._pay(held)
        elif what < 1 - forget_share:
            path = f"/providers/{held.provider_id}/holds/{held.booking_id}"
            released, _ = await self.do(
                "release", held.provider_id, delete(path, self._token, self.key()), held.start, held.booking_id
            )
            if released.is_done:
                self._promises.events.append((held.provider_id, "released", held.booking_id))

    async def _pay(self, held: Operation) -> None:
        """Pay for a hold, and cancel what that has booked, so that others have something."""
        path = f"/providers/{held.provider_id}/holds/{held.booking_id}/payment"
        raw = post(path, self._token, self.key(), {"method": "sandbox-ok"})
        paid, _ = await self.do("pay", held.provider_id, raw, held.start, held.booking_id)
        if paid.is_done:
            self._promises.events.append((held.provider_id, "booked", paid.booking_id))
            await self._cancel(paid)
        elif paid.tries_lost:
            self._unsure.append(paid)

    async def _cancel(self, booked: Operation) -> None:
        path = f"/providers/{booked.provider_id}/appointments/{booked.booking_id}"
        cancelled, _ = await self.do(
            "cancel", booked.provider_id, delete(path, self._token, self.key()), booked.start, booked.booking_id
        )
        if cancelled.is_done:
            self._promises.events.append((booked.provider_id, "cancelled", booked.booking_id))

    async def _look(self) -> None:
        """Look whether a payment of an unknown outcome has booked anything, and cancel that."""
        looked, appointments = await self.do("look", 0, get("/appointments", self._token))
        if not looked.is_done:
            return
        for shown in appointments:
            if shown["state"] != "booked":
                continue
            start = datetime.fromisoformat(shown["start"])
            asked = [one for one in self._unsure if (one.provider_id, one.start) == (shown["provider_id"], start)]
            asked.sort(key=lambda one: (one.hold_id != shown["id"], one.sent))
            if not asked:
                self._promises.doubled.append(f"patient {self._patient_id} has booking {shown['id']}, never asked for")
                continue
            found = Operation(
                self._patient_id, "found", shown["provider_id"], asked[0].sent, looked.answered, DONE, start,
                shown["id"], asked[0].hold_id,
            )  # fmt: skip
            self._note(found)
            await self._cancel(found)

    async def _repeat(self, held: Operation, raw: bytes) -> None:
        """Ask again for a hold that was made: whatever became of it, the answer is the same."""
        repeated, answer = await self.do("repeat", held.provider_id, raw, held.start)
        if not repeated.is_done or answer["id"] != held.booking_id:
            self._promises.doubled.append(f"hold {held.booking_id} was asked for again, and the answer was {answer}")

    async def wait(self, provider_id: int) -> None:
        wanted = {
            "clinic_id": clinic_of(provider_id),
            "from": self._environment.start_of(0),
            "to": self._environment.start_of(SLOTS - 1) + SLOT_TIME,
        }
        raw = post(f"/providers/{provider_id}/waits", self._token, self.key(), wanted)
        joined, answer = await self.do("join", provider_id, raw)
        if not joined.is_done:
            if self._faulty:
                await asyncio.sleep(0.5)
            return
        wait, seen = answer["id"], joined
        self._promises.joins.append(Join(provider_id, wait, answer["number"], joined.sent, joined.answered))
        self._promises.events.append((provider_id, "waiting", wait))
        path = f"/providers/{provider_id}/waits/{wait}"
        for _ in range(PATIENCE):
            if answer["state"] not in ("waiting", "called") or self._over.is_set():
                break
            if answer["state"] == "called" and not answer["call"]["answered"]:
                await self.do("answer", provider_id, post(f"{path}/answer", self._token, self.key(), {}))
            seen, answer = await self.do("poll", provider_id, get(f"{path}?after={answer['version']}", self._token))
            if not seen.is_done:  # its ticket is lost, which shows where it is looked for afterwards
                return
        if answer["state"] == "offered":
            await self._be_offered(joined, seen, answer["offer"], path)
        elif answer["state"] == "accepted":
            await self._have_won(joined, seen, answer["hold_url"], path)
        elif answer["state"] in ("waiting", "called"):
            await self._leave(provider_id, path)

    async def _be_offered(self, joined: Operation, seen: Operation, offer: Any, path: str) -> None:
        """Accept what is offered, or leave, or let it go."""
        provider_id, wait = joined.provider_id, path.rpartition("/")[2]
        offered = self._told("offer", joined, seen, offer, self._faulty.offer_seconds if self._faulty else None)
        self._note(offered)
        self._promises.events.append((provider_id, "offered", wait))
        what = self._draw.random() if self._faulty else 1.0
        if what < 0.02:
            return
        if what < 0.1:
            await self._leave(provider_id, path, offered.start, offered.booking_id)
            return
        raw = post(f"{path}/accept", self._token, self.key(), {})
        accepted, _ = await self.do("accept", provider_id, raw, offered.start, offered.booking_id)
        if accepted.is_done:
            self._promises.events.append((provider_id, "accepted", wait))
            await self.use(accepted)

    async def _have_won(self, joined: Operation, seen: Operation, hold_url: str, path: str) -> None:
        """Use a time that several were called for."""
        self._promises.events.append((joined.provider_id, "accepted", path.rpartition("/")[2]))
        looked, hold = await self.do("look", joined.provider_id, get(hold_url.removeprefix("/api/v1"), self._token))
        if looked.is_done and hold["state"] == "reserved":  # else it has ended since, and was nobody else's meanwhile
            hold["hold_id"] = hold["id"]
            won = self._told("won", joined, seen, hold, self._faulty.hold_seconds if self._faulty else None)
            self._note(won)
            await self.use(won)

    def _told(
        self, asked: Asked, joined: Operation, seen: Operation, hold: Any, lasts_seconds: float | None
    ) -> Operation:
        """Return that the queue has given a hold, made between joining and when that was seen.

        Nobody is told when it was made, but for how long, where that is known: so it was made so long before its end.
        """
        until = self._until(hold)
        assert until is not None
        made = joined.sent if lasts_seconds is None else max(joined.sent, until - lasts_seconds - 0.1)
        start = datetime.fromisoformat(hold["start"])
        return Operation(
            self._patient_id, asked, joined.provider_id, made, seen.answered, DONE, start, hold["hold_id"], until=until
        )

    async def _leave(self, provider_id: int, path: str, start: datetime | None = None, offered_id: str = "") -> None:
        left, _ = await self.do("leave", provider_id, delete(path, self._token, self.key()), start, offered_id)
        if left.is_done:
            self._promises.events.append((provider_id, "left", path.rpartition("/")[2]))


async def hurry(database: Database, providers: int = 3) -> None:
    """Have some live holds with the first providers run out in a moment rather than in minutes.

    What came to nothing is forgotten: a few patients make holds as often as many do, who would not come to the limits
    of one account.
    """
    while True:
        await asyncio.sleep(0.3)
        with contextlib.suppress(DatabaseUnreachable):
            await database.execute(
                """WITH head AS (
                    SELECT provider_id FROM booking.book WHERE provider_id <= $1 FOR UPDATE SKIP LOCKED
                ), hurried AS (
                    UPDATE booking.booking SET deadline = public.app_now() + interval '700 milliseconds'
                    FROM head
                    WHERE booking.provider_id = head.provider_id AND state = 'reserved'
                        AND deadline > public.app_now() + interval '5 seconds'
                        AND created_at < public.app_now() - interval '1 second'
                    RETURNING booking.provider_id, deadline
                )
                UPDATE booking.book SET next_due = least(next_due, first_due)
                FROM (SELECT provider_id, min(deadline) AS first_due FROM hurried GROUP BY provider_id) AS due
                WHERE book.provider_id = due.provider_id""",
                providers,
            )
            await database.execute(queries.forget_spent)
