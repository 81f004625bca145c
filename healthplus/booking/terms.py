"""What is kept of the money for a booking when its patient cancels, to be shown before paying and before cancelling."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from healthplus.database import Record


class Step(msgspec.Struct, frozen=True):
    """A patient who cancels later than `after`, which is `hours_before` the start, leaves `kept_minor`.

    Until the next step counts.
    """

    hours_before: int
    after: datetime
    kept_minor: int


class Terms(msgspec.Struct, frozen=True):
    """What cancelling costs, in the smallest unit of the clinic's currency.

    `steps`: those of the terms, as amounts of this booking's fee, the first to come first; none where all is returned
    at any time, as where nothing is paid online. `kept_minor` and `returned_minor`: what is kept and given back of what
    is paid online, if it is cancelled now, or at any time until `until`: after that more is kept, or the visit begins.
    """

    steps: tuple[Step, ...]
    kept_minor: int
    returned_minor: int
    until: datetime


def terms_of(row: Record) -> Terms:
    """Return the terms in a row with `starts_at` and what booking.shown_terms returns."""
    starts_at: datetime = row["starts_at"]
    steps = zip(row["step_hours"], row["step_kept_minor"], strict=True)
    return Terms(
        tuple(Step(hours, starts_at - timedelta(hours=hours), kept_minor) for hours, kept_minor in steps),
        row["kept_minor"],
        row["returned_minor"],
        row["changes_at"] or starts_at,
    )


def terms_without_steps(starts_at: datetime, fee_minor: int, funding: str) -> Terms:
    """Return the terms of a hold or booking that has none: all is returned until it begins."""
    return Terms((), 0, fee_minor if funding == "online" else 0, starts_at)
