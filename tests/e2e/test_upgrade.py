"""Two releases side by side: old processes go on, under load, while the database is brought to the newer release."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from healthplus.database import Database
from healthplus.database.release import RELEASE
from healthplus.ops.check import violations
from healthplus_bench.environment import Environment, prepared_environment, running_app
from healthplus_bench.patients import Patient, hurry
from healthplus_bench.promises import Promises, broken_promises
from healthplus_bench.releases import PRESENT, Tree, run

PATIENTS = 10
"""Of each release."""
REST_SECONDS_MAX = 1.0
"""Between what each of them tries: what starts meanwhile starts sooner."""
OLD_HOLD = "booking.hold(bigint, bigint, timestamptz, integer, bigint[], bigint, uuid, bigint, uuid, text, text, text)"
KINDS = {"reserved", "booked", "released", "waiting", "accepted"}
CATALOGUE = """SELECT md5(string_agg(t, '') ) FROM (
    SELECT p::text AS t FROM pg_proc AS p UNION ALL SELECT t::text FROM pg_type AS t
    UNION ALL SELECT m::text FROM public.schema_migration AS m ORDER BY 1) AS all_there_is"""


@pytest.fixture
def next_release(tmp_path: Path) -> Tree:
    """A release in which a hold that goes alone says by which channel it came: in a column and in its answer."""
    tmp_path.chmod(0o755)  # where root runs the tests, the app processes are of another account
    tree = Tree(tmp_path)
    tree.raise_release(RELEASE + 1)
    tree.migrate_with(
        "channel",
        "ALTER TABLE booking.booking ADD COLUMN channel text; ALTER TYPE booking.outcome ADD ATTRIBUTE channel text;",
    )
    tree.migrate_with("channel.after", "CALL search.refresh_all()")
    verbs = "booking/functions/**/*.sql"
    tree.edit(verbs, r"(CREATE FUNCTION booking\.hold\([^)]*)\n\)", r"\1, p_channel text\n)")
    tree.edit(
        verbs,
        r"(CREATE FUNCTION booking\.hold\((?:(?!END \$\$;).)*)    RETURN (booking\.hold_in_book\([^;]*);\nEND \$\$;",
        r"\1    answer := \2;\n    answer.channel := p_channel;\n"
        r"    UPDATE booking.booking SET channel = p_channel\n"
        r"    WHERE provider_id = p_provider_id AND booking_id = answer.booking_id;\n    RETURN answer;\nEND $$;",
    )
    tree.edit("booking/queries.sql", r"booking\.hold\(([^)]*)\)", r"booking.hold(\1, 'web')")
    last = r"(    \w+: [^\n]+ = None\n)(?=\n\nCOLUMNS)"
    tree.edit("booking/outcomes.py", last, r"\1    channel: str | None = None\n")
    return tree


@pytest.fixture
async def environment(new_server: tuple[str, Path]) -> AsyncIterator[Environment]:
    async with prepared_environment(*new_server, 3, 2 * PATIENTS) as environment:
        yield environment


async def until_promised(promises: Promises, kinds: set[str], since: int = 0) -> None:
    """Wait until promises of all these kinds were made, after so many others."""
    async with asyncio.timeout(60):
        while not kinds <= {kind for _, kind, _ in promises.events[since:]}:
            await asyncio.sleep(0.05)


class Load:
    """Patients at one app, until they are to leave."""

    def __init__(self, environment: Environment, port: int, numbers: range, promises: Promises) -> None:
        self._over = asyncio.Event()
        self._lives = [
            asyncio.create_task(
                Patient(environment, port, number, promises, rest_seconds_max=REST_SECONDS_MAX).live(self._over)
            )
            for number in numbers
        ]

    async def leave(self) -> None:
        self._over.set()
        await asyncio.gather(*self._lives)


@pytest.mark.timeout(120)
async def test_old_processes_go_on_while_new_ones_start(
    environment: Environment, next_release: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = Promises(), Promises()
    hurrying = asyncio.create_task(hurry(environment.database))
    async with AsyncExitStack() as old_app:
        monkeypatch.chdir(PRESENT)
        old_port = await old_app.enter_async_context(running_app(environment, 2))
        old_load = Load(environment, old_port, range(1, PATIENTS + 1), old)
        await until_promised(old, {"booked"})
        code, said = await next_release.run(environment.dsn, "migrate")
        assert (code, said.splitlines()[-1]) == (0, "The database is up to date.")
        upgraded_at = await environment.database.fetch_value("SELECT public.app_now()")
        await until_promised(old, {"reserved", "booked"}, len(old.events))
        monkeypatch.chdir(next_release.folder)
        async with running_app(environment, 2) as new_port:
            new_load = Load(environment, new_port, range(PATIENTS + 1, 2 * PATIENTS + 1), new)
            await asyncio.gather(until_promised(old, KINDS), until_promised(new, KINDS))
            await old_load.leave()
            await old_app.aclose()
            await until_promised(new, {"booked"}, len(new.events))
            await new_load.leave()
    hurrying.cancel()
    for promises in (old, new):
        print(f"{len(promises.events)} promises, {promises.answers}")
        assert max(promises.answers.keys() - {503}) < 500  # some are asked to come again
        assert promises.lost == 0
        assert await broken_promises(environment.database, promises) == []
    made = await environment.database.fetch_value(
        "SELECT array_agg(DISTINCT channel) FROM booking.booking WHERE ticket_id IS NULL AND created_at > $1",
        upgraded_at,
    )
    assert set(made) == {None, "web"}  # by old processes, and by new ones
    status, said = await next_release.run(environment.dsn, "check")
    assert (status, said.splitlines()[-1]) == (0, "Every invariant holds.")  # before it: whose clinic has no account


async def test_the_older_release_is_refused_and_its_functions_go_with_the_next_but_one(
    dsn: str, db: Database, next_release: Tree
) -> None:
    assert (await next_release.run(dsn, "migrate"))[0] == 0
    for code, said in await asyncio.gather(
        *(run(PRESENT, dsn, *command) for command in (["find", "Dr"], ["migrate"], ["check"]))
    ):
        assert code == 1
        assert said == (
            f"Error: The database is of release {RELEASE + 1} of HealthPlus, this is release {RELEASE}; "
            f"run release {RELEASE + 1} or a newer one.\n"
        )
    assert await db.fetch_value("SELECT to_regprocedure($1) IS NOT NULL", OLD_HOLD)
    next_release.raise_release(RELEASE + 2)
    code, said = await next_release.run(dsn, "find", "Dr")
    assert (code, "run `healthplus migrate`" in said) == (1, True)
    assert (await next_release.run(dsn, "migrate"))[0] == 0
    assert await db.fetch_value("SELECT to_regprocedure($1) IS NULL", OLD_HOLD)
    code, said = await run(PRESENT, dsn, "serve", "--port", "9")
    assert (code, f"run release {RELEASE + 2} or a newer one" in said) == (1, True)
    assert await violations(db) == []


@pytest.mark.timeout(60)
async def test_a_machine_of_the_release_before_can_start_again(environment: Environment, next_release: Tree) -> None:
    assert (await next_release.run(environment.dsn, "migrate"))[0] == 0
    before = await environment.database.fetch_value(CATALOGUE)
    promises, over = Promises(), asyncio.Event()
    async with running_app(environment, 1) as port:
        lives = [asyncio.create_task(Patient(environment, port, one, promises).live(over)) for one in (1, 2, 3)]
        await asyncio.sleep(1)
        over.set()
        await asyncio.gather(*lives)
    assert {kind for _, kind, _ in promises.events} >= {"reserved", "booked"}
    assert max(promises.answers) < 500
    assert await environment.database.fetch_value(CATALOGUE) == before


async def test_a_tree_with_other_functions_changes_nothing_by_looking(dsn: str, db: Database, tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.edit("booking/functions/**/*.sql", r"interval '305 seconds'", "interval '405 seconds'")
    before = await db.fetch_value(CATALOGUE)
    code, said = await tree.run(dsn, "find", "Dr")
    assert (code, said) == (1, "Error: The database is not set up for this version; run `healthplus migrate`.\n")
    assert await run(PRESENT, dsn, "find", "Dr") == (1, "Error: No provider's name contains 'Dr'.\n")
    assert await db.fetch_value(CATALOGUE) == before
    assert await db.fetch_value("SELECT booking.hold_time()::text") == "00:05:05"
