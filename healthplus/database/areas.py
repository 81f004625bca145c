"""The product's areas: the schema of each, and its function files in the order in which they are applied."""

from __future__ import annotations

from typing import NamedTuple


class Area(NamedTuple):
    """A folder of the package that has tables or functions; `functions` are paths below `<name>/functions`."""

    name: str
    schema: str
    functions: tuple[str, ...] = ()


AREAS = (
    Area("database", "public", ("clock.sql",)),
    Area("directory", "directory", ("rating.sql",)),
    Area("schedule", "schedule", ("openings.sql",)),
    Area("people", "people", ("codes.sql", "keys.sql")),
    Area("notices", "notices", ("add.sql",)),
    Area(
        "booking",
        "booking",
        ("10_outcome.sql", "20_free.sql", "30_queue.sql", "40_verbs.sql", "50_schedule_verbs.sql", "60_odds.sql"),
    ),
    Area("payments", "payments", ("learn.sql",)),
    Area(
        "search",
        "search",
        (
            "10_words.sql",
            "20_browse.sql",
            "20_learn_words.sql",
            "20_listing.sql",
            "30_find.sql",
            "30_names.sql",
            "refresh_all.sql",
        ),
    ),
    Area("reviews", "reviews", ("rate.sql",)),
)
"""A function may use those above it; PL/pgSQL, which looks functions up when it runs, also those below."""
