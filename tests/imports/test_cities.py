"""A city has one name, however files call it, and is reached by each of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from healthplus.cli import main
from healthplus.database import Database
from healthplus.database.server_files import as_app_role
from healthplus.imports.import_file import import_file
from healthplus.ops.check import violations
from healthplus.search.find import city_named

_HEADER = "provider_identifier,type,name,clinic_identifier,clinic_name,city,state\n"
_IN = """
SELECT array_agg(provider.identifier ORDER BY provider.identifier)
FROM search.listing JOIN directory.provider USING (provider_id) WHERE city_id = $1"""


async def bring(db: Database, folder: Path, cities: list[str], first: int = 1) -> None:
    """Import a clinic in each city, given as its name and state; their identifiers count from `first`."""
    rows = [f"{n},clinic,Name {n},c{n},Name {n},{city}\n" for n, city in enumerate(cities, first)]
    (folder / "file.csv").write_text(_HEADER + "".join(rows), encoding="utf-8")
    summary = await import_file(db, folder / "file.csv")
    assert summary.accepted == len(cities), summary.rejected


async def clinics_in(db: Database, city: str) -> list[str]:
    found = await city_named(db, city)
    assert found is not None, city
    return list(await db.fetch_value(_IN, found["city_id"]))


async def run(*words: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, [*words])


async def test_names_of_one_city_are_one(db: Database, tmp_path: Path) -> None:
    karnataka = ["Mysore", "Mysuru", "MYSURU", "Bengaluru Urban", "BANGALORE", "Gulbarga"]
    await bring(db, tmp_path, [f"{city},Karnataka" for city in karnataka])
    names = await db.fetch("SELECT name FROM directory.city ORDER BY name")
    assert [row["name"] for row in names] == ["Bengaluru", "Kalaburagi", "Mysuru"]
    for name, clinics in (
        *((name, ["1", "2", "3"]) for name in ("Mysore", "mysuru", "MYSORE")),
        *((name, ["4", "5"]) for name in ("Bangalore", "bengaluru", "Bengaluru Urban", "bengaluru-urban")),
        *((name, ["6"]) for name in ("Gulbarga", "kalaburagi")),
    ):
        assert await clinics_in(db, name) == clinics, name
    # Again, and with another name: nothing new. A city of another state is another, whatever it is called.
    await bring(db, tmp_path, ["Bangalore Urban,Karnataka", "Mysore,Ontario"], first=7)
    assert await clinics_in(db, "Bengaluru") == ["4", "5", "7"]
    assert await db.fetch_value("SELECT count(*) FROM directory.city") == 4
    assert await clinics_in(db, "Mysuru") == ["1", "2", "3"]
    assert await violations(db) == []


async def test_a_stored_city_keeps_its_name_and_the_exact_name_comes_first(db: Database, tmp_path: Path) -> None:
    await db.execute("INSERT INTO directory.city (slug, name, state) VALUES ('mysore', 'Mysore', 'Karnataka')")
    await bring(db, tmp_path, ["Mysuru,Karnataka"])
    assert await clinics_in(db, "Mysore") == ["1"]
    # Stored apart before names were one: each is reached by its own.
    await db.execute("INSERT INTO directory.city (slug, name, state) VALUES ('mysuru', 'Mysuru', 'Karnataka')")
    await db.execute("DELETE FROM directory.city_alias")
    await bring(db, tmp_path, ["Mysuru,Karnataka"], first=2)
    assert (await clinics_in(db, "Mysore"), await clinics_in(db, "Mysuru")) == (["1"], ["2"])


async def test_two_cities_are_merged(dsn: str, db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", as_app_role(dsn))
    await bring(db, tmp_path, ["Oldtown,Kerala", "Newtown,Kerala", "Newtown,Assam"])
    merged = await run("city", "merge", "oldtown", "newtown-kerala")
    assert merged.output == "Oldtown is now Newtown. Clinics moved: 1.\n"
    for name in ("oldtown", "Oldtown", "newtown-kerala"):
        assert await clinics_in(db, name) == ["1", "2"]
    # A file that still has the former name, and a city of another state that is called so.
    await bring(db, tmp_path, ["Oldtown,Kerala", "OLDTOWN,Punjab"], first=4)
    assert await clinics_in(db, "newtown-kerala") == ["1", "2", "4"]
    assert await clinics_in(db, "oldtown") == ["1", "2", "4"]
    assert await clinics_in(db, "Oldtown") == await clinics_in(db, "oldtown-punjab") == ["5"]
    assert await violations(db) == []
    await db.execute("UPDATE directory.city SET time_zone = 'Europe/London' WHERE slug = 'oldtown-punjab'")
    for words, why in (
        (["oldtown", "newtown-kerala"], "There is no city 'oldtown'"),
        (["newtown-kerala", "newtown-kerala"], "is that city already"),
        (["oldtown-punjab", "newtown-kerala"], "is in Europe/London"),
    ):
        refused = await run("city", "merge", *words)
        assert (refused.exit_code, why in refused.output) == (1, True), refused.output


async def test_cities_whose_addresses_would_be_one(db: Database, tmp_path: Path) -> None:
    await bring(db, tmp_path, ["Aurangabad,Maharashtra", "Aurangabad,Bihar", "Aurangabad Bihar,Bihar"])
    slugs = [row["slug"] for row in await db.fetch("SELECT slug FROM directory.city ORDER BY slug")]
    assert len(slugs) == 3
    assert sorted([await clinics_in(db, one) for one in slugs]) == [["1"], ["2"], ["3"]]
