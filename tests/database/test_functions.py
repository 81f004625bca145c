"""How functions of one release give way to those of the next."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from healthplus.database import Database, migrate
from healthplus.database.areas import Area
from healthplus.database.functions import split
from healthplus.errors import MigrationConflict

AREA = Area("booking", "booking", ("verbs.sql",))


class Releases:
    """A database, and the function file that it is brought to, release by release."""

    def __init__(self, dsn: str, db: Database, package: Path) -> None:
        self.dsn = dsn
        self._package = package
        self.db = db
        for folder in ("database/migrations", "booking/functions"):
            (package / folder).mkdir(parents=True)
        (package / "database/migrations/0001_first.sql").write_text(
            "CREATE SCHEMA booking; CREATE TABLE booking.a (n int);"
        )

    async def apply(self, release: int, *definitions: str) -> None:
        (self._package / "booking/functions/verbs.sql").write_text(";\n".join(definitions))
        await migrate(self.dsn, self._package, [AREA], release)

    async def say(self, call: str, *args: object) -> object:
        return await self.db.fetch_value(f"SELECT * FROM booking.{call}", *args)

    async def oid(self, signature: str) -> object:
        return await self.db.fetch_value("SELECT to_regprocedure($1)::oid", f"booking.{signature}")


@pytest.fixture
async def releases(blank_dsn: str, tmp_path: Path) -> AsyncIterator[Releases]:
    releases = Releases(blank_dsn, await Database.connect(blank_dsn, min_size=1, max_size=1), tmp_path)
    try:
        yield releases
    finally:
        await releases.db.close()


def verb(parameters: str, result: str = "text", body: str = "'said'", how: str = "CREATE FUNCTION") -> str:
    return f"{how} booking.verb({parameters}) RETURNS {result} LANGUAGE sql AS $$ SELECT {body} $$"


async def test_what_stays_the_same_to_callers_is_replaced_in_place(releases: Releases) -> None:
    await releases.apply(1, verb("a int", body="'one'"))
    before = await releases.oid("verb(int)")
    await releases.apply(1, verb("a int", body="'two'"))
    await releases.apply(2, verb("a int", body="'three'"))
    assert await releases.oid("verb(int)") == before
    assert await releases.say("verb($1)", 1) == "three"


@pytest.mark.parametrize("release", [1, 2])
async def test_what_cannot_be_replaced_in_place_is_made_again(releases: Releases, release: int) -> None:
    await releases.apply(1, verb("a int"))
    await releases.apply(release, verb("b int", "TABLE (said text, more int)", "'new', 1"))
    assert await releases.say("verb($1)", 1) == "new"
    assert await releases.db.fetch_value("SELECT count(*) FROM pg_proc WHERE proname = 'verb'") == 1


async def test_the_functions_of_a_release_outlast_it_by_one(releases: Releases) -> None:
    await releases.apply(1, verb("a int", body="'old'"))
    await releases.apply(2, verb("a int, b int", body="'new'"))
    assert await releases.say("verb($1)", 1) == "old"
    assert await releases.say("verb($1, $2)", 1, 2) == "new"
    await releases.apply(2, verb("a int, b int", body="'newer'"))  # still
    assert await releases.say("verb($1)", 1) == "old"
    await releases.apply(3, verb("a int, b int", body="'newer'"))
    assert await releases.oid("verb(int)") is None
    assert await releases.say("verb($1, $2)", 1, 2) == "newer"


async def test_who_skips_a_release_finds_no_older_functions(releases: Releases) -> None:
    await releases.apply(1, verb("a int"))
    await releases.db.close()  # `migrate` asks to stop the product first
    await releases.apply(3, verb("a int, b int"))
    releases.db = await Database.connect(releases.dsn, min_size=1, max_size=1)
    assert await releases.oid("verb(int)") is None


async def test_what_vanishes_within_a_release_goes_at_once(releases: Releases) -> None:
    await releases.apply(1, verb("a int"))
    await releases.apply(1, verb("a int, b int"))
    assert await releases.oid("verb(int)") is None


async def test_a_kept_function_that_comes_back_is_its_releases_own(releases: Releases) -> None:
    await releases.apply(1, verb("a int"))
    await releases.apply(2)
    await releases.apply(2, verb("a int", body="'back'"))
    await releases.apply(3, verb("a int", body="'back'"))
    assert await releases.say("verb($1)", 1) == "back"
    await releases.apply(4)
    assert await releases.say("verb($1)", 1) == "back"  # kept once more
    await releases.apply(5)
    assert await releases.oid("verb(int)") is None


async def test_an_old_function_that_would_make_calls_ambiguous_goes_at_once(releases: Releases) -> None:
    """Parameters come without types, so that PostgreSQL could not tell which of the two is meant."""
    await releases.apply(1, verb("a int"))
    await releases.apply(2, verb("a int, b int DEFAULT 0", body="'new'"))
    assert await releases.say("verb($1)", 1) == "new"
    await releases.apply(3, verb("a bigint", body="'newer'"))
    assert await releases.say("verb($1)", 1) == "newer"


async def test_what_a_trigger_needs_is_replaced_and_the_trigger_is_made_once(releases: Releases) -> None:
    function = (
        "CREATE FUNCTION booking.noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.n := {}; RETURN NEW; END $$"
    )
    trigger = """CREATE TRIGGER noted BEFORE INSERT ON booking.a
        FOR EACH ROW EXECUTE FUNCTION booking.noted()"""
    await releases.apply(1, function.format(1), trigger)
    before = await releases.db.fetch_value("SELECT xmin FROM pg_trigger WHERE tgname = 'noted'")
    async with releases.db.transaction() as busy:
        await busy.execute("INSERT INTO booking.a VALUES (0)")  # making a trigger would wait for this
        await releases.apply(1, function.format(2), trigger)
    assert await releases.db.fetch_value("SELECT xmin FROM pg_trigger WHERE tgname = 'noted'") == before
    assert await releases.db.fetch_value("INSERT INTO booking.a VALUES (0) RETURNING n") == 2
    await releases.apply(1, function.format(2), trigger.replace("INSERT", "INSERT OR UPDATE"))
    assert await releases.db.fetch_value("UPDATE booking.a SET n = 7 RETURNING n") == 2


async def test_the_products_triggers_are_written_as_the_catalogue_has_them(blank_dsn: str) -> None:
    """Otherwise each would be made again, and writers kept waiting, whenever a function changes."""
    await migrate(blank_dsn)
    async with await Database.connect(blank_dsn, min_size=1, max_size=1) as db:
        made = "SELECT array_agg(xmin::text ORDER BY oid) FROM pg_trigger WHERE NOT tgisinternal"
        before = await db.fetch_value(made)
        await db.execute("UPDATE public.schema_migration SET sha256 = '' WHERE number = 0")
        await migrate(blank_dsn)
        assert await db.fetch_value(made) == before
        assert len(before) > 20


async def test_others_functions_are_left_alone(releases: Releases) -> None:
    await releases.db.execute("CREATE FUNCTION public.theirs() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    await releases.apply(1, verb(""))
    await releases.apply(2, verb("", body="'new'"))
    assert await releases.db.fetch_value("SELECT public.theirs()") == 1


@pytest.mark.parametrize(
    "statement",
    [
        "DO $$ BEGIN END $$",
        "CREATE TYPE booking.t AS (a int)",
        "DROP TYPE IF EXISTS booking.t",
        "SELECT booking.verb()",
    ],
)
async def test_function_files_contain_definitions_only(releases: Releases, statement: str) -> None:
    with pytest.raises(
        MigrationConflict, match=r"booking/functions/verbs\.sql has a statement that defines no function"
    ):
        await releases.apply(1, verb(""), f"-- Why.\n{statement}")


async def test_a_function_is_defined_once(releases: Releases) -> None:
    with pytest.raises(MigrationConflict, match=r"same function: booking\.verb\."):
        await releases.apply(1, verb("a int"), verb("a bigint"), verb("a int"))


def test_statements_end_at_semicolons_outside_of_texts_and_comments() -> None:
    sql = """-- a; comment
    SELECT ';' AS "a;b", 'it''s;'; /* ; */ DO $x$ BEGIN; $$;$$ END $x$ -- ;
    ;; CREATE FUNCTION f() AS $$ -- kept; '
    $$"""
    assert split(sql) == [
        """SELECT ';' AS "a;b", 'it''s;'""",
        "DO $x$ BEGIN; $$;$$ END $x$",
        "CREATE FUNCTION f() AS $$ -- kept; '\n    $$",
    ]
