"""How long an import of a large directory takes, what memory it needs, and how it slows those who search beside it.

`make import-figures` prints the figures. They hang on the machine, so this runs alone.
"""

from __future__ import annotations

import asyncio
import csv
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from healthplus.database import Database
from healthplus.database.server_files import as_app_role
from healthplus.search.find import SearchRequest, find

pytestmark = pytest.mark.long

_SECONDS_MAX = {30_000: 10, 151_000: 60}
_MEMORY_MB_MAX = 300
_FIND_MS_MAX = 100
_IMPORT = """
import asyncio, resource, sys, time
from pathlib import Path
from healthplus.database import BULK, Database
from healthplus.imports.import_file import import_file
async def main():
    async with await Database.connect(sys.argv[1], min_size=1, max_size=1, limits=BULK) as db:
        begun = time.monotonic()
        summary = await import_file(db, Path(sys.argv[2]))
        print(summary.accepted, time.monotonic() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
asyncio.run(main())
"""
_SYLLABLES = ["ka", "ri", "ma", "no", "shi", "va", "lu", "te", "pa", "ji", "ra", "mi", "so", "de", "na", "gu"]


def _word(chance: random.Random, count: int) -> str:
    return "".join(chance.choice(_SYLLABLES) for _ in range(count)).title()


def _hospitals(rows: int) -> Iterator[list[str]]:
    chance = random.Random(1)
    yield ["name", "address", "state", "district", "pincode", "latitude", "longitude"]
    for n in range(rows):
        district = n % 300
        yield [
            f"{_word(chance, 3)} {_word(chance, 2)} HOSPITAL".upper(), f"{n} {_word(chance, 3)} Road",
            f"State {district % 30}",
            f"District {district}", f"{411001 + n % 900}.0", f"{12 + district / 20 + chance.random() / 5:.5f}",
            f"{74 + district / 50 + chance.random() / 5:.5f}",
        ]  # fmt: skip


def _doctors(rows: int) -> Iterator[list[str]]:
    chance = random.Random(2)
    yield [
        "provider_identifier",
        "type",
        "name",
        "gender",
        "specialities",
        "qualifications",
        "clinic_identifier",
        "clinic_name",
        "city",
        "state",
        "postal_code",
        "phone",
        "fee_rupees",
    ]
    for n in range(rows):
        clinic = n // 3
        yield [
            f"d{n}", "doctor", f"Dr {_word(chance, 2)} {_word(chance, 3)}", chance.choice(["F", "male", "x"]),
            chance.choice(["Cardiology, General Medicine", "MS OBG", "Dentist", "ENT"]), "MBBS, MD", f"c{clinic}",
            f"Clinic {clinic}", f"District {clinic % 300}", f"State {clinic % 30}", f"{411001 + clinic % 900}",
            f"98{n % 100_000_000:08}", chance.choice(["₹1,200", "Rs. 500/-", "free", "ask"]),
        ]  # fmt: skip


@pytest.mark.timeout(900)
@pytest.mark.parametrize("rows", _SECONDS_MAX)
@pytest.mark.parametrize("kind", [_hospitals, _doctors], ids=["hospitals", "doctors"])
async def test_large_directories(
    db: Database, dsn: str, tmp_path: Path, kind: Callable[[int], Iterator[list[str]]], rows: int
) -> None:
    before, path = tmp_path / "before.csv", tmp_path / "directory.csv"
    for file, count in ((before, 6_000), (path, rows)):
        with file.open("w", newline="", encoding="utf-8") as output:
            csv.writer(output).writerows((_hospitals if file is before else kind)(count))
    await _import(dsn, before)
    running = asyncio.create_task(_import(dsn, path))
    took_ms: list[float] = []
    while not running.done():
        begun = time.monotonic()
        await find(db, SearchRequest(keyword="hospital karima", city="district-7"), 0, 20)
        took_ms.append((time.monotonic() - begun) * 1000)
        await asyncio.wait([running], timeout=0.05)
    accepted, seconds, memory_mb = await running
    p99 = statistics.quantiles(took_ms, n=100)[98]
    cpu = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    print(
        f"\n{accepted} of {rows} rows: {seconds:.1f} s, {memory_mb:.0f} MB, "
        f"{cpu:.1f} s of processor time outside the database; find beside it p99 {p99:.1f} ms of {len(took_ms)}"
    )
    assert accepted >= rows * 0.99
    assert (seconds <= _SECONDS_MAX[rows], memory_mb <= _MEMORY_MB_MAX, p99 <= _FIND_MS_MAX) == (True, True, True)


async def _import(dsn: str, path: Path) -> tuple[int, float, float]:
    """Import a file in a process of its own; return the rows accepted, seconds, and MB that it had at most."""
    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _IMPORT, as_app_role(dsn), str(path)],
        check=True,
        capture_output=True,
        text=True,
    )
    accepted, seconds, memory_kb = ran.stdout.split()
    return int(accepted), float(seconds), int(memory_kb) / 1024
