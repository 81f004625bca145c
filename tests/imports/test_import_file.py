from __future__ import annotations

import re
from pathlib import Path

import pytest

from healthplus.database import Database
from healthplus.directory.service_text import Service, service_text
from healthplus.errors import BadInput
from healthplus.imports.import_file import import_file, read_file
from healthplus.imports.mappings import ColumnMap
from healthplus.imports.summary import Options, Remark, Summary

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data" / "nhd_hospitals_india.csv"
REAL_POSTAL_CODES = REAL.with_name("pincode_centroids.csv")
HOSPITALS = "name,address,state,district,pincode,latitude,longitude\n"
PROVIDERS = "provider_identifier,type,name,clinic_identifier,clinic_name,city,state,shifts\n"
POSTAL_CODES = "pincode,district,state,latitude,longitude\n"
STRICT_CELLS = Options(strict_cells=True)
CODES = ColumnMap(kind="postal-codes")

# Every row an import may write, with the transaction that last did.
TRACES = """
    SELECT 'city' AS kind, xmin::text, city_id::text AS id FROM directory.city
    UNION ALL SELECT 'clinic', xmin::text, clinic_id::text FROM directory.clinic
    UNION ALL SELECT 'provider', xmin::text, provider_id::text FROM directory.provider
    UNION ALL SELECT 'post', xmin::text, format('%s %s', provider_id, clinic_id) FROM directory.provider_clinic
    UNION ALL SELECT 'speciality', xmin::text, speciality_id::text FROM directory.speciality
    UNION ALL SELECT 'has', xmin::text, format('%s %s', provider_id, speciality_id) FROM directory.provider_speciality
    UNION ALL SELECT 'type', xmin::text, service_type_id::text FROM directory.service_type
    UNION ALL SELECT 'service', xmin::text, service_id::text FROM directory.service
    UNION ALL SELECT 'postal_code', xmin::text, postal_code FROM directory.postal_code
    UNION ALL SELECT 'shift', xmin::text, shift_id::text FROM schedule.shift
    UNION ALL SELECT 'book', xmin::text, provider_id::text FROM booking.book
    UNION ALL SELECT 'event', xmin::text, format('%s %s', provider_id, seq) FROM booking.event_log
    ORDER BY 1, 3"""


@pytest.fixture
def example(tmp_path: Path) -> Path:
    found = re.search(r"```csv\n(.*?)```", (ROOT / "docs" / "import.md").read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return write(tmp_path, found[1])


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "file.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


async def traces(db: Database) -> list[tuple[str, ...]]:
    return [tuple(row) for row in await db.fetch(TRACES)]


async def services(db: Database) -> set[str]:
    """Return what is offered, each as a file would have it, with its provider and clinic."""
    rows = await db.fetch(
        """SELECT service_type.name, is_test, service.*, provider.identifier AS provider, clinic.identifier AS clinic,
            service.funding::text, NULL AS preparation
        FROM directory.service JOIN directory.service_type USING (service_type_id)
        JOIN directory.provider USING (provider_id) LEFT JOIN directory.clinic USING (clinic_id)
        WHERE closed_at IS NULL"""
    )
    return {
        f"{row['provider']}{' at ' + row['clinic'] if row['clinic'] else ''}: "
        + service_text(Service(**{name: row[name] for name in Service.__struct_fields__}), row["currency"])
        for row in rows
    }


def all_accounted_for(summary: Summary) -> bool:
    lines = [remark.line for remark in (*summary.duplicates, *summary.rejected)]
    explained = all(remark.text for remark in (*summary.duplicates, *summary.rejected))
    return explained and len(set(lines)) == len(lines) == summary.rows - summary.accepted


async def test_the_documented_example(db: Database, example: Path) -> None:
    summary = await import_file(db, example)
    assert (summary.accepted, summary.rejected, summary.duplicates) == (3, [], [])
    assert [summary.added[kind] for kind in ("cities", "clinics", "providers", "posts", "shifts")] == [2, 3, 2, 3, 10]
    assert (summary.added["specialities"], summary.added["provider_specialities"]) == (3, 3)
    assert (summary.added["service_types"], summary.added["services"]) == (6, 6)
    assert await services(db) == {
        "dr-1 at heart-pune: ECG=300/10 online",
        "dr-1 at heart-pune: Stress test=2500/45 online buffer=15 every=3 days=Mon-Fri",
        "dr-1 at city-mumbai: Second opinion=2000/30 clinic more_a_day",
        "lab-1: HbA1c=450 clinic",
        "lab-1: Thyroid Profile (T3 T4 TSH)=649.50 clinic",
        "lab-1: Ultrasound abdomen=1200/20 online",
    }
    prices = await db.fetch("SELECT fee_minor, funding::text FROM directory.provider_clinic ORDER BY fee_minor")
    assert [tuple(row) for row in prices] == [(0, "free"), (80000, "online"), (120050, "clinic")]
    doctor = await db.fetch_row("SELECT * FROM directory.provider WHERE identifier = 'dr-1'")
    assert doctor is not None
    assert (doctor["languages"], doctor["max_booking_days"]) == (["Marathi", "English"], 60)
    # A new provider can be found and booked at once.
    assert await db.fetch_value("SELECT count(next_free_at) FROM booking.book WHERE version = 1") == 2


async def test_statistics_left_by_a_dry_run_are_brought_up_to_date(db: Database, example: Path) -> None:
    """Else every look for free times reads all shifts: thirty seconds where one will do."""
    await import_file(db, example, Options(dry_run=True))
    await db.execute("ANALYZE schedule.shift")  # as autovacuum does when it finds the rows of the dry run dead
    await import_file(db, example)
    assert await db.fetch_value("SELECT reltuples FROM pg_class WHERE oid = 'schedule.shift'::regclass") == 10


async def test_again_changes_nothing(db: Database, example: Path) -> None:
    await import_file(db, example)
    before = await traces(db)
    again = await import_file(db, example)
    assert (again.added.total(), again.updated.total(), again.unchanged["shifts"]) == (0, 0, 10)
    assert await traces(db) == before


async def test_dry_run_says_the_same_and_stores_nothing(db: Database, example: Path) -> None:
    dry = await import_file(db, example, Options(dry_run=True))
    assert await traces(db) == []
    wet = await import_file(db, example)
    assert (dry.stored, wet.stored, dry.added) == (False, True, wet.added)


async def test_strict_stores_nothing_when_a_row_is_rejected(db: Database, tmp_path: Path) -> None:
    path = write(tmp_path, HOSPITALS + "A,Road,Goa,North Goa,,,\n,Road,Goa,North Goa,,,\n")
    summary = await import_file(db, path, Options(strict=True))
    assert (summary.stored, summary.rejected) == (False, [Remark(3, "name is missing")])
    assert await traces(db) == []
    assert (await import_file(db, path)).stored


@pytest.mark.breaks_invariants
async def test_nobody_is_rated_by_a_file(db: Database, tmp_path: Path) -> None:
    header = PROVIDERS.replace("shifts", "rating,rating_count")
    summary = await import_file(db, write(tmp_path, header + "a,doctor,Dr A,c,Clinic,Pune,Maharashtra,5,900\n"))
    assert (summary.accepted, summary.ignored_columns) == (1, ["rating", "rating_count"])
    # Nor are ratings changed by what else a file says.
    totals = "SELECT name, rating_total, rating_count FROM directory.provider"
    assert [tuple(row) for row in await db.fetch(totals)] == [("Dr A", 0, 0)]
    await db.execute("UPDATE directory.provider SET rating_total = 4, rating_count = 1")
    summary = await import_file(db, write(tmp_path, header + "a,doctor,Dr B,c,Clinic,Pune,Maharashtra,1,1\n"))
    assert summary.updated["providers"] == 1
    assert [tuple(row) for row in await db.fetch(totals)] == [("Dr B", 4, 1)]


async def test_what_the_file_leaves_empty_stays(db: Database, tmp_path: Path) -> None:
    await import_file(db, write(tmp_path, HOSPITALS + "A,Road,Goa,North Goa,403001,15.5,73.8\n"))
    summary = await import_file(db, write(tmp_path, HOSPITALS + "a,ROAD.,Goa,North Goa,,,\n"))
    assert summary.updated == {"cities": 0, "clinics": 1, "providers": 1, "posts": 0}
    row = await db.fetch_row("SELECT name, postal_code, latitude FROM directory.clinic")
    assert tuple(row or ()) == ("a", "403001", 15.5)


async def test_cities_of_one_name_get_their_own_address(db: Database, tmp_path: Path) -> None:
    await import_file(db, write(tmp_path, HOSPITALS + "A,Road,Bihar,Aurangabad,,,\nB,Road,Jharkhand,khunti,,,\n"))
    path = write(tmp_path, HOSPITALS + "A,Road,Bihar,Aurangabad,,,\nC,Road,Maharashtra,Aurangabad,,,\n")
    for _ in range(2):
        await import_file(db, path, Options(time_zone="Asia/Dubai"))
        cities = await db.fetch("SELECT slug, name, time_zone FROM directory.city ORDER BY slug")
        assert [tuple(row) for row in cities] == [
            ("aurangabad", "Aurangabad", "Asia/Kolkata"),
            ("aurangabad-maharashtra", "Aurangabad", "Asia/Dubai"),
            ("khunti", "Khunti", "Asia/Kolkata"),
        ]


async def test_shifts_are_only_added_where_there_are_none(db: Database, tmp_path: Path) -> None:
    first = PROVIDERS + "d,doctor,Dr A,c1,One,Pune,MH,Mon 09:00-12:00/10\n"
    await import_file(db, write(tmp_path, first))
    second = (
        "d,doctor,Dr A,c1,One,Pune,MH,Mon 09:00-13:00/10\n"
        "d,doctor,Dr A,c2,Two,Pune,MH,Mon 11:00-13:00/10\n"
        "d,doctor,Dr A,c3,Three,Pune,MH,Mon 13:00-14:00/10\n"
        "d,doctor,Dr A,c4,Four,Pune,MH,\n"
    )
    # In the file itself the first two rows overlap: each is tried alone.
    head, *rows = (PROVIDERS + second).splitlines(keepends=True)
    reasons = []
    for row in rows:
        summary = await import_file(db, write(tmp_path, head + row), STRICT_CELLS)
        reasons += [text for _, text in summary.rejected] or [str(summary.added["shifts"])]
    assert "differ from the stored ones" in reasons[0]
    assert "overlaps Mon 09:00-12:00, which this provider has at another clinic" in reasons[1]
    assert reasons[2:] == ["1", "0"]
    # The new shift is in the record, as any change of schedule.
    kinds = await db.fetch("SELECT seq, kind, actor FROM booking.event ORDER BY seq")
    assert [tuple(row) for row in kinds] == [
        (1, "shift_changed", "system:import"),
        (2, "shift_changed", "system:import"),
    ]


async def test_overlaps_and_contradictions_within_the_file(db: Database, tmp_path: Path) -> None:
    summary = await import_file(
        db,
        write(
            tmp_path,
            PROVIDERS
            + "d,doctor,Dr A,c1,One,Pune,MH,Mon 09:00-12:00/10\n"
            + "d,doctor,Dr A,c2,Two,Pune,MH,Mon 11:00-13:00/10\n"
            + "d,doctor,Dr B,c2,Two,Pune,MH,\n"
            + "e,doctor,Dr E,c1,Uno,Pune,MH,\n"
            + "d,doctor,Dr A,c1,One,Pune,MH,Mon 09:00-12:00/10\n"
            + "d,doctor,Dr A,c1,One,Pune,MH,Tue 09:00-12:00/10\n"
            + "f,surgeon,Dr F,c1,One,Pune,MH,\n"
            + "g,doctor\n",
        ),
        STRICT_CELLS,
    )
    assert summary.duplicates == [Remark(6, "the same as line 2")]
    assert [remark.line for remark in summary.rejected] == [3, 4, 5, 7, 8, 9]
    reasons = " | ".join(text for _, text in summary.rejected)
    for words in ("overlap", "about 'd': name", "about 'c1': name", "line 2 already", "type 'surgeon'", "2 fields"):
        assert words in reasons
    assert all_accounted_for(summary)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ("A,Road,Goa,,,,", "district is missing"),
        ("A,Road,Goa,North Goa,40300,,", "pincode '40300'"),
        ("A,Road,Goa,North Goa,,15.5,", "come together"),
        ("A,Road,Goa,North Goa,,48.8,2.3", "expected 6 to 38 degrees of latitude"),
        ("A,Road,Goa,North Goa,,nan,73", "latitude 'nan'"),
        ("A,Road,Goa,North Goa,,here,73", "latitude 'here'"),
        (f"{'A' * 201},Road,Goa,North Goa,,,", "length <= 200"),
        (f"A,{'x' * 140_000},Goa,North Goa,,,", "field larger than"),
        ('A,Road,Goa,North Goa,,,"never closed', "not readable as CSV"),
        ('"A" B,Road,Goa,North Goa,,,', "not readable as CSV"),
    ],
)
def test_rejected_rows(tmp_path: Path, cells: str, reason: str) -> None:
    entries, _, summary = read_file(write(tmp_path, HOSPITALS + cells + "\n"), STRICT_CELLS)
    assert entries == []
    (remark,) = summary.rejected
    assert remark.line == 2
    assert reason in remark.text


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, HOSPITALS + '"A\nhospital",Road,Goa,North Goa,,,\n\n,Road,Goa,North Goa,,,\n')
    entries, _, summary = read_file(path)
    assert [entry.clinic.name for entry in entries] == ["A hospital"]
    assert summary.rejected == [Remark(5, "name is missing")]


def test_addresses_end_in_no_separators(tmp_path: Path) -> None:
    rows = [f"H{n},{address},Goa,North Goa,,,\n" for n, address in enumerate(('", Road;"', "-4-566 A-B-", "-"))]
    entries, *_ = read_file(write(tmp_path, HOSPITALS + "".join(rows)))
    assert [entry.clinic.address for entry in entries] == ["Road", "4-566 A-B", ""]


def test_far_coordinates_are_left_out(tmp_path: Path) -> None:
    rows = [f"H{n},Road,Goa,North Goa,,15.5,73.{n}\n" for n in range(5)] + ["Lost,Road,Goa,North Goa,,28.6,77.2\n"]
    entries, *_ = read_file(write(tmp_path, HOSPITALS + "".join(rows)))
    assert [entry.clinic.latitude for entry in entries] == [15.5] * 5 + [None]
    assert entries[-1].gaps == ("no pincode", "coordinates more than 200 km from the rest of the district")


@pytest.mark.parametrize(
    ("content", "name", "encoding"),
    [
        ("\ufeff" + HOSPITALS + "Café,R,Goa,G,,,\n", "Café", "utf-8-sig"),
        ((HOSPITALS + "Café,R,Goa,G,,,\n").encode("cp1252"), "Café", "cp1252"),
        ((HOSPITALS + "अस्पताल,R,Goa,गोवा,,,\n"), "अस्पताल", "utf-8"),
        (HOSPITALS.upper() + "  D Rana`S\\n  Hospital\t,R,Goa,G,,,\n", "D Rana'S Hospital", "utf-8"),
    ],
)
async def test_text_as_people_send_it(
    db: Database, tmp_path: Path, content: str | bytes, name: str, encoding: str
) -> None:
    summary = await import_file(db, write(tmp_path, content))
    assert summary.encoding == encoding
    assert await db.fetch_value("SELECT name FROM directory.provider") == name


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"name,address,state\n", "missing: district"),
        (
            b"provider_identifier,name,clinic_name\n",
            "provider list, but .* missing: type, clinic_identifier, city, state",
        ),
        (b"name,name\n", "twice"),
        (HOSPITALS.encode("utf-16")[:-1], "neither UTF-8"),
        (b"\x81\x8d\xff", "neither UTF-8"),
    ],
)
def test_files_of_no_use(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        read_file(write(tmp_path, content))


async def test_header_alone_is_no_error(db: Database, tmp_path: Path) -> None:
    summary = await import_file(db, write(tmp_path, HOSPITALS.strip()))
    assert (summary.rows, summary.stored) == (0, True)


async def test_unknown_time_zone(db: Database, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no time zone"):
        await import_file(db, write(tmp_path, HOSPITALS), Options(time_zone="Asia/Pune"))


async def test_postal_codes(db: Database, tmp_path: Path) -> None:
    path = write(
        tmp_path,
        POSTAL_CODES
        + "411038,PUNE,MAHARASHTRA,18.5,73.8\n"
        + "411038,PUNE,MAHARASHTRA,18.50,73.8\n"
        + "411038,PUNE,MAHARASHTRA,18.6,73.8\n"
        + "41103,PUNE,MAHARASHTRA,18.5,73.8\n"
        + "011038,,,18.5,73.8\n"
        + "110001,DELHI,DELHI,,77.2\n"
        + "110001,DELHI,DELHI,77.2,28.6\n"
        + "110001,DELHI,DELHI,north,77.2\n"
        + ",DELHI,DELHI,28.6,77.2\n"
        + "110001,DELHI,DELHI,28.6,77.2\n",
    )
    assert not (await import_file(db, path, Options(strict=True, columns=CODES))).stored
    assert (await import_file(db, path, Options(dry_run=True, columns=CODES))).added["postal_codes"] == 2
    assert await traces(db) == []
    summary = await import_file(db, path, Options(columns=CODES))
    assert (summary.accepted, summary.duplicates) == (
        2,
        [Remark(3, "the same as line 2"), Remark(11, "the same as line 8")],  # line 8 has them swapped
    )
    assert summary.rejected == [
        Remark(4, "line 2 says otherwise about 411038"),
        Remark(5, "pincode '41103': expected a PIN code such as 411004"),
        Remark(6, "pincode '011038': expected a PIN code such as 411004"),
        Remark(7, "latitude is missing"),
        Remark(9, "latitude 'north': expected degrees, such as 18.5018"),
        Remark(10, "pincode is missing"),
    ]
    assert all_accounted_for(summary)
    # A corrected position moves a code; the others stay.
    moved = write(tmp_path, "latitude,longitude,pincode\n19,74,411038\n400001\n")
    assert (await import_file(db, moved, Options(columns=CODES))).updated["postal_codes"] == 1
    rows = await db.fetch("SELECT * FROM directory.postal_code ORDER BY 1")
    assert [tuple(row) for row in rows] == [("110001", 28.6, 77.2), ("411038", 19, 74)]


def test_places_are_not_taken_for_postal_codes(tmp_path: Path) -> None:
    """A hospital directory with a misspelt column must not tell where its PIN codes are."""
    with pytest.raises(BadInput, match="missing: name"):
        read_file(write(tmp_path, HOSPITALS.replace("name", "hospital") + "A,Road,Goa,North Goa,403001,15.5,73.8\n"))


@pytest.mark.skipif(not REAL_POSTAL_CODES.exists(), reason="the real postal codes are not part of this repository")
async def test_the_real_postal_codes(db: Database) -> None:
    summary = await import_file(db, REAL_POSTAL_CODES, Options(columns=CODES))
    assert (summary.rows, summary.accepted, summary.added["postal_codes"]) == (19_416, 19_416, 19_416)
    before = await traces(db)
    again = await import_file(db, REAL_POSTAL_CODES, Options(columns=CODES))
    assert (again.added.total(), again.updated.total(), again.unchanged["postal_codes"]) == (0, 0, 19_416)
    assert await traces(db) == before


@pytest.mark.skipif(not REAL.exists(), reason="the real directory is not part of this repository")
async def test_the_real_directory(db: Database) -> None:
    summary = await import_file(db, REAL)
    assert summary.rows == 10_127
    assert all_accounted_for(summary)
    assert len(summary.duplicates) == 19
    assert summary.added["clinics"] == summary.added["providers"] == summary.accepted == 10_108
    # 293 districts, of which Khunti is spelt in two ways.
    assert summary.added["cities"] == await db.fetch_value("SELECT count(DISTINCT slug) FROM directory.city") == 292
    before = await traces(db)
    again = await import_file(db, REAL)
    assert (again.added.total(), again.updated.total(), again.unchanged["clinics"]) == (0, 0, 10_108)
    assert await traces(db) == before
