"""Places close when their source has them no more, and are one though they are renamed; cells are emptied."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from healthplus.cli import main
from healthplus.database import Database
from healthplus.database.server_files import as_app_role
from healthplus.errors import BadInput
from healthplus.imports.import_file import import_file
from healthplus.imports.mappings import ColumnMap
from healthplus.imports.summary import Options, Summary
from healthplus.ops.check import violations

_HOSPITALS = "name,address,state,district,pincode,latitude,longitude,status\n"
_RISE = "Morning Hospital,12 Station Road,Goa,Panaji,403001,15.4989,73.8278"
_LAKE = "Lake Hospital,4 Market Yard,Goa,Panaji,403002,15.4909,73.8258"
_HILL = "Hill Hospital,1 Fort Road,Goa,Panaji,403003,15.4809,73.8158"
_RENAMED = "Morning Multispeciality Hospital,12 Station Road,Goa,Panaji,403001,15.4992,73.8279"
_PROVIDERS = (
    "provider_identifier,type,name,clinic_identifier,clinic_name,city,state,phone,gender,specialities,clinic_phone,"
    "postal_code,shifts,status\n"
)
_OPEN = """
SELECT array_agg(clinic.name ORDER BY clinic.name)
FROM directory.provider_clinic AS post JOIN directory.clinic USING (clinic_id) WHERE post.closed_since IS NULL"""
_POSTS = """
SELECT array_agg(provider.identifier || ' ' || clinic.identifier ORDER BY provider.identifier, clinic.identifier)
FROM directory.provider_clinic AS post
JOIN directory.clinic USING (clinic_id) JOIN directory.provider USING (provider_id)
WHERE post.closed_since IS NULL"""


async def bring(db: Database, folder: Path, header: str, *rows: str, **options: Any) -> Summary:
    path = folder / "file.csv"
    columns = header.count(",")
    path.write_text(header + "".join(row + "," * (columns - row.count(",")) + "\n" for row in rows), encoding="utf-8")
    return await import_file(db, path, Options(**options))


async def test_what_a_source_has_no_more_closes(db: Database, tmp_path: Path) -> None:
    await bring(db, tmp_path, _HOSPITALS, _RISE, _LAKE, _HILL, source="goa")
    seen = await bring(db, tmp_path, _HOSPITALS, _RISE, _LAKE, complete="elsewhere")
    assert seen.places.gone == []
    assert "Known sources: goa (3 rows)" in str(seen.places.note)
    asked = await bring(db, tmp_path, _HOSPITALS, _RISE, complete="goa", dry_run=True)
    assert asked.places.gone == ["Hill Hospital"]
    # Lake is in another source since then.
    assert asked.places.kept == ["Lake Hospital at Lake Hospital (in elsewhere)"]
    asked = await bring(db, tmp_path, _HOSPITALS, _RISE, _LAKE, complete="goa")
    assert (asked.places.gone, asked.places.are_closed) == (["Hill Hospital"], False)
    assert await db.fetch_value(_OPEN) == ["Hill Hospital", "Lake Hospital", "Morning Hospital"]
    # What was rejected is not gone; and where a row says nothing of whom it is about, nothing is.
    bad = _HILL.replace("403003", "4030")
    broken = await bring(db, tmp_path, _HOSPITALS, _RISE, _LAKE, bad, complete="goa", yes=True, strict_cells=True)
    assert (len(broken.rejected), broken.places.gone) == (1, [])
    broken = await bring(db, tmp_path, _HOSPITALS, _RISE, _LAKE, "no name", complete="goa", yes=True)
    assert (len(broken.rejected), broken.places.are_closed, broken.places.gone) == (1, False, ["Hill Hospital"])
    assert "line 4" in str(broken.places.note)
    closed = await bring(db, tmp_path, _HOSPITALS, _RISE, _LAKE, complete="goa", yes=True)
    assert (closed.places.gone, closed.places.are_closed) == (["Hill Hospital"], True)
    assert await db.fetch_value(_OPEN) == ["Lake Hospital", "Morning Hospital"]
    assert await db.fetch_value("SELECT count(*) FROM search.listing") == 2
    assert (await bring(db, tmp_path, _HOSPITALS, _RISE, _LAKE, complete="goa", yes=True)).places.gone == []
    # There again: open again; what an operator closed is not.
    await db.execute("SELECT booking.set_place_closed(clinic_id, NULL, true, true, 'system:operator', '') "
                     "FROM directory.clinic WHERE name = 'Lake Hospital'")  # fmt: skip
    again = await bring(db, tmp_path, _HOSPITALS, _RISE, _LAKE, _HILL, complete="goa")
    assert again.places.opened == ["Hill Hospital"]
    assert await db.fetch_value(_OPEN) == ["Hill Hospital", "Morning Hospital"]
    assert await violations(db) == []


async def test_a_renamed_hospital_is_one_place(db: Database, tmp_path: Path) -> None:
    await bring(db, tmp_path, _HOSPITALS, _RISE, _LAKE, _HILL, source="goa")
    new = (_RENAMED, _LAKE)
    asked = await bring(db, tmp_path, _HOSPITALS, *new, complete="goa")
    assert "seems to be 'Morning Hospital', renamed" in asked.rejected[0].text
    assert asked.places.gone == ["Hill Hospital"]
    taken = await bring(db, tmp_path, _HOSPITALS, *new, complete="goa", yes=True)
    assert taken.places.renamed == ["Morning Hospital is now Morning Multispeciality Hospital"]
    names = "SELECT array_agg(name ORDER BY name) FROM directory.clinic"
    assert await db.fetch_value(names) == ["Hill Hospital", "Lake Hospital", "Morning Multispeciality Hospital"]
    assert await db.fetch_value(_OPEN) == ["Lake Hospital", "Morning Multispeciality Hospital"]
    # Another at the same place, and one near by that is called otherwise.
    other = _RENAMED.replace("Morning Multi", "Evening Multi")
    both = await bring(db, tmp_path, _HOSPITALS, _RISE, other, new_places=True, source="goa")
    assert (both.rejected, both.added["clinics"]) == ([], 2)
    assert (await bring(db, tmp_path, _HOSPITALS, _HILL.replace("Hill", "Vale"))).rejected == []


async def test_who_moves_leaves_the_old_clinic(db: Database, tmp_path: Path) -> None:
    head = _PROVIDERS
    rows = ["d1,doctor,Dr A,c1,One,Pune,MH", "d2,doctor,Dr B,c1,One,Pune,MH", "d2,doctor,Dr B,c2,Two,Pune,MH",
            "d3,doctor,Dr C,c3,Three,Pune,MH"]  # fmt: skip
    await bring(db, tmp_path, head, *rows, source="register")
    assert await db.fetch_value(_POSTS) == ["d1 c1", "d2 c1", "d2 c2", "d3 c3"]
    rows = ["d1,doctor,Dr A,c2,Two,Pune,MH", rows[1]]
    moved = await bring(db, tmp_path, head, *rows, complete="register", yes=True)
    # At One somebody is left, and Dr B works on there; Three has nobody any more.
    assert moved.places.gone == ["Dr A at One", "Dr B at Two", "Three"]
    assert await db.fetch_value(_POSTS) == ["d1 c2", "d2 c1"]
    assert await db.fetch_value("SELECT count(*) FROM directory.clinic WHERE closed_since IS NOT NULL") == 1
    kind = ColumnMap(kind="postal-codes")
    with pytest.raises(BadInput, match="postal codes are not closed"):
        await bring(db, tmp_path, "pincode,latitude,longitude\n", "411001,18.5,73.8", complete="register", columns=kind)


async def test_a_status_closes_and_opens_and_a_dash_empties(db: Database, tmp_path: Path) -> None:
    row = "d1,doctor,Dr A,c1,One,Pune,Maharashtra,{},{},{},{},{},,{}"
    full = row.format("98220 00001", "female", "Cardiology", "020 2542 0001", "411001", "")
    facts = """
        SELECT provider.phone, gender::text, clinic.phone, postal_code,
            (SELECT count(*) FROM directory.provider_speciality)
        FROM directory.provider, directory.clinic"""
    await bring(db, tmp_path, _PROVIDERS, full)
    before = await db.fetch_row(facts)
    assert before is not None
    assert None not in before
    await bring(db, tmp_path, _PROVIDERS, row.format("", "", "", "", "", ""))
    assert await db.fetch_row(facts) == before
    emptied = await bring(db, tmp_path, _PROVIDERS, row.format("-", "-", "-", "-", "-", "Permanently closed"))
    assert tuple(await db.fetch_row(facts) or ()) == (None, None, None, None, 0)
    assert emptied.places.closed == ["One"]
    assert await db.fetch_value(_POSTS) is None
    assert (await bring(db, tmp_path, _PROVIDERS, row.format("", "", "", "", "", "closed"))).places.closed == []
    opened = await bring(db, tmp_path, _PROVIDERS, row.format("", "", "", "", "", "open"))
    assert opened.places.opened == ["One"]
    assert await db.fetch_value(_POSTS) == ["d1 c1"]
    odd = await bring(db, tmp_path, _PROVIDERS, row.format("", "", "", "", "", "private"))
    assert "status left out: expected open or closed" in [gap.text for gap in odd.gaps]


async def test_the_command_says_what_is_gone(
    dsn: str, db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", as_app_role(dsn))
    await bring(db, tmp_path, _HOSPITALS, _LAKE, _HILL, source="goa")
    (tmp_path / "new.csv").write_text(f"{_HOSPITALS}{_LAKE},\n", encoding="utf-8")
    for words, said in (([], "To close it, import the file again with --yes"), (["--yes"], "What is gone is closed.")):
        command = ["import", str(tmp_path / "new.csv"), "--complete", "goa", *words]
        answer = await asyncio.to_thread(CliRunner().invoke, main, command)
        assert answer.exit_code == 0, answer.output
        assert "Gone: Hill Hospital" in answer.output
        assert said in " ".join(answer.output.split())
