"""Read and write what is kept of a fee when a patient cancels: `24h:0%, 4h:50%, 2h:100%`, or amounts: `24h:200`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from healthplus.directory.fees import amount_text, read_fee
from healthplus.errors import BadInput
from healthplus.text import identifier

STEPS_MAX = 20
HOURS_MAX = 8784  # a leap year
NONE = "none"
_STEP = re.compile(r"(?P<hours>\d{1,5})\s*h\s*:\s*(?:(?P<percent>\d{1,4})\s*%|(?P<amount>[\d.]+))", re.ASCII)


class Step(msgspec.Struct, frozen=True):
    """A patient who cancels later than so many hours before the visit leaves this part of the fee, or this amount.

    One of the two is None; the amount is in the smallest unit of the clinic's currency.
    """

    hours_before: int
    kept_percent: int | None
    kept_minor: int | None

    @property
    def kept(self) -> int:
        """Return the part or the amount, to compare it with that of another step of the same ladder."""
        return (self.kept_percent if self.kept_minor is None else self.kept_minor) or 0


def parse_ladder(text: str, currency: str) -> tuple[Step, ...]:
    """Return the steps of a ladder, the one longest before a visit first, and none for `none`.

    Raises BadInput, saying why, when it is not a ladder: the closer the visit, the more is kept.
    """
    text = identifier(text)
    if text.lower() == NONE:
        return ()
    steps = [_parse(part.strip(), currency) for part in text.split(",")]
    if len(steps) > STEPS_MAX:
        raise BadInput(f"{len(steps)} steps are too many; terms have {STEPS_MAX} at most")
    if len({step.kept_percent is None for step in steps}) > 1:
        raise BadInput("percents and amounts cannot be mixed; write all steps in one of them")
    for before, after in pairwise(steps):
        if after.hours_before >= before.hours_before:
            raise BadInput(
                f"{after.hours_before}h comes after {before.hours_before}h; "
                "write the step that is longest before the visit first, and each once"
            )
        if after.kept < before.kept:
            raise BadInput(
                f"{_kept(after, currency)} at {after.hours_before}h is less than {_kept(before, currency)} at "
                f"{before.hours_before}h; the closer the visit, the more is kept"
            )
    return tuple(steps)


def ladder_text(steps: Sequence[Step], currency: str) -> str:
    """Return the text of a ladder; parse_ladder reads it."""
    return ", ".join(f"{step.hours_before}h:{_kept(step, currency)}" for step in steps) or NONE


def _parse(part: str, currency: str) -> Step:
    found = _STEP.fullmatch(part.lower())
    if found is None:
        raise BadInput(f"{part[:30]!r} does not read like '24h:50%', or '24h:200' for an amount")
    hours = int(found["hours"])
    if not 1 <= hours <= HOURS_MAX:
        raise BadInput(f"{part!r}: hours are from 1 to {HOURS_MAX}")
    if found["percent"] is None:
        return Step(hours, None, read_fee(found["amount"], currency))
    if int(found["percent"]) > 100:
        raise BadInput(f"{part!r}: a part is from 0% to 100%")
    return Step(hours, int(found["percent"]), None)


def _kept(step: Step, currency: str) -> str:
    return f"{step.kept_percent}%" if step.kept_minor is None else amount_text(step.kept_minor, currency)
