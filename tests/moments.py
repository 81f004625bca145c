"""Awkward moments, at each of which `make test-dates` runs the tests that are marked `dates`.

    python -m tests.moments

The clocks of databases and browsers begin at the moment (tests/fixtures/clock.py), on a machine in a zone of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import datetime
from typing import NamedTuple

from tests.fixtures.clock import VARIABLE


class Moment(NamedTuple):
    """An instant with its offset, the time zone of the machine that the tests run on, and why it is awkward."""

    text: str
    zone: str
    why: str

    @property
    def at(self) -> str:
        """Where it has passed, the same weekday of the same date: the calendar repeats itself every 28 years."""
        at = datetime.fromisoformat(self.text)
        while at.timestamp() < time.time():  # noqa: TID251 - PostgreSQL cannot have been started after its own clock
            at = at.replace(year=at.year + 28)
        return at.isoformat()


INDIA, NEW_YORK = "Asia/Kolkata", "America/New_York"

MOMENTS = (
    Moment("2031-12-31T23:55+05:30", INDIA, "year and month end in five minutes, in India; at UTC it is afternoon"),
    Moment("2032-01-01T00:05+05:30", INDIA, "the new year is five minutes old, in India; at UTC it is the old one"),
    Moment("2031-06-30T23:59:58+05:30", NEW_YORK, "midnight and a month's end pass during each test"),
    Moment("2031-08-31T05:29:59+05:30", "UTC", "UTC's day and month change during each test, on an Indian Sunday"),
    Moment("2032-02-29T10:00+05:30", INDIA, "29 February, and a Sunday"),
    Moment("2031-01-31T18:31+05:30", "Pacific/Kiritimati", "the next month has no such day; here it is tomorrow"),
    Moment("2031-03-08T21:00-05:00", NEW_YORK, "the eve of a day of 23 hours in New York; in India it is Sunday"),
    Moment("2031-03-09T01:59:58-05:00", NEW_YORK, "clocks in New York go forward during each test"),
    Moment("2031-11-02T01:30-04:00", NEW_YORK, "it will be half past one again in an hour, in New York"),
    Moment("2031-11-02T01:59:58-04:00", NEW_YORK, "clocks in New York go back during each test"),
)


def main() -> int:
    """Run the tests at each moment; say at which of them they failed."""
    failed = []
    for moment in MOMENTS:
        environment = {VARIABLE: moment.at, "TZ": moment.zone}
        shown = " ".join(f"{name}={value}" for name, value in environment.items())
        print(f"\n== {moment.why}\n   {shown} pytest -m dates", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-m", "dates and not long"],
            env={**os.environ, **environment},
            check=False,
        )
        if done.returncode:
            failed.append(shown)
    print(f"\n{len(MOMENTS) - len(failed)} of {len(MOMENTS)} moments passed.", *failed, sep="\nFailed at ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
