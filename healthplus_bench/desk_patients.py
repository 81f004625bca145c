"""Very many people for a clinic's desk to find somebody among, with names in two scripts."""

from __future__ import annotations

from pathlib import Path

from healthplus.database import BULK, Database, load
from healthplus.ops.demo_facts import FACTS

queries = load(Path(__file__).with_name("desk.sql"))

DEVANAGARI = (
    ("सुनीता", "राजेश", "अनिल", "मीना", "कविता", "रवि", "प्रिया", "विजय", "आशा", "मोहन"),
    ("कुलकर्णी", "शर्मा", "पाटिल", "वर्मा", "जोशी", "गुप्ता", "देशमुख", "यादव"),
)
"""Given and family names."""


async def put_patients(dsn: str, bookers: int, patients: int) -> None:
    """Give accounts 1 to `bookers`, which are there, names and phones; and add those up to `patients`, and families."""
    givens = [name for names in FACTS["names"].values() for sex in ("female", "male") for name in names[sex]]
    families = [name for names in FACTS["names"].values() for name in names["family"]]
    names = givens + list(DEVANAGARI[0]), families + list(DEVANAGARI[1])
    async with await Database.connect(dsn, min_size=1, max_size=1, limits=BULK) as database:
        async with database.transaction() as tx:
            await tx.execute(queries.name_patients, *names)
            await tx.execute(queries.without_triggers)
            await tx.execute(queries.put_households, bookers + 1, patients, *names)
            await tx.execute(queries.put_known)
        await database.execute(queries.tidy)
