"""The columns `services` and `tests` of a provider list."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import healthplus.database
from healthplus.database import Database
from healthplus.directory.service_text import ROW_SERVICES_MAX, Service, parse_services
from healthplus.imports.import_file import import_file, read_file
from healthplus.imports.summary import Options, Remark
from tests.imports.test_import_file import PROVIDERS, ROOT, services, traces, write

MIGRATIONS = Path(healthplus.database.__file__).with_name("migrations")
LABS = PROVIDERS.replace("shifts", "tests")
VISITS = PROVIDERS.replace("shifts", "services")


def test_the_documented_services() -> None:
    document = (ROOT / "docs" / "import.md").read_text(encoding="utf-8")
    table = document[document.index("| Example | Means |") :].partition("\n\n")[0]
    *visits, tests = re.findall(r"^\| `(.*?)` \|", table, re.MULTILINE)
    assert [parse_services(text, "INR", is_test=False) for text in visits] == [
        (Service("Root canal", False, 450000, 45),),
        (Service("Cleaning", False, 80000, 30, "clinic", starts_every=3),),
        (Service("Surgery", False, 2500000, 90, "online", buffer_minutes=15, weekdays=0b101),),
        (Service("Follow-up", False, 0, 10, "free", allows_more_a_day=True),),
    ]
    assert parse_services(tests, "INR", is_test=True) == (
        Service("CBC", True, 26000),
        Service("MRI Brain", True, 888000, 45, "clinic"),
    )


async def test_services_are_added_and_changed_and_what_is_paid_for_stays(db: Database, tmp_path: Path) -> None:
    first = LABS + "a,lab,A,c1,One,Pune,MH,HbA1c=450; ECG = 0.5\nb,lab,B,c1,One,Pune,MH,hba1c=399.99\n"
    summary = await import_file(db, write(tmp_path, first))
    assert (summary.added["service_types"], summary.added["services"]) == (2, 3)
    before = {"a: HbA1c=450 clinic", "a: ECG=0.50 clinic", "b: HbA1c=399.99 clinic"}
    assert await services(db) == before
    # What a file does not name stays, at whatever of its clinics a laboratory says what it offers.
    second = (
        LABS + "a,lab,A,c1,One,Pune,MH,HbA1c=500\na,lab,A,c2,Two,Pune,MH,HbA1c=500;Widal=100\nb,lab,B,c1,One,Pune,MH,\n"
    )
    summary = await import_file(db, write(tmp_path, second))
    assert (summary.added["services"], summary.updated["services"], summary.unchanged["services"]) == (1, 1, 0)
    assert await services(db) == before - {"a: HbA1c=450 clinic"} | {"a: HbA1c=500 clinic", "a: Widal=100 clinic"}
    traced = await traces(db)
    again = await import_file(db, write(tmp_path, second))
    assert (again.added.total(), again.updated.total(), again.unchanged["services"]) == (0, 0, 2)
    assert await traces(db) == traced
    # The price of before is still known, and was in force until the new one was.
    rows = await db.fetch(
        """SELECT fee_minor, closed_at IS NULL AS is_open, closed_at = max(opened_at) OVER () AS at_once
        FROM directory.service JOIN directory.service_type USING (service_type_id)
        JOIN directory.provider USING (provider_id) WHERE slug = 'hba1c' AND identifier = 'a' ORDER BY service_id"""
    )
    assert [tuple(row) for row in rows] == [(45000, False, True), (50000, True, None)]


async def test_each_fact_of_a_service_is_changed_and_none_is_left_over(db: Database, tmp_path: Path) -> None:
    entries = ["Scaling=800/30"]
    entries += [f"Scaling=800/{rest}" for rest in ("20", "30 online", "30 buffer=5", "30 every=2", "30 days=Mon")]
    entries += ["Scaling=800/30 more_a_day", "Scaling=900/30", "Scaling=0/30", "Scaling=0/30 clinic", "Scaling=800/30"]
    for number, entry in enumerate(entries):
        summary = await import_file(db, write(tmp_path, VISITS + f"a,doctor,A,c1,One,Pune,MH,{entry}\n"))
        assert (summary.added["services"], summary.updated["services"]) == ((1, 0) if number == 0 else (0, 1))
        paid = {"Scaling=0/30": " free", "Scaling=0/30 clinic": "", "Scaling=800/30 online": ""}.get(entry, " clinic")
        wanted = re.sub(r"^(\S+/\d+)", rf"\1{paid}", entry)
        assert await services(db) == {f"a at c1: {wanted}"}


async def test_what_is_to_be_done_before_is_stored_kept_changed_and_taken_away(db: Database, tmp_path: Path) -> None:
    header = "provider_identifier,type,name,clinic_identifier,clinic_name,city,state,tests,services,preparation\n"
    for said, counts, known in (
        ("Lipid=Eat nothing.;Scan=Drink  water.", (2, 0), {"Eat nothing.", "Drink water."}),
        ("Lipid=Eat nothing.", (0, 0), {"Eat nothing.", "Drink water."}),
        ("Lipid=Eat nothing for 10 hours.", (0, 1), {"Eat nothing for 10 hours.", "Drink water."}),
        ("", (0, 0), {"Eat nothing for 10 hours.", "Drink water."}),
        ("Lipid=;scan=", (0, 2), set()),
    ):
        row = f"a,lab,A,c1,One,Pune,MH,Lipid=500,Scan=900/20,{said}\n"
        summary = await import_file(db, write(tmp_path, header + row))
        assert (summary.added["services"], summary.updated["services"]) == counts, said
        assert {one[0] for one in await db.fetch("SELECT text FROM directory.preparation")} == known
    assert await db.fetch_value("SELECT count(*) FROM directory.service WHERE closed_at IS NOT NULL") == 0
    for said, reason in (
        ("Lipid", "expected a name and a text"),
        ("CBC=Eat nothing.", "'cbc' is none of the tests and services of this row"),
        ("Lipid=a;lipid=b", "this name is there twice"),
        (f"Lipid={'x' * 501}", "up to 500 printable characters"),
    ):
        row = f"a,lab,A,c1,One,Pune,MH,Lipid=500,Scan=900/20,{said}\n"
        (rejected,) = (await import_file(db, write(tmp_path, header + row), Options(strict_cells=True))).rejected
        assert reason in rejected.text


async def test_services_are_paid_as_visits_are(db: Database, tmp_path: Path) -> None:
    """Tests are paid online where any visit of their provider is, and a service as visits at its own clinic."""
    header = (
        "provider_identifier,type,name,clinic_identifier,clinic_name,city,state,fee_rupees,funding,tests,services\n"
    )
    rows = [
        "a,lab,A,c1,One,Pune,MH,100,clinic,CBC=1;Free=0,Scan=5/10",
        "a,lab,A,c2,Two,Pune,MH,100,online,CBC=1;Rare=2 clinic,Scan=5/10;Talk=0/5",
    ]
    assert (await import_file(db, write(tmp_path, header + "\n".join(rows)))).rejected == []
    expected = {
        "a: CBC=1 online",
        "a: Free=0 free",
        "a: Rare=2 clinic",
        "a at c1: Scan=5/10 clinic",
        "a at c2: Scan=5/10 online",
        "a at c2: Talk=0/5 free",
    }
    assert await services(db) == expected


TOO_MANY = ";".join(f"V{n}=1/5" for n in range(ROW_SERVICES_MAX + 1))


@pytest.mark.parametrize(
    ("header", "cell", "reason"),
    [
        ("tests", "HbA1c", "'HbA1c': expected name, fee and minutes, such as 'CBC=260' or 'MRI Brain=8880/45'"),
        ("tests", "HbA1c=", "'HbA1c=': expected name"),
        ("tests", "=5", "'=5': expected name"),
        ("tests", "HbA1c=5.123", "fee '5.123': between 0 and 1000000, with at most two decimals"),
        ("tests", "HbA1c=-5", "fee '-5' is no amount; write it like 700 or 649.50"),
        ("tests", "HbA1c=1e3", "fee '1e3' is no amount"),
        ("tests", "HbA1c=1000001", "fee '1000001': between 0 and 1000000"),
        ("tests", "A=1;a =1", "tests: 'a' is there twice"),
        ("tests", f"{'x' * 201}=1", "a name has 1 to 200 characters"),
        ("tests", "A=5 free", "a fee of 5 rupees does not go with funding 'free'"),
        ("tests", "A=0 online", "a fee of 0 rupees does not go with funding 'online'"),
        ("tests", "A=5/", "minutes '': expected a whole number"),
        ("tests", "A=5 buffer=5", "what takes no time of its own has no buffer; say how many minutes it takes"),
        ("tests", "A=5/0 buffer=1", "what takes no time of its own has no buffer; say how many minutes it takes"),
        ("services", "Root canal=4500", "how long it takes is missing; expected minutes after the fee, such as"),
        ("services", "Root canal=4500/0", "a visit lasts 1 to 720 minutes, not 0"),
        ("services", "Root canal=4500/721", "a length is from 0 to 720, not 721"),
        ("services", "Root canal=4500/4.5", "minutes '4.5': expected a whole number"),
        ("services", "Root canal=4500/45 cash", "'cash' is none of what can follow: online, clinic or free, buffer="),
        ("services", "Root canal=4500/45 online clinic", "'clinic' is said twice, or contradicts what is before it"),
        ("services", "Root canal=4500/45 every=2 every=2", "'every=2' is said twice"),
        ("services", "Root canal=4500/45 buffer=241", "a buffer is from 0 to 240, not 241"),
        ("services", "Root canal=4500/45 every=0", "every is from 1 to 144, not 0"),
        ("services", "Root canal=4500/45 every=", "every '': expected a whole number"),
        ("services", "Root canal=4500/45 days=Fri-Mon", "'Fri-Mon' runs backwards; a week starts with Mon"),
        ("services", "Root canal=4500/45 days=", "'' is no day or range of days; write Mon, Mon-Fri or Mon,Wed"),
        ("services", "Root canal=4500/45 more_a_day=no", "'more_a_day=no' is none of what can follow"),
        ("services", TOO_MANY, f"{ROW_SERVICES_MAX + 1} are too many; {ROW_SERVICES_MAX} can be in one row"),
        ("services", "A=1/5;" * 20_000, "length <= 100000"),
    ],
)
def test_rejected_services(tmp_path: Path, header: str, cell: str, reason: str) -> None:
    row = f'p,lab,A,c1,One,Pune,MH,"{cell}"\n'
    entries, _, summary = read_file(
        write(tmp_path, PROVIDERS.replace("shifts", header) + row), Options(strict_cells=True)
    )
    assert entries == []
    (remark,) = summary.rejected
    assert remark.text.startswith(header)
    assert reason in remark.text


async def test_what_contradicts_other_rows_or_what_is_stored_is_rejected(db: Database, tmp_path: Path) -> None:
    header = PROVIDERS.replace("shifts", "tests,services")
    rows = (
        "a,lab,A,c1,One,Pune,MH,ECG=1,",
        "a,lab,A,c2,Two,Pune,MH,X=1;ecg=2,",
        "a,lab,A,c1,One,Pune,MH,ECG=3,",
        "a,lab,A,c3,Three,Pune,MH,ECG=1/20,",
        "b,doctor,B,c1,One,Pune,MH,,Talk=5/10",
        "b,doctor,B,c2,Two,Pune,MH,,Talk=6/15",
        "b,doctor,B,c2,Two,Pune,MH,,Talk=7/15",
    )
    summary = await import_file(db, write(tmp_path, header + "\n".join(rows)), Options(strict_cells=True))
    assert summary.rejected == [
        Remark(3, "tests: line 2 says otherwise about the test 'ecg'"),
        Remark(4, "line 2 already says otherwise about this provider at this clinic"),
        Remark(5, "tests: line 2 says otherwise about the test 'ecg'"),
        Remark(8, "line 7 already says otherwise about this provider at this clinic"),
    ]
    offered = {"a: ECG=1 clinic", "b at c1: Talk=5/10 clinic", "b at c2: Talk=6/15 clinic"}
    assert await services(db) == offered


async def test_a_name_is_a_test_for_some_and_a_visit_for_others(db: Database, tmp_path: Path) -> None:
    """What one provider calls a visit blocks nobody's test, nor the other way round."""
    header = PROVIDERS.replace("shifts", "tests,services")
    first = ("a,lab,A,c1,One,Pune,MH,ECG=1,", "b,doctor,B,c1,One,Pune,MH,Talk=1,Talk=5/10;Ecg=7/10")
    later = ("c,lab,C,c1,One,Pune,MH,Talk=5;ecg=6,", "d,doctor,D,c1,One,Pune,MH,,ECG=3/5")
    for rows in (first, later):
        assert (await import_file(db, write(tmp_path, header + "\n".join(rows)))).rejected == []
    assert await services(db) == {
        *("a: ECG=1 clinic", "b: Talk=1 clinic", "b at c1: Talk=5/10 clinic", "b at c1: Ecg=7/10 clinic"),
        *("c: Talk=5 clinic", "c: ECG=6 clinic", "d at c1: Ecg=3/5 clinic"),
    }
    again = await import_file(db, write(tmp_path, header + "\n".join(later)))
    assert (again.rejected, again.added.total(), again.updated.total()) == ([], 0, 0)
    types = await db.fetch("SELECT slug, is_test FROM directory.service_type ORDER BY slug")
    assert [tuple(row) for row in types] == [("ecg", False), ("ecg-test", True), ("talk", False), ("talk-test", True)]


async def test_the_documented_example_fits_a_directory_that_has_other_kinds(db: Database, tmp_path: Path) -> None:
    await db.execute(
        """INSERT INTO directory.service_type (slug, name, is_test)
        VALUES ('ecg', 'ECG', true), ('hba1c', 'HbA1c', false)"""
    )
    example = (ROOT / "docs" / "import.md").read_text("utf-8").partition("```csv\n")[2].partition("```")[0]
    summary = await import_file(db, write(tmp_path, example))
    assert (summary.rejected, summary.accepted) == ([], 3)
    kinds = "SELECT slug FROM directory.service_type WHERE name IN ('ECG', 'HbA1c') ORDER BY slug"
    assert [row["slug"] for row in await db.fetch(kinds)] == ["ecg", "ecg-visit", "hba1c", "hba1c-test"]


async def test_a_file_of_before_services_changes_nothing_after_the_upgrade(db: Database, tmp_path: Path) -> None:
    """The tests of release 4 became services, each paid as the file that brought it would have it."""
    sql = (MIGRATIONS / "0037_services.sql").read_text("utf-8")
    await db.execute(
        """INSERT INTO directory.city (slug, name, state) VALUES ('pune', 'Pune', 'MH');
        INSERT INTO directory.clinic (identifier, city_id, name)
        SELECT one.identifier, city_id, one.name
        FROM directory.city, (VALUES ('c1', 'One'), ('c2', 'Two')) AS one (identifier, name);
        INSERT INTO directory.provider (identifier, type, name) VALUES ('a', 'lab', 'A'), ('b', 'lab', 'B');
        INSERT INTO booking.book (provider_id) SELECT provider_id FROM directory.provider;
        INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding)
        VALUES (1, 1, 10000, 'clinic'), (1, 2, 10000, 'online'), (2, 1, 0, 'free');
        INSERT INTO directory.lab_test (slug, name) VALUES ('cbc', 'CBC'), ('ecg', 'ECG'), ('17', '17');
        INSERT INTO directory.provider_lab_test (provider_id, lab_test_id, price_minor)
        VALUES (1, 1, 26000), (1, 2, 0), (2, 1, 25050), (2, 3, 500)"""
    )
    await db.execute(sql[sql.index("INSERT INTO directory.service_type") : sql.index("-- What is kept of a fee")])
    header = "provider_identifier,type,name,clinic_identifier,clinic_name,city,state,fee_rupees,funding,tests\n"
    rows = [
        "a,lab,A,c1,One,Pune,MH,100,clinic,CBC=260;ECG=0",
        "a,lab,A,c2,Two,Pune,MH,100,online,CBC=260;ECG=0",
        "b,lab,B,c1,One,Pune,MH,0,free,CBC=250.50;17=5",
    ]
    migrated = {"a: CBC=260 online", "a: ECG=0 free", "b: CBC=250.50 clinic", "b: 17=5 clinic"}
    assert await services(db) == migrated
    summary = await import_file(db, write(tmp_path, header + "\n".join(rows)))
    assert (summary.rejected, summary.added.total(), summary.updated.total()) == ([], 0, 0)
    assert await services(db) == migrated
