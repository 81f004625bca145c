"""The rule "a hold past its deadline has expired" stands in one function, which the planner inlines everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import healthplus
from healthplus.booking.calls import queries
from healthplus.database import Database

PACKAGE = Path(healthplus.__file__).parent
DUE = """SELECT booking.* FROM booking.reserved(1) JOIN booking.booking USING (provider_id, booking_id)
WHERE booking.is_due(booking, $1)"""

COMPARISONS = {
    ("booking/functions/verbs/release.sql", "target.deadline > now_at"): "how long ago a booking was held",
    ("booking/functions/core/states.sql", "p_booking.deadline <= p_now"): "the rule itself",
    ("web/pages/appointments.sql", "deadline > now_at"): "how long ago a hold ran out that state_at says has expired",
    ("monitoring/queries.sql", "deadline > now_at"): "a count of live holds, by which nothing is decided",
    ("healthplus_bench/patients.py", "deadline > public.app_now("): "holds with so much time left that it can be cut",
    ("healthplus_bench/promises.py", "deadline < ("): "what ought to have ended, whatever the product says of it",
}
"""What compares a deadline, and why."""

_COMPARED = re.compile(
    r"""[\w.]*\bdeadline\b"?\)*(?:\s*[-+][^,;<>]{0,40}?)?\s*(?:[<>]|(?:NOT\s+)?BETWEEN\b)=?\s*[\w.$(]*"""
    r"""|\S*\s*(?<!-)[<>]=?\s*(?:\w+\()?(?:\w+\.)*"?deadline\b""",
    re.IGNORECASE,
)


async def plan_of(db: Database, sql: str) -> str:
    async with db.transaction() as transaction:
        await transaction.execute("SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_generic_plan")
        await transaction.execute(f"PREPARE probe (timestamptz) AS {sql}")
        try:
            rows = await transaction.fetch("EXPLAIN (VERBOSE) EXECUTE probe ('2099-01-01')")
        finally:
            await transaction.execute("DEALLOCATE probe")
    return "\n".join(row[0] for row in rows)


async def test_what_is_due_in_a_book_is_found_among_its_coming_times(db: Database) -> None:
    plan = await plan_of(db, DUE)
    assert re.search(r"booking_overlap.*Index Cond: .*during\)::tstzrange && tstzrange\(", plan, re.DOTALL)
    assert "is_due" not in plan


@pytest.mark.parametrize("name", ["due_providers", "head_deadline"])
async def test_the_books_where_something_is_due_are_found_by_an_index(db: Database, name: str) -> None:
    assert "using book_next_due " in await plan_of(db, queries[name])


async def test_the_state_at_an_instant_is_inlined(db: Database) -> None:
    plan = await plan_of(db, "SELECT booking.state_at(booking, $1) FROM booking.booking WHERE provider_id = 1")
    assert "CASE WHEN" in plan
    assert "state_at" not in plan
    assert "is_due" not in plan


def comparisons(text: str) -> list[str]:
    """Return what compares a deadline, in either order, with spaces for line ends."""
    return [" ".join(match[0].split()) for match in _COMPARED.finditer(re.sub(r"--.*", "", text))]


def test_no_other_code_compares_deadlines() -> None:
    """A read that compares a deadline with a time by itself would be a second place for the rule."""
    found = [
        (path.relative_to(PACKAGE.parent).as_posix().removeprefix("healthplus/"), comparison)
        for path in PACKAGE.parent.glob("healthplus*/**/*")
        if path.suffix in (".sql", ".py") and "migrations" not in path.parts
        for comparison in comparisons(path.read_text("utf-8"))
    ]
    assert sorted(found) == sorted(COMPARISONS)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("held.deadline > (SELECT public.app_now())", "held.deadline > (SELECT"),
        ("WHERE booking.deadline -- of a hold\n <= now_at AND state = 'reserved'", "booking.deadline <= now_at"),
        ("now_at\n  >= deadline AND\n state = 'reserved'", "now_at >= deadline"),
        ("deadline - interval '5 seconds' < $1", "deadline - interval '5 seconds' < $1"),
        ("(SELECT app_now()) >= min(held.deadline)", "app_now()) >= min(held.deadline"),
        ("deadline NOT BETWEEN $1 AND $2", "deadline NOT BETWEEN $1"),
    ],
)
def test_each_form_of_a_comparison_is_found(text: str, found: str) -> None:
    assert comparisons(text) == [found]


@pytest.mark.parametrize(
    "text", ["deadline IS NOT NULL", "def left(deadline: float) -> int", "min(deadline) - now(), a < b"]
)
def test_other_uses_of_a_deadline_are_no_comparisons(text: str) -> None:
    assert comparisons(text) == []
