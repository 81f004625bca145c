"""Whatever is looked for in a long audit is found by an index."""

from __future__ import annotations

import hashlib
import os
import time
from datetime import timedelta
from typing import Any
from uuid import UUID

from healthplus.console.console import queries
from healthplus.console.logins import Logins
from healthplus.database import Database
from tests.console.conftest import console_of, log_in
from tests.fixtures.clock import product_now

ROWS = int(os.environ.get("AUDIT_ROWS", "20000"))
"""AUDIT_ROWS=1000000 is what docs/office.md was measured with (`-s` prints the times)."""
_FILL = """
INSERT INTO staff.audit_entry (
    at, actor, address, action, is_refused, detail, clinic_id, patient_id, provider_id, booking_id)
SELECT public.app_now() - make_interval(secs => n * 30), 'staff:' || 10 + n % 200, '192.0.2.1',
    (ARRAY['see_booking', 'see_ask', 'ask_change', 'log_in', 'confirm_ask'])[1 + n % 5], false,
    'a detail of some length', 1 + n % 50,
    1 + n % 40000, 1 + n % 300, md5((n / 3)::text)::uuid
FROM generate_series($1::integer, $2::integer) AS n
"""
_SCANS = "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relid = 'staff.audit_entry'::regclass"


def number(n: int) -> UUID:
    return UUID(hashlib.md5(str(n).encode()).hexdigest())  # noqa: S324 - as the rows above have it


async def test_every_filter_has_its_index(db: Database, logins: Logins) -> None:
    _, ward = await log_in(db, "warda", "ward")
    _, administrator = await log_in(db, "nair", "administrator", None)
    began = time.perf_counter()
    for first in range(1, ROWS, 20_000):
        await db.execute(_FILL, first, first + 19_999)
    await db.execute("ANALYZE staff.audit_entry")
    print(f"\n{ROWS} rows in {time.perf_counter() - began:.1f} s")
    now = await product_now(db)
    middle = now - timedelta(seconds=ROWS * 15)
    low = UUID(int=number(1000).int >> 80 << 80)
    high = UUID(int=low.int | (1 << 80) - 1)
    filters: dict[str, tuple[Any, ...]] = {
        "nothing": (None,) * 7,
        "who": ("staff:77", None, None, None, None, None, None),
        "what": (None, "ask_change", None, None, None, None, None),
        "patient": (None, None, 777, None, None, None, None),
        "booking": (None, None, None, low, high, None, None),
        "days": (None, None, None, None, None, middle - timedelta(days=1), middle),
        "who, what and days": ("staff:77", "log_in", None, None, None, middle - timedelta(days=9), middle),
        "who and what that never meet": ("staff:77", "confirm_ask", None, None, None, None, None),
        "nobody": ("staff:5000", None, None, None, None, None, None),
    }
    for clinic_id, role, token in ((None, "administrator", administrator), (1, "ward", ward)):
        console = console_of(logins, role, token)  # type: ignore[arg-type]
        for name, args in filters.items():
            took = []
            for before in ((None, None), (middle, 2**62)):
                began = time.perf_counter()
                await console.fetch(queries.audit, clinic_id, *args, *before, 51)
                took.append(f"{(time.perf_counter() - began) * 1000:.0f} ms")
            print(f"{role}: {name}: first page {took[0]}, from the middle {took[1]}")
            async with db.transaction() as tx:
                before = await tx.fetch_value(_SCANS)
                await tx.fetch(
                    "SELECT * FROM staff.find_audit($1, $2, $3, $4, $5, $6, $7, $8, NULL, NULL, 51)", clinic_id, *args
                )
                assert await tx.fetch_value(_SCANS) == before, name
        began = time.perf_counter()
        history = await console.fetch(queries.history, clinic_id, None, low, high, 300)
        print(f"{role}: history {(time.perf_counter() - began) * 1000:.0f} ms, {len(history)} rows")
    began = time.perf_counter()
    rows = await console_of(logins, "administrator", administrator).fetch(
        queries.export_audit, None, *filters["nothing"], None, None, 1000
    )
    print(f"page of an export, {len(rows)} rows: {time.perf_counter() - began:.1f} s")
