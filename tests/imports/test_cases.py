"""Small files as people have them: what is right of them is stored, and nothing is wrong in silence."""

from __future__ import annotations

import asyncio
import csv
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from healthplus.cli import main
from healthplus.database import Database
from healthplus.database.server_files import as_app_role
from healthplus.imports.columns import ColumnsUnknown
from healthplus.imports.import_file import import_file, read_file
from healthplus.imports.mappings import ColumnMap, column_map, read_map, write_map
from healthplus.imports.summary import Options
from tests.imports.test_import_file import HOSPITALS, traces, write

LIST = "provider_identifier,type,name,clinic_identifier,clinic_name,city,state"


async def stored(db: Database, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await db.fetch(sql)]


async def test_names_without_words(db: Database, tmp_path: Path) -> None:
    names = {"u1": "Good Test", "u2": "-", "u3": "Dr.", "u4": "***", "u5": "شفا ہسپتال", "u6": "Больница"}
    rows = [f"{key},clinic,{name},c{key},{name if key != 'u3' else 'C'},Pune,MH" for key, name in names.items()]
    summary = await import_file(db, write(tmp_path, "\n".join([LIST, *rows])))
    assert [line for line, _ in summary.rejected] == [3, 4, 5]
    assert all("a name needs at least one letter" in text for _, text in summary.rejected)
    assert await stored(db, "SELECT name FROM directory.provider ORDER BY identifier") == [
        ("Good Test",),
        ("شفا ہسپتال",),
        ("Больница",),
    ]


async def test_cities_that_collide(db: Database, tmp_path: Path) -> None:
    rows = (
        "1,clinic,A,c1,A,Aurangabad,Maharashtra",
        "2,clinic,B,c2,B,Aurangabad,Bihar",
        "3,clinic,C,c3,C,Aurangabad Bihar,Bihar",
        "4,clinic,D,c4,D,पुणे 2,महाराष्ट्र",
        "5,clinic,E,c5,E,नागपुर 2,महाराष्ट्र",
    )
    path = write(tmp_path, "\n".join([LIST, *rows]))
    for _ in range(2):
        assert (await import_file(db, path)).rejected == []
        rows_of_cities = await db.fetch(
            "SELECT clinic.name, city.slug FROM directory.clinic JOIN directory.city USING (city_id)"
        )
        cities = {row["name"]: row["slug"] for row in rows_of_cities}
        assert len(set(cities.values())) == 5
        assert (cities["A"], cities["B"]) == ("aurangabad-maharashtra", "aurangabad-bihar")


async def test_what_is_no_list_of_postal_codes_moves_none(db: Database, tmp_path: Path) -> None:
    await db.execute("INSERT INTO directory.postal_code VALUES ('411038', 18.5, 73.8)")
    path = write(tmp_path, "hospital_name,beds,pincode,latitude,longitude\nTest Hospital,30,411038,18.60,73.90\n")
    with pytest.raises(ColumnsUnknown) as unknown:
        await import_file(db, path)
    proposal = unknown.value.proposal
    assert (proposal.kind, proposal.columns["hospital_name"]) == ("hospitals", "name")
    assert proposal.missing == ("state", "district")
    assert await stored(db, "SELECT latitude FROM directory.postal_code") == [(18.5,)]
    # What is proposed can be written to a file, completed and used.
    mapping = tmp_path / "map.toml"
    write_map(mapping, proposal)
    mapping.write_text(mapping.read_text(encoding="utf-8") + 'state = "Maharashtra"\ndistrict = "Pune"\n')
    summary = await import_file(db, path, Options(columns=column_map((), mapping)))
    assert (summary.accepted, summary.ignored_columns) == (1, ["beds"])
    facts = "SELECT clinic.name, postal_code, city.name FROM directory.clinic JOIN directory.city USING (city_id)"
    assert await stored(db, facts) == [("Test Hospital", "411038", "Pune")]


OPTIONAL_CELLS = (
    f"{LIST},gender,email,phone,postal_code,latitude,longitude,fee_rupees,accepts_new_patients,shifts,specialities\n"
    "o1,doctor,Dr Test One,oc1,One Clinic,Pune,Maharashtra,Female,Phone:,020 2612 0000 / 9876500000,"
    "411 038,18.52,73.85,"
    '"₹1,500",Yes,Mo-Fr 09:00-13:00,"Cardiology, General Medicine"\n'
    "o2,doctor,Dr Test Two,oc1,One Clinic,Pune,Maharashtra,F,N/A,#N/A,411038.0,12.51.24,73.85,Rs. 500/-,no,"
    "09:00 AM - 01:00 PM,MS OBG\n"
    "o3,doctor,DR TEST THREE,oc1,One Clinic,Pune,Maharashtra,m,-,9.19877E+11,4.11038E+05,73.85,18.52,500.00,TRUE,"
    "Sat-Mon 22:00-02:00,Orthopedic Surgery And Procedures\n"
    'o4,doctor,Dr Test Four,oc1,One Clinic,Pune,Maharashtra,x,mailto:a@example.com,"=""9876500001""",'
    '"=""411038""",0,0,free,1,,BDS\n'
)


async def test_a_fault_in_an_optional_cell_costs_the_cell(db: Database, tmp_path: Path) -> None:
    path = write(tmp_path, OPTIONAL_CELLS)
    summary = await import_file(db, path)
    assert (summary.accepted, summary.rejected) == (4, [])
    doctors = await stored(
        db,
        """SELECT name, written_name, gender::text, email, phone, accepts_new_patients
        FROM directory.provider ORDER BY 1""",
    )
    assert doctors == [
        ("Dr Test Four", None, None, "a@example.com", "9876500001", True),
        ("Dr Test One", None, "female", None, "020 2612 0000", True),
        ("Dr Test Three", "DR TEST THREE", "male", None, None, True),
        ("Dr Test Two", None, "female", None, None, False),
    ]
    clinics = await stored(db, "SELECT name, postal_code, latitude, longitude FROM directory.clinic")
    assert clinics == [("One Clinic", "411038", 18.52, 73.85)]
    fees = "SELECT fee_minor, funding::text FROM directory.provider_clinic JOIN directory.provider USING (provider_id)"
    assert await stored(db, f"{fees} ORDER BY identifier") == [
        (150000, "online"), (50000, "online"), (50000, "online"), (0, "free"),
    ]  # fmt: skip
    shifts = """SELECT weekday, starts::text, ends::text FROM schedule.shift JOIN directory.provider USING (provider_id)
        WHERE identifier = 'o3' ORDER BY 1, 2"""
    assert await stored(db, shifts) == [
        (1, "00:00:00", "02:00:00"), (1, "22:00:00", "24:00:00"), (2, "00:00:00", "02:00:00"),
        (6, "22:00:00", "24:00:00"), (7, "00:00:00", "02:00:00"), (7, "22:00:00", "24:00:00"),
    ]  # fmt: skip
    of_first = """SELECT speciality.name FROM directory.speciality
        JOIN directory.provider_speciality USING (speciality_id)
        JOIN directory.provider USING (provider_id) WHERE identifier = 'o1' ORDER BY 1"""
    assert await stored(db, of_first) == [("Cardiology",), ("General Medicine",)]
    said = {(line, text) for line, text in summary.gaps}
    for remark in (
        (2, "email left out: expected something like name@example.com"),
        (2, "phone: the first of several numbers is kept"),
        (2, "shifts: no length is said: slots of 15 minutes"),
        (3, "phone left out: an error of Excel's stands here"),
        (3, "latitude left out: expected degrees, such as 18.5018"),
        (3, "shifts: no days are said: taken for every day"),
        (4, "phone left out: Excel has cut this number"),
        (4, "postal_code left out: Excel has cut this number"),
        (4, "coordinates were swapped, and are put right"),
        (5, "gender left out: expected female, male or other"),
        (5, "coordinates left out: 0, 0 is in the sea"),
    ):
        assert remark in said
    before = await traces(db)
    again = await import_file(db, path)
    assert (again.added.total(), again.updated.total(), await traces(db)) == (0, 0, before)
    _, _, strict = read_file(path, Options(strict_cells=True))
    assert [line for line, _ in strict.rejected] == [2, 3, 4, 5]


async def test_fees(db: Database, tmp_path: Path) -> None:
    fees = ("sNaN", "1e999999", "450.50", '"1.500,00"', '"1,50,000"', "-5", "500 only")
    rows = [f"f{n},doctor,Dr {n} Test,c,C Clinic,Pune,MH,{fee}" for n, fee in enumerate(fees)]
    summary = await import_file(db, write(tmp_path, "\n".join([f"{LIST},fee_rupees", *rows])))
    assert summary.accepted == len(fees)
    assert [line for line, text in summary.gaps if "fee_rupees left out" in text] == [2, 3, 5, 7]
    amounts = "SELECT fee_minor FROM directory.provider_clinic WHERE fee_minor > 0 ORDER BY 1"
    assert await stored(db, amounts) == [(45050,), (50000,), (15000000,)]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (f"{LIST},,\nt1,doctor,Dr A Test,tc1,A Clinic,Pune,Maharashtra,,\n", 2),
        (
            f"Register 2026,,,,,,\n,,,,,,\n{LIST}\nt1,doctor,Dr A Test,tc1,A Clinic,Pune,Maharashtra\n,,,,,,\n",
            4,
        ),
        (f"sep=;\n{LIST}\nt1,doctor,Dr A Test,tc1,A Clinic,Pune,Maharashtra\n".replace(",", ";"), 3),
        (f"{LIST}\nt1,doctor,Dr A Test,tc1,A Clinic,Pune,Maharashtra\n".replace(",", "\t"), 2),
        (f"{LIST}\r\nt1,doctor,Dr A Test,tc1,A Clinic,Pune,Maharashtra\r\n".replace(",", "|").encode("utf-16"), 2),
        (f"{LIST}\nt1,doctor,Dr A Test,tc1,A Clinic,Pune,Maharashtra\n".encode("utf-16-le"), 2),
    ],
    ids=["trailing columns", "titles and empty rows", "sep=", "tabs", "UTF-16", "UTF-16 without a mark"],
)
def test_tables_as_spreadsheets_save_them(tmp_path: Path, content: str | bytes, line: int) -> None:
    entries, _, summary = read_file(write(tmp_path, content), Options(strict_cells=True))
    assert summary.rejected == []
    assert [(entry.line, entry.provider.name, entry.clinic.state) for entry in entries] == [
        (line, "Dr A Test", "Maharashtra")
    ]


async def test_what_the_database_refuses_is_one_row(db: Database, dsn: str, tmp_path: Path) -> None:
    """Whatever a later step refuses is reported with its line, and the rest of the file is stored."""
    refuse = "ALTER TABLE directory.{} ADD CONSTRAINT none_of_these CHECK ({} <> '{}') NOT VALID"
    async with await Database.connect(dsn, min_size=1, max_size=1) as owner:
        await owner.execute(refuse.format("clinic", "name", "Clinic 3"))
        await owner.execute(refuse.format("speciality", "name", "Nonsense"))
    rows = [f"{n},clinic,C{n},c{n},Clinic {n},Pune,MH,{'Nonsense' if n == 17 else ''}" for n in range(20)]
    summary = await import_file(db, write(tmp_path, "\n".join([f"{LIST},specialities", *rows])))
    assert [line for line, _ in summary.rejected] == [5, 19]
    assert all("none_of_these" in text for _, text in summary.rejected)
    assert (summary.accepted, summary.added["providers"]) == (18, 18)
    assert await stored(db, "SELECT count(*) FROM directory.provider") == [(18,)]


async def run(*words: object) -> Result:
    # In a thread: a command runs an event loop of its own.
    return await asyncio.to_thread(CliRunner().invoke, main, ["import", *map(str, words)])


async def test_the_command(db: Database, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", as_app_role(dsn))
    rows = 'a,doctor,Dr A,c,C,Pune,MH\nb,surgeon,"Dr B, MD",c,C,Pune,MH\nc,doctor\n'
    path = write(tmp_path, f"Title,,,,,,\n{LIST}\n{rows}")
    result = await run(path)
    assert (result.exit_code, "more than half of the rows were rejected" in result.output) == (1, True)
    with path.with_name("file.csv.rejected.csv").open(encoding="utf-8-sig", newline="") as file:
        head, *rejected = csv.reader(file)
    assert head == [*LIST.split(","), "line", "reason"]
    assert [(row[0], row[2], row[7]) for row in rejected] == [("b", "Dr B, MD", "4"), ("c", "", "5")]
    assert "type 'surgeon': expected doctor" in rejected[0][8]
    # Where they cannot be written, that is said, and what was stored is.
    path.with_name("file.csv.rejected.csv").unlink()
    path.with_name("file.csv.rejected.csv").mkdir()
    result = await run(path)
    assert (result.exit_code, "written nowhere" in result.output) == (1, True)
    # An unknown file ends with a proposal, which can be had as a file.
    path = write(tmp_path, "Hospital Name,Addr,StateName,City,Pin\nTest Hospital,Road,Goa,North Goa,403001\n")
    mapping = tmp_path / "new.toml"
    result = await run(path, "--mapping", mapping)
    assert (result.exit_code, "--map hospital_name=name" in result.output) == (1, True)
    assert read_map(mapping) == ColumnMap(
        "hospitals",
        {"hospital_name": "name", "statename": "state", "city": "district", "pin": "pincode"},
    )
    assert (await run(path, "--mapping", mapping, "--map", "Addr=address")).exit_code == 0
    assert await stored(db, "SELECT address FROM directory.clinic WHERE name = 'Test Hospital'") == [("Road",)]
    for wrong, said in (
        ("name", "expected THEIRS=OURS"),
        ("City=town", "none of our columns"),
        ("Nowhere=name", "no column"),
    ):
        result = await run(path, "--kind", "hospitals", "--map", wrong)
        assert (result.exit_code, said in result.output) == (1, True), result.output


async def test_much_is_moved_only_when_it_is_said(
    db: Database, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", as_app_role(dsn))
    codes = "pincode,latitude,longitude\n" + "".join(f"4110{n:02},18.5,73.8\n" for n in range(60))
    kind = ("--kind", "postal-codes")
    assert (await run(write(tmp_path, codes), *kind)).exit_code == 0
    moved = write(tmp_path, codes.replace("18.5", "18.6"))
    result = await run(moved, *kind)
    assert (result.exit_code, "this would move 60 stored postal codes" in result.output) == (1, True)
    places = "SELECT DISTINCT latitude FROM directory.postal_code"
    assert await stored(db, places) == [(18.5,)]
    assert (await run(moved, *kind, "--yes")).exit_code == 0
    assert await stored(db, places) == [(18.6,)]


def test_swapped_positions_are_recognised_by_their_city(tmp_path: Path) -> None:
    rows = [f"H{n},Road,Goa,North Goa,,15.5,73.{n}\n" for n in range(5)] + ["Turned,Road,Goa,North Goa,,73.8,15.5\n"]
    entries, _, summary = read_file(write(tmp_path, HOSPITALS + "".join(rows)))
    assert (entries[-1].clinic.latitude, entries[-1].clinic.longitude) == (15.5, 73.8)
    assert entries[-1].gaps == ("coordinates were swapped, and are put right", "no pincode")
    assert summary.rejected == []


def test_lists_without_identifiers(tmp_path: Path) -> None:
    """Only who imports them can know that names are enough: it has to be said."""
    path = write(
        tmp_path, "type,name,city,state\nhospital,LOTUS HOSPITAL,PUNE,Maharashtra\nhospital,Lotus Hospital,Pune,MH\n"
    )
    with pytest.raises(ColumnsUnknown):
        read_file(path)
    entries, _, summary = read_file(path, Options(columns=ColumnMap("providers")))
    assert [(one.provider.name, one.clinic.name, one.clinic.city) for one in entries] == [
        ("Lotus Hospital", "Lotus Hospital", "Pune"),
        ("Lotus Hospital", "Lotus Hospital", "Pune"),
    ]
    assert len({one.provider.identifier for one in entries}) == 2
    assert summary.rejected == []
