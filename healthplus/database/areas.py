"""The product's areas: the schema of each, and its function files in the order in which they are applied."""

from __future__ import annotations

from typing import NamedTuple


class Area(NamedTuple):
    """A folder of the package that has tables or functions; `functions` are paths below `<name>/functions`."""

    name: str
    schema: str
    functions: tuple[str, ...] = ()


_VERBS = (
    "hold",
    "confirm",
    "release",
    "reschedule",
    "choose_person",
    "join",
    "accept",
    "answer",
    "leave",
    "resume",
    "advance",
)
AREAS = (
    Area("database", "public", ("clock.sql", "append_only.sql")),
    Area(
        "directory",
        "directory",
        ("currency.sql", "rating.sql", "services.sql", "places.sql", "office.sql", "pictures.sql", "no_shows.sql"),
    ),
    Area("schedule", "schedule", ("openings.sql", "shifts.sql")),
    Area(
        "accounts",
        "accounts",
        (
            *("holders.sql", "former_accounts.sql", "sign_in_codes.sql", "code_prices.sql", "developer_keys.sql"),
            *("email.sql", "persons.sql", "sessions.sql"),
        ),
    ),
    Area("ledger", "ledger", ("refunds.sql", "ledger.sql")),
    Area(
        "staff",
        "staff",
        (
            *("audit.sql", "audit_chain.sql", "guesses.sql", "sessions.sql", "accounts.sql", "rights.sql"),
            *("asks.sql", "breaches.sql"),
        ),
    ),
    Area(
        "booking",
        "booking",
        (
            *(f"core/{name}.sql" for name in ("figures", "needs", "terms", "actors", "states", "next_due")),
            *("core/outcome.sql", "core/idempotency.sql", "core/ids.sql"),
            *("availability.sql", "chart.sql", "scarce_days.sql"),
            *(f"core/{name}.sql" for name in ("lock", "locked", "events", "persons", "staff_acts", "no_shows")),
            *(f"core/{name}.sql" for name in ("reasons", "ahead", "claims")),
            *("group_offers.sql", "queue.sql", "persons.sql"),
            *("plain/hold.sql", "plain/confirm.sql", "plain/join.sql"),
            *(
                f"verbs/{name}.sql"
                for name in (
                    *(*_VERBS, "phone", "attend", "pay_online", "correct", "undo_act", "extra"),
                    *("schedule", "close"),
                )
            ),
            "verbs/in_the_way.sql",
            *("lanes.sql", "rush.sql"),
        ),
    ),
    Area("till", "till", ("sessions.sql", "payments.sql")),
    Area(
        "reception",
        "reception",
        (
            *("tokens.sql", "people.sql", "order.sql", "chain.sql", "attendance.sql", "expected.sql", "day.sql"),
            *("choices.sql", "walk_ins.sql", "board.sql", "today.sql"),
        ),
    ),
    Area("notices", "notices", ("notices.sql", "reminders.sql", "earlier.sql", "delays.sql")),
    Area("backup", "backup"),
    Area(
        "payments",
        "payments",
        (
            *(
                "accounts.sql",
                "currency.sql",
                "at_clinic.sql",
                "gateway_events.sql",
                "money_steps.sql",
                "day_checks.sql",
            ),
            "settlements.sql",
        ),
    ),
    Area("receipts", "receipts", ("receipts.sql",)),
    Area(
        "search",
        "search",
        tuple(f"{name}.sql" for name in ("words", "browse", "word_counts", "listing", "find", "names", "refresh_all")),
    ),
    Area("reviews", "reviews", ("rate.sql", "reviews.sql")),
    Area(
        "console",
        "console",
        (
            *("desk_accounts.sql", "administration_accounts.sql"),
            *("office_read.sql", "office_schedule.sql", "office_directory.sql"),
            *("audit.sql", "breaches.sql", "asks.sql", "system.sql", "no_shows.sql"),
            *("desk_day.sql", "desk_changes.sql", "desk_people.sql", "walk_ins.sql"),
            *("phone_queue.sql", "desk_board.sql", "refunds.sql", "till.sql", "money_cases.sql"),
        ),
    ),
    Area("monitoring", "monitoring", ("money.sql", "replicas.sql")),
    Area("retention", "retention", ("expired.sql", "expired_reception.sql", "expired_staff.sql", "forget.sql")),
)
"""A function may use those above it; PL/pgSQL, which looks functions up when it runs, also those below."""
