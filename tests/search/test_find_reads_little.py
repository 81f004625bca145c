"""How many listings a search reads, where there are some thousands: what an index finds, and not all there are."""

from __future__ import annotations

from typing import Any

import pytest

from healthplus.database import Database
from healthplus.search.find import Available, Order, SearchRequest, find
from healthplus_bench.search import fill

PROVIDERS = 3000
_READ = """
SELECT coalesce(sum(seq_tup_read), 0)::bigint AS whole, coalesce(sum(idx_tup_fetch), 0)::bigint AS by_key
FROM pg_stat_xact_user_tables WHERE relid = 'search.listing'::regclass"""
_CITY = {"city": "Bangalore"}
_DENTISTS = {"specialities": ["dentistry"]}
READS_MAX: list[tuple[int, dict[str, Any]]] = [
    (40, _CITY | _DENTISTS),
    (40, _CITY | {"keyword": "dentist"}),
    (40, _CITY | _DENTISTS | {"order": Order.DATE_ASC}),
    (40, _CITY | _DENTISTS | {"available": Available.WEEK}),
    (60, {"keyword": "koramangala"}),
    (40, {"keyword": "divya gowda"}),
    (100, {"postal_code": "560034"}),
    (100, _CITY),
    (100, {"order": Order.RATING_DESC}),
    (100, {"order": Order.RATING_ASC}),
    (200, _CITY | {"order": Order.DATE_ASC}),
    (60, {"latitude": 12.97, "longitude": 77.59, "radius_km": 5.0, "order": Order.DISTANCE_ASC}),
]


@pytest.mark.breaks_invariants  # bookings of nobody's
async def test_a_search_reads_little(db: Database) -> None:
    await fill(db, PROVIDERS)
    for reads_max, wishes in READS_MAX:
        async with db.transaction() as tx:
            before = await tx.fetch_row(_READ)
            rows = await find(tx, SearchRequest(**wishes), 0, 20)  # type: ignore[arg-type]  # a transaction, to count its reads
            after = await tx.fetch_row(_READ)
        assert before is not None
        assert after is not None
        assert rows, wishes
        assert after["whole"] == before["whole"], wishes
        # Each row shown is read once more by its key.
        assert after["by_key"] - before["by_key"] - len(rows) <= reads_max, wishes
