"""An appointment is moved to another provider: the new one is booked first, and the old one surely cancelled."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from healthplus.accounts.actors import Patient, Staff
from healthplus.booking.book import Book
from healthplus.booking.replacements import cancel_replaced, keep_cancelling_replaced
from healthplus.database import Database
from healthplus.errors import DatabaseBusy, DatabaseUnreachable
from healthplus.ops.check import violations
from tests.fixtures.clock import until
from tests.fixtures.environment import AT_CLINIC, ONLINE, OTHER_PROVIDER, PROVIDER, Environment
from tests.fixtures.races import rewrite


async def state(environment: Environment, booking_id: UUID) -> str:
    sql = "SELECT state::text FROM booking.booking WHERE booking_id = $1"
    return str(await environment.db.fetch_value(sql, booking_id))


@pytest.fixture
async def old(environment: Environment) -> UUID:
    """Asha's appointment at one provider."""
    held = await environment.held(AT_CLINIC, 13)
    assert (await environment.book.confirm(PROVIDER, held, None, environment.actor("asha"))).code == "booked"
    return held


async def hold_instead(environment: Environment, old: UUID, name: str = "asha") -> str:
    outcome = await environment.book.hold(
        OTHER_PROVIDER, AT_CLINIC, environment.instant(13), 1, environment.ids[name], environment.actor(name),
        instead_of=(PROVIDER, old),
    )  # fmt: skip
    return str(outcome.booking_id) if outcome.code == "reserved" else outcome.code


async def confirm(environment: Environment, new: str) -> None:
    outcome = await environment.book.confirm(OTHER_PROVIDER, UUID(new), None, environment.actor("asha"))
    assert outcome.code == "booked"


async def test_the_old_one_stays_until_the_new_one_is_booked(environment: Environment, old: UUID) -> None:
    overlapping = await environment.hold(environment.instant(13), AT_CLINIC, provider_id=OTHER_PROVIDER)
    assert (overlapping.code, overlapping.provider_id, overlapping.booking_id) == ("overlap", PROVIDER, old)  # type: ignore[union-attr]
    new = await hold_instead(environment, old)
    await cancel_replaced(environment.db, environment.book)
    assert await state(environment, old) == "booked"
    await confirm(environment, new)
    await cancel_replaced(environment.db, environment.book)
    assert (await state(environment, old), await state(environment, UUID(new))) == ("cancelled", "booked")
    cancelled = "SELECT actor FROM booking.event WHERE kind = 'cancelled'"
    assert await environment.db.fetch_value(cancelled) == "system:replacement"


async def test_a_hold_that_runs_out_replaces_nothing(environment: Environment, old: UUID) -> None:
    assert await hold_instead(environment, old)
    await environment.pass_time(seconds=305)
    await cancel_replaced(environment.db, environment.book)
    assert await state(environment, old) == "booked"


async def test_only_ones_own_and_what_is_booked_is_replaced(environment: Environment, old: UUID) -> None:
    assert await hold_instead(environment, old, "bina") == "not_found"
    child = await environment.person("asha")
    outcome = await environment.book.hold(
        OTHER_PROVIDER, AT_CLINIC, environment.instant(13), 1, environment.ids["asha"], environment.actor("asha"),
        person_id=child, instead_of=(PROVIDER, old),
    )  # fmt: skip
    assert outcome.code == "not_found"
    assert (await environment.book.cancel(PROVIDER, old, environment.actor("asha"))).code == "cancelled"
    assert await hold_instead(environment, old) == "not_found"


async def test_for_another_person_nothing_is_replaced(environment: Environment, old: UUID) -> None:
    new = await hold_instead(environment, old)
    child = await environment.person("asha")
    chosen = await environment.book.choose_person(OTHER_PROVIDER, UUID(new), child, environment.actor("asha"))
    assert chosen.code == "named"
    await confirm(environment, new)
    await cancel_replaced(environment.db, environment.book)
    assert await state(environment, old) == "booked"


@pytest.mark.parametrize(
    ("guarded", "code"), [(True, "overlap"), pytest.param(False, "booked", marks=pytest.mark.breaks_invariants)]
)
async def test_what_has_begun_meanwhile_is_in_the_way(
    environment: Environment, old: UUID, guarded: bool, code: str
) -> None:
    if not guarded:
        await rewrite(environment.db, "booking.confirm", ("answer := booking.refuse_ahead(held, true, now_at)", "NULL"))
    new = UUID(await hold_instead(environment, old))
    assert (await environment.book.attend(PROVIDER, old, "arrived", Staff(1))).code == "arrived"
    outcome = await environment.book.confirm(OTHER_PROVIDER, new, None, environment.actor("asha"))
    assert outcome.code == code
    assert await environment.db.fetch_value("SELECT count(*) FROM booking.replacement") == 0
    assert await state(environment, new) == ("reserved" if guarded else "booked")


async def test_what_was_cancelled_meanwhile_is_not_replaced(environment: Environment, old: UUID) -> None:
    new = await hold_instead(environment, old)
    assert (await environment.book.cancel(PROVIDER, old, Staff(1))).code == "cancelled"
    await confirm(environment, new)
    assert await environment.db.fetch_value("SELECT count(*) FROM booking.replacement") == 0


class Dying(Book):
    """A book whose process dies before or after it has cancelled."""

    dies_after = False

    async def cancel(self, *args: object, **more: object) -> object:  # type: ignore[override]
        if self.dies_after:
            await super().cancel(*args, **more)  # type: ignore[arg-type]
        raise DatabaseUnreachable


@pytest.mark.parametrize("dies_after", [False, True])
async def test_whenever_a_process_dies_the_old_one_is_cancelled_once(
    environment: Environment, old: UUID, dies_after: bool
) -> None:
    await confirm(environment, await hold_instead(environment, old))
    dying = Dying(environment.db)
    dying.dies_after = dies_after
    with pytest.raises(DatabaseUnreachable):
        await cancel_replaced(environment.db, dying)
    assert await environment.db.fetch_value("SELECT count(*) FROM booking.replacement") == 1
    await asyncio.gather(*(cancel_replaced(environment.db, environment.book) for _ in range(4)))
    assert await state(environment, old) == "cancelled"
    events = "SELECT count(*) FROM booking.event WHERE kind = 'cancelled'"
    assert await environment.db.fetch_value(events) == 1
    assert await environment.db.fetch_value("SELECT count(*) FROM booking.replacement") == 0


class Locked(Book):
    """The book of `locked` cannot be had."""

    locked = 0

    async def cancel(self, provider_id: int, *args: object, **more: object) -> object:  # type: ignore[override]
        if provider_id == self.locked:
            raise DatabaseBusy
        return await super().cancel(provider_id, *args, **more)  # type: ignore[arg-type]


async def test_a_locked_book_does_not_keep_others_waiting(environment: Environment, old: UUID) -> None:
    await environment.db.execute(
        """
        INSERT INTO booking.replacement (provider_id, booking_id, replaced_provider_id, replaced_id, due_at)
        VALUES ($1, gen_random_uuid(), $1, gen_random_uuid(), '-infinity')
        """,
        OTHER_PROVIDER,
    )
    await confirm(environment, await hold_instead(environment, old))
    book = Locked(environment.db)
    book.locked = OTHER_PROVIDER
    await cancel_replaced(environment.db, book)
    assert await state(environment, old) == "cancelled"
    assert await environment.db.fetch_value("SELECT count(*) FROM booking.replacement") == 1
    await cancel_replaced(environment.db, environment.book)
    assert await environment.db.fetch_value("SELECT count(*) FROM booking.replacement") == 0


async def test_check_finds_what_is_not_cancelled(environment: Environment, old: UUID) -> None:
    await confirm(environment, await hold_instead(environment, old))
    await environment.pass_time(minutes=5, seconds=1)
    assert {one.invariant for one in await violations(environment.db)} == {"replaced_are_cancelled"}
    task = asyncio.create_task(keep_cancelling_replaced(environment.db, environment.book))

    async def is_done() -> bool:
        return not await environment.db.fetch_value("SELECT EXISTS (SELECT FROM booking.replacement)")

    await until(is_done)
    task.cancel()
    assert await state(environment, old) == "cancelled"
    assert await violations(environment.db) == []


async def test_one_that_has_begun_is_not_cancelled(environment: Environment, old: UUID) -> None:
    new = await hold_instead(environment, old)
    await confirm(environment, new)
    await environment.pass_until(environment.instant(13, 1))
    await cancel_replaced(environment.db, environment.book)
    assert await state(environment, old) == "booked"
    assert await environment.db.fetch_value("SELECT count(*) FROM booking.replacement") == 0
    await environment.book.attend(PROVIDER, old, "no_show", Staff(1))  # or the person would be at two places


async def test_the_desk_goes_beyond_with_a_reason(environment: Environment, db: Database) -> None:
    asha = environment.ids["asha"]
    await environment.book.confirm(PROVIDER, await environment.held(ONLINE, 9), "money", environment.actor("asha"))
    start = environment.instant(9) + timedelta(minutes=30)
    args = (PROVIDER, ONLINE, start, 1, asha)
    assert (await environment.book.hold(*args, Staff(1))).code == "same_day"
    assert (await environment.book.hold(*args, Patient(asha), reason="please")).code == "same_day"
    held = await environment.book.hold(*args, Staff(1), reason="fracture, x-ray first")
    assert held.code == "reserved"
    reason = "SELECT reason FROM booking.event WHERE booking_id = $1 AND kind = 'reserved'"
    assert await db.fetch_value(reason, held.booking_id) == "beyond"  # no word of the desk's: events are kept for good
    assert held.booking_id
    assert (await environment.book.confirm(PROVIDER, held.booking_id, "more", Staff(1))).code == "booked"
    back = environment.instant(10)
    assert (await environment.book.reschedule(PROVIDER, held.booking_id, back, Patient(asha))).code == "same_day"
    assert (await environment.book.reschedule(PROVIDER, held.booking_id, back, Staff(1), reason="x")).code == "moved"
