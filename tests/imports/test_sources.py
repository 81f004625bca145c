"""Files that are no CSV, and any file at all: spreadsheets, FHIR, noise."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from healthplus.database import Database
from healthplus.errors import BadInput
from healthplus.imports.entries import Entry
from healthplus.imports.formats import HOSPITALS, PROVIDERS, Format
from healthplus.imports.import_file import import_file, read_file
from healthplus.imports.mappings import ColumnMap
from healthplus.imports.summary import Options
from tests.imports.sheets import write_sheets
from tests.imports.test_import_file import write

LIST = [
    "provider_identifier",
    "type",
    "name",
    "clinic_identifier",
    "clinic_name",
    "city",
    "state",
    "phone",
    "postal_code",
]
DOCTOR = ["1", "doctor", "Dr A Test", "c", "A Clinic", "Pune", "Maharashtra"]


def test_spreadsheets(tmp_path: Path) -> None:
    rows: list[list[str | float]] = [
        ["Doctors of Pune"],
        [],
        [*LIST],
        [*DOCTOR, 919876500001.0, 411038.0],
        [*DOCTOR[:2], "-"],
    ]
    path = write_sheets(tmp_path / "list.xlsx", Remarks=[["Read", "me"]], Doctors=rows)
    entries, _, summary = read_file(path)
    assert [(one.line, one.provider.identifier, one.clinic.postal_code) for one in entries] == [(4, "1", "411038")]
    assert entries[0].provider.phone == "919876500001"  # all digits that Excel holds, whatever it shows
    assert [line for line, _ in summary.rejected] == [5]
    for broken in (
        b"PK\x03\x04" + b"x" * 99,
        path.read_bytes()[:900],
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 999,
    ):
        with pytest.raises(BadInput, match="cannot be read as a spreadsheet"):
            read_file(write(tmp_path, broken))
    with pytest.raises(BadInput, match="is empty"):
        read_file(write_sheets(tmp_path / "empty.xlsx", Nothing=[]))


ADDRESS = {"line": ["12 Karve Road"], "city": "Pune", "state": "Maharashtra", "postalCode": "411038"}
RESOURCES: list[dict[str, Any]] = [
    {
        "resourceType": "Organization",
        "id": "o1",
        "identifier": [{"system": "https://example.org/id", "value": "H1"}],
        "name": "Sahyadri Hospital",
        "telecom": [{"system": "phone", "value": "020 2612 0000"}],
    },
    {
        "resourceType": "Location",
        "id": "l1",
        "name": "Sahyadri, Karve Road",
        "address": ADDRESS,
        "position": {"latitude": 18.5, "longitude": 73.8},
        "managingOrganization": {"reference": "Organization/o1"},
    },
    {"resourceType": "Location", "id": "room", "name": "Room 4", "partOf": {"reference": "Location/l1"}},
    {
        "resourceType": "Practitioner",
        "id": "p1",
        "name": [{"prefix": ["Dr"], "given": ["Meera"], "family": "Joshi"}],
        "gender": "female",
        "qualification": [{"code": {"text": "MBBS"}}, {"code": {"coding": [{"display": "MD Psychiatry"}]}}],
        "communication": [{"coding": [{"code": "mr"}]}],
    },
    {
        "resourceType": "PractitionerRole",
        "id": "r1",
        "practitioner": {"reference": "Practitioner/p1"},
        "organization": {"reference": "Organization/o1"},
        "location": [{"reference": "Location/room"}],
        "specialty": [{"text": "Psychiatry"}],
        "availableTime": [
            {"daysOfWeek": ["mon", "tue"], "availableStartTime": "09:00:00", "availableEndTime": "13:00:00"}
        ],
    },
    {
        "resourceType": "HealthcareService",
        "id": "s1",
        "providedBy": {"reference": "Organization/o1"},
        "specialty": [{"coding": [{"display": "Cardiology"}]}],
    },
    {"resourceType": "Organization", "id": "o2", "name": "Hill Practice", "address": [ADDRESS]},
    {"resourceType": "Organization", "id": "o3", "name": "Nowhere"},
    {"resourceType": "Organization", "id": "o4", "name": "Gone", "address": [ADDRESS], "active": False},
    {"resourceType": "Practitioner", "id": "p2", "name": [{"text": "Dr Nobody"}]},
    {"resourceType": "PractitionerRole", "id": "r2", "practitioner": {"reference": "Practitioner/none"}},
    {"resourceType": "Location", "id": "odd", "name": ["no", "text"]},
    {"resourceType": "Patient", "id": "x"},
]


def as_ndjson() -> str:
    return "\n".join(map(json.dumps, RESOURCES))


def as_bundle() -> str:
    entries = [{"fullUrl": f"urn:uuid:{one['id']}", "resource": one} for one in RESOURCES]
    return json.dumps({"resourceType": "Bundle", "entry": entries}, indent=1)


@pytest.mark.parametrize("content", [as_ndjson(), as_bundle()], ids=["NDJSON", "Bundle"])
async def test_fhir(db: Database, tmp_path: Path, content: str) -> None:
    path = write(tmp_path, content)
    entries, _, summary = read_file(path)
    found = {one.provider.name: one for one in entries}
    assert set(found) == {"Dr Meera Joshi", "Sahyadri Hospital", "Hill Practice"}
    doctor, hospital, practice = found["Dr Meera Joshi"], found["Sahyadri Hospital"], found["Hill Practice"]
    assert (doctor.line, doctor.provider.type, doctor.provider.gender) == (5, "doctor", "female")
    assert (doctor.provider.qualifications, doctor.provider.languages) == ("MBBS, MD Psychiatry", ("Marathi",))
    assert (doctor.clinic.name, doctor.clinic.city, doctor.clinic.latitude) == ("Room 4", "Pune", 18.5)
    assert (doctor.specialities, [str(shift) for shift in doctor.shifts]) == (
        ("Psychiatry",), ["Mon 09:00-13:00", "Tue 09:00-13:00"],
    )  # fmt: skip
    assert (hospital.provider.identifier, hospital.provider.type) == ("https://example.org/id|H1", "hospital")
    assert (hospital.clinic.identifier, hospital.specialities) == ("Location/l1", ("Cardiology",))
    assert (practice.provider.type, practice.clinic.postal_code) == ("clinic", "411038")
    reasons = dict(summary.rejected)
    assert set(reasons) == {8, 9, 10, 11, 12}
    for line, reason in (
        (8, "no address"),
        (9, "not active"),
        (10, "no PractitionerRole"),
        (11, "practitioner is not in"),
    ):
        assert reason in reasons[line]
    stored = await import_file(db, path)
    assert (stored.accepted, stored.added["providers"]) == (3, 3)
    assert stored.rejected_file is not None


@pytest.mark.parametrize("content", ['{"a": 1}', "[]", "{", '{"resourceType": "Bundle"}', "[" * 100_000, "[1, null]"])
def test_json_that_is_no_fhir(tmp_path: Path, content: str) -> None:
    with pytest.raises(BadInput):
        read_file(write(tmp_path, content))


_BOUNDED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
_KINDS = st.sampled_from([None, "hospitals", "providers", "postal-codes", "fhir"])


@given(st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")), _KINDS)
@example(b"\xff\xfe\x00", None)
@example(b"sep=", None)
@example(b'sep="\na"b', None)
@example(b"name\n\x00", "hospitals")
@_BOUNDED
def test_noise_is_refused_in_words(tmp_path: Path, content: bytes, kind: Any) -> None:
    with contextlib.suppress(BadInput):
        read_file(write(tmp_path, content), Options(columns=ColumnMap(kind)))


_ODD = [
    "sNaN",
    "1e999999",
    "NaN",
    "-0",
    "inf",
    "4.11038E+05",
    "₹1,500",
    "Mo-Fr",
    "24:00-24:00",
    "٤١١٠٣٨",
    "18°31'12\"N",
    "='a",
    "01/02/2003",
    "0",
    "-",
    "\u202e1",
    '="1"',
]
_CELLS = st.sampled_from(_ODD) | st.text(st.characters(codec="utf-8"), max_size=12)
_FORMATS: dict[str, Format[Entry]] = {one.kind: one for one in (HOSPITALS, PROVIDERS)}


@given(st.sampled_from(sorted(_FORMATS)), st.lists(_CELLS, min_size=8, max_size=8), st.integers(0, 50), st.booleans())
@example(kind="providers", texts=["\x00"] * 8, at=0, strict=False)
@_BOUNDED
def test_any_cell_is_read_or_refused_in_words(
    tmp_path: Path, kind: str, texts: list[str], at: int, strict: bool
) -> None:
    columns = _FORMATS[kind].optional + _FORMATS[kind].required
    good = dict(zip(LIST, DOCTOR, strict=False)) | {"district": "Pune", "address": "Road"}
    cells = {column: good.get(column, "") for column in columns}
    cells |= {columns[(at + n * 5) % len(columns)]: text for n, text in enumerate(texts)}
    rows = [list(cells), [f'"{text.replace(chr(34), chr(34) * 2)}"' for text in cells.values()]]
    entries, _, summary = read_file(
        write(tmp_path, "\n".join(map(",".join, rows))),
        Options(strict_cells=strict, columns=ColumnMap(_FORMATS[kind].kind)),
    )
    assert len(entries) + len(summary.rejected) == summary.rows == 1
    assert all(text.strip() for _, text in summary.rejected)
