"""What a file says of providers' profiles, and the pictures that it names."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from healthplus.database import Database
from healthplus.errors import BadInput
from healthplus.imports.entries import Entry
from healthplus.imports.fetch import Fetcher
from healthplus.imports.import_file import import_file, read_file
from healthplus.imports.photos import PhotoFetcher
from healthplus.imports.summary import Options, Remark, Summary
from healthplus.retention.retention import Retention
from tests.fixtures.pictures import picture
from tests.imports.test_import_file import write

HEAD = (
    "provider_identifier,type,name,clinic_identifier,clinic_name,city,state,qualifications,registration,council,since,"
    "languages,about,photo,pictures\n"
)
WHO = "dr-1,doctor,Dr Meera Rao,c-1,Heart Centre,Pune,Maharashtra"
MEERA = (
    f'{WHO},"MBBS, MD Dermatology",MMC 2010/1234,Maharashtra Medical Council,2010,Marathi; English,Sees skin and hair.'
)
FACTS = """SELECT qualifications, registration, council, practising_since, languages, bio
    FROM directory.provider WHERE identifier = 'dr-1'"""
PHOTOS = "SELECT identifier, source, hash FROM directory.provider_photo JOIN directory.provider USING (provider_id)"
PICTURES = "SELECT position, source FROM directory.clinic_picture ORDER BY position"
A, B, C = (f"https://pictures.example/{name}.jpg" for name in "abc")


@dataclass(frozen=True)
class Shelf(Fetcher):
    """What is at addresses: pictures, or nothing, which cannot be fetched."""

    content: dict[str, bytes] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)

    async def fetch(self, url: str, bytes_max: int) -> bytes:
        self.asked[url] += 1
        if url not in self.content:
            raise BadInput("the answer was 404")
        return self.content[url][:bytes_max]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(content={A: picture(), B: picture(colour="navy"), C: picture("PNG", colour="olive")})


async def stored(db: Database, tmp_path: Path, shelf: Shelf, rows: str, options: Options | None = None) -> Summary:
    return await import_file(db, write(tmp_path, HEAD + rows), options or Options(), photos=PhotoFetcher(db, shelf))


async def rows(db: Database, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await db.fetch(sql)]


async def sizes(db: Database) -> Counter[int]:
    return Counter(row["size"] for row in await db.fetch("SELECT size FROM directory.photo"))


async def test_training_and_facilities(db: Database, tmp_path: Path) -> None:
    head = "provider_identifier,type,name,clinic_identifier,clinic_name,city,state,training,facilities\n"
    facts = "SELECT training, facilities FROM directory.provider, directory.clinic"
    for cells, expected in (
        ('"B.J. College, Pune",Lift; Parking ;Lift', ("B.J. College, Pune", ["Lift", "Parking"])),
        (",", ("B.J. College, Pune", ["Lift", "Parking"])),
        (",Ramp", ("B.J. College, Pune", ["Ramp"])),
    ):
        summary = await import_file(db, write(tmp_path, f"{head}{WHO},{cells}\n"), Options(strict_cells=True))
        assert summary.rejected == []
        assert await rows(db, facts) == [expected]
    for cells, why in (
        (f",{'x' * 61}", "expected at most 60 characters each"),
        (f",{';'.join(map(str, range(21)))}", "21, and a clinic has at most 20"),
        (f"{'x' * 201},", "training"),
    ):
        summary = await import_file(db, write(tmp_path, f"{head}{WHO},{cells}\n"), Options(strict_cells=True))
        assert [why in remark.text for remark in summary.rejected] == [True], (why, summary.rejected)


async def test_facts_are_stored_and_empty_cells_leave_them(db: Database, tmp_path: Path, shelf: Shelf) -> None:
    summary = await stored(db, tmp_path, shelf, f"{MEERA},,\n")
    assert (summary.rejected, summary.missing_photos, summary.ignored_columns) == ([], [], [])
    expected = [
        ("MBBS, MD Dermatology", "MMC 2010/1234", "Maharashtra Medical Council", 2010, ["Marathi", "English"],
         "Sees skin and hair.")
    ]  # fmt: skip
    assert await rows(db, FACTS) == expected
    await stored(db, tmp_path, shelf, "dr-1,doctor,Dr Meera Rao,c-1,Heart Centre,Pune,Maharashtra,,,,,,,,\n")
    assert await rows(db, FACTS) == expected


async def test_photos_are_fetched_once_and_follow_the_file(db: Database, tmp_path: Path, shelf: Shelf) -> None:
    row = f"{MEERA},{A},{B} | {C}|{B}\n"
    dry = await stored(db, tmp_path, shelf, row, Options(dry_run=True))
    assert (dry.added["photos"], dry.added["pictures"], await sizes(db)) == (1, 1, Counter())
    summary = await stored(db, tmp_path, shelf, row)
    assert (summary.added["photos"], summary.added["pictures"], summary.missing_photos) == (1, 1, [])
    [(_, source, before)] = await rows(db, PHOTOS)
    assert (source, await rows(db, PICTURES)) == (A, [(1, B), (2, C)])
    assert await sizes(db) == {96: 3, 320: 3, 640: 3}

    shelf.asked.clear()
    shelf.content[A] = picture(colour="purple")
    summary = await stored(db, tmp_path, shelf, row)  # what was fetched before is known
    assert (summary.unchanged["photos"], summary.unchanged["pictures"], shelf.asked) == (1, 1, Counter())
    summary = await stored(db, tmp_path, shelf, row, Options(photos_again=True))
    assert (summary.updated["photos"], summary.updated["pictures"], shelf.asked) == (1, 0, Counter([A, B, C]))
    [(_, _, after)] = await rows(db, PHOTOS)
    assert after != before

    await import_file(db, write(tmp_path, HEAD.replace(",photo,pictures", "") + MEERA), photos=PhotoFetcher(db, shelf))
    assert len(await rows(db, PHOTOS)) == 1  # a file that knows nothing of photos takes none away
    summary = await stored(db, tmp_path, shelf, f"{MEERA},,{C}\n")
    assert (summary.updated["photos"], summary.updated["pictures"]) == (1, 1)
    assert (await rows(db, PHOTOS), await rows(db, PICTURES)) == ([], [(1, C)])
    await stored(db, tmp_path, shelf, f"{MEERA},,\n")
    assert await rows(db, PICTURES) == []


async def test_a_photo_that_cannot_be_had_is_a_remark(db: Database, tmp_path: Path, shelf: Shelf) -> None:
    gone, svg = "https://pictures.example/gone.png", "https://pictures.example/mark.svg"
    shelf.content[svg] = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    await stored(db, tmp_path, shelf, f"{MEERA},{A},{B}\n")
    summary = await stored(db, tmp_path, shelf, f"{MEERA},{gone},{svg} {gone}\n")
    assert summary.accepted == 1
    assert summary.missing_photos == [
        Remark(2, f"{gone}: the answer was 404"),
        Remark(2, f"{svg}: it is no picture that can be read: JPEG, PNG and WebP can"),
    ]
    assert [row[1] for row in await rows(db, PHOTOS)] == [A]  # what was there stays
    assert await rows(db, PICTURES) == [(1, B)]
    summary = await stored(db, tmp_path, shelf, f"{MEERA},{gone},{gone} {C}\n")
    assert await rows(db, PICTURES) == [(1, C)]


async def test_pictures_that_nobody_has_go_after_a_day(db: Database, tmp_path: Path, shelf: Shelf) -> None:
    await stored(db, tmp_path, shelf, f"{MEERA},{A},{B}\n")
    await stored(db, tmp_path, shelf, f"{MEERA},{C},{B}\n")
    left = []
    for hours in (0, 25):
        await db.execute("UPDATE directory.photo SET stored_at = stored_at - make_interval(hours => $1)", hours)
        await Retention(db).forget(rows_max=1000, pause_seconds=0)
        left.append(await sizes(db))
    assert left == [{96: 3, 320: 3, 640: 3}, {96: 2, 320: 2, 640: 2}]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (
            "http://pictures.example/a.jpg,",
            "photo 'http://pictures.example/a.jpg': expected an address that starts with",
        ),
        ("pictures.example/a.jpg,", "photo 'pictures.example/a.jpg'"),
        (f",{' '.join(f'{A}?{n}' for n in range(7))}", "pictures: 7, and a clinic has at most 6"),
        (",http://pictures.example/a.jpg", "pictures 'http://pictures.example/a.jpg': expected an address"),
    ],
)
def test_other_addresses_are_rejected(tmp_path: Path, cells: str, reason: str) -> None:
    entries, _, summary = read_file(write(tmp_path, f"{HEAD}{MEERA},{cells}\n"), Options(strict_cells=True))
    assert entries == []
    assert reason in summary.rejected[0].text


def test_one_thing_has_one_name_at_a_time(tmp_path: Path) -> None:
    for one, other in (("since", "practising_since"), ("about", "bio")):
        head = HEAD.replace("photo", other)
        values = {"since": "2010", "about": "Sees skin and hair."}
        entries, _, _ = read_file(write(tmp_path, f"{head}{MEERA},{values[one]},\n"), Options(strict_cells=True))
        assert len(entries) == 1
        _, _, summary = read_file(write(tmp_path, f"{head}{MEERA},1999,\n"), Options(strict_cells=True))
        assert summary.rejected[0].text == f"{one} and {other} are the same: give one of them"


_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=50)


@given(st.tuples(_TEXT, _TEXT, _TEXT, _TEXT), st.integers(1900, 2200))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_facts_come_back_as_they_are_written(tmp_path: Path, texts: tuple[str, ...], since: int) -> None:
    quoted = ['"' + text.replace('"', '""') + '"' for text in texts]
    cells = [*quoted[:3], str(since), "", quoted[3], "", ""]
    row = f"{WHO},{','.join(cells)}"
    entries, _, summary = read_file(write(tmp_path, HEAD + row), Options(strict_cells=True))
    assert summary.rejected == []
    [entry] = entries
    assert isinstance(entry, Entry)
    one = entry.provider
    read = (one.qualifications, one.registration, one.council, one.bio)
    again = ['"' + (text or "").replace('"', '""') + '"' for text in read]
    row = f"{WHO},{','.join([*again[:3], str(since), '', again[3], '', ''])}"
    assert one.practising_since == since
    assert read_file(write(tmp_path, HEAD + row))[0][0].provider == one


async def test_a_clinic_has_the_gstin_of_the_file(db: Database, tmp_path: Path) -> None:
    head = "provider_identifier,type,name,clinic_identifier,clinic_name,city,state,gstin\n"

    async def stored_with(gstin: str) -> tuple[Summary, str | None]:
        summary = await import_file(db, write(tmp_path, f"{head}{WHO},{gstin}"), Options())
        return summary, await db.fetch_value("SELECT gstin FROM directory.clinic WHERE identifier = 'c-1'")

    assert (await stored_with("27 aapfu0939f1zv"))[1] == "27AAPFU0939F1ZV"
    assert (await stored_with(""))[1] == "27AAPFU0939F1ZV"  # what the file leaves out stays
    summary, kept = await stored_with("27AAPFU0939F1ZW")
    assert kept == "27AAPFU0939F1ZV"
    assert "mistyped" in str(summary)
    assert (await stored_with("29AAGCB7383J1Z4"))[1] == "29AAGCB7383J1Z4"
