"""What goes back to a patient who cancels, and until when, as pages say it before paying and before cancelling."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from healthplus.booking.terms import Terms
from healthplus.database import Record


class Period(NamedTuple):
    """Cancelling until an instant, which is in it, leaves `kept_minor`, and the rest of the fee goes back."""

    until: datetime
    kept_minor: int
    returned_minor: int


def periods_of(terms: Terms, visit: Record) -> list[Period]:
    """Return the periods from now until a visit begins, a row with `starts_at` and `fee_minor`; each keeps more."""
    fee_minor: int = visit["fee_minor"]
    periods = [Period(terms.until, terms.kept_minor, fee_minor - terms.kept_minor)]
    for step in terms.steps:
        if step.after >= terms.until and step.kept_minor > periods[-1].kept_minor:
            periods[-1] = periods[-1]._replace(until=step.after)
            periods.append(Period(visit["starts_at"], step.kept_minor, fee_minor - step.kept_minor))
    return periods
