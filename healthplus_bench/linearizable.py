"""Whether one slot explains all that its clients were told: an order of what they did in which every answer is true.

A slot is free, held or booked, by one booking at a time. Each step of a client took effect at one instant between
when it was asked for and when it was answered, and a hold that nobody books or gives back ends by itself, at its
deadline at the earliest. A step that nobody was told the outcome of may have taken effect once, or never. The search
goes along the answers in order of time, and keeps every state the slot may be in: a step is given its place in the
order only when its answer came, or when another one needs it there ("just in time", after Wing and Gong, and Lowe).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal[
    "take", "extend", "book", "book_late", "release", "cancel", "leave", "seen_booked", "seen_unbooked"
]
"""What a step does: take a free slot; have the same hold last longer; book what is held, or what is free; free what
is held, what is booked, or an offer. The last two change nothing: somebody was refused since the slot was booked, or
since it was not to be had, and was not booked. Whether it was free then cannot be told: it may have been offered to
somebody whose client never asked again."""

_CONFIGURATIONS_MAX = 20_000


class TooManyOrders(Exception):
    """More orders are possible than can be looked at."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one client did to a slot, at an instant from `earliest` to `latest`, in seconds of one clock.

    `until`: when the hold that it makes ends by itself, at the earliest. `is_sure`: it took effect, or it may have.
    """

    kind: Kind
    booking_id: str
    earliest: float
    latest: float
    until: float = math.inf
    is_sure: bool = True


class _Slot(NamedTuple):
    booking_id: str = ""  # of nobody
    is_booked: bool = False
    until: float = math.inf


_FREE = _Slot()


class _Configuration(NamedTuple):
    """What the slot is, and which of the steps under way have had their effect: sure and unsure ones, and looks."""

    slot: _Slot = _FREE
    sure: frozenset[int] = frozenset()
    unsure: frozenset[int] = frozenset()
    looks: frozenset[int] = frozenset()


def unexplained(steps: Sequence[Step]) -> Step | None:
    """Return the first step that no order explains; None where all are explained. Raises TooManyOrders."""
    if early := [step for step in steps if step.is_sure and step.latest < step.earliest]:
        return min(early, key=lambda step: step.earliest)
    search = _Search(steps)
    # At one instant, steps begin before others end, and what may have been done may still be done.
    moments = [(step.earliest, 0, number) for number, step in enumerate(steps)]
    moments += [(step.latest, 1 if step.is_sure else 2, number) for number, step in enumerate(steps)]
    for now, place, number in sorted(moments):
        if place == 0:
            search.begin(number)
        elif not search.end(number, now):
            return steps[number]
    return None


class _Front:
    """Configurations, without those that are needless beside one that has fewer unsure steps, and is else the same."""

    def __init__(self) -> None:
        self._alike: dict[tuple[_Slot, frozenset[int]], list[_Configuration]] = {}
        self.size = 0

    def add(self, new: _Configuration) -> bool:
        """Add a configuration; return whether it is of any use."""
        alike = self._alike.setdefault((new.slot, new.sure), [])
        if any(known.unsure <= new.unsure and known.looks >= new.looks for known in alike):
            return False
        alike[:] = [known for known in alike if not (new.unsure <= known.unsure and new.looks >= known.looks)]
        alike.append(new)
        self.size += 1
        return True

    def all(self) -> list[_Configuration]:
        """Return the configurations."""
        return [configuration for alike in self._alike.values() for configuration in alike]


class _Search:
    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps
        self._pending: set[int] = set()
        self._pending_looks: set[int] = set()
        self._configurations = [_Configuration()]

    def begin(self, number: int) -> None:
        """Have a step be under way."""
        if _is_look(self._steps[number]):
            self._pending_looks.add(number)
            self._configurations = [self._with_looks(configuration) for configuration in self._configurations]
        else:
            self._pending.add(number)

    def end(self, number: int, now: float) -> bool:
        """Keep the configurations in which a step has had its effect by `now`; return whether there are any.

        An unsure step may have had none: so those without it are kept, too.
        """
        found, seen = _Front(), _Front()
        waiting = deque(one for one in self._configurations if seen.add(one))
        while waiting:
            one = waiting.popleft()
            if number in one.sure or number in one.unsure or number in one.looks:
                this = {number}
                found.add(_Configuration(one.slot, one.sure - this, one.unsure - this, one.looks - this))
                continue
            waiting.extend(following for following in self._following(one, now) if seen.add(following))
            if seen.size > _CONFIGURATIONS_MAX:
                raise TooManyOrders
        if not self._steps[number].is_sure:
            for one in self._configurations:
                if number not in one.unsure:
                    found.add(one)
        self._pending.discard(number)
        self._pending_looks.discard(number)
        self._configurations = found.all()
        return bool(self._configurations)

    def _following(self, configuration: _Configuration, now: float) -> Iterator[_Configuration]:
        slot, sure, unsure, _ = configuration
        if slot.booking_id and not slot.is_booked and slot.until <= now:
            yield self._with_looks(configuration._replace(slot=_FREE))
        for number in self._pending - sure - unsure:
            step = self._steps[number]
            if (after := _after(slot, step)) is None:
                continue
            if step.is_sure:
                yield self._with_looks(configuration._replace(slot=after, sure=sure | {number}))
            else:
                yield self._with_looks(configuration._replace(slot=after, unsure=unsure | {number}))

    def _with_looks(self, configuration: _Configuration) -> _Configuration:
        """Add the looks under way that are explained by the slot as it is: to wait with them gains nothing."""
        explained = {
            number
            for number in self._pending_looks - configuration.looks
            if _after(configuration.slot, self._steps[number]) is not None
        }
        return configuration._replace(looks=configuration.looks | explained) if explained else configuration


def _is_look(step: Step) -> bool:
    return step.kind in ("seen_booked", "seen_unbooked")


def _after(slot: _Slot, step: Step) -> _Slot | None:  # noqa: PLR0911 - a case for each kind
    """Return the slot after a step that can take effect on it; None where it cannot."""
    is_held_so = slot.booking_id == step.booking_id and not slot.is_booked
    match step.kind:
        case "take":
            return _Slot(step.booking_id, until=step.until) if slot == _FREE else None
        case "extend":
            return slot._replace(until=step.until) if is_held_so else None
        case "book":
            return _Slot(step.booking_id, is_booked=True) if is_held_so else None
        case "book_late":
            return _Slot(step.booking_id, is_booked=True) if slot == _FREE else None
        case "release" | "leave":
            return _FREE if is_held_so else None
        case "cancel":
            return _FREE if slot == _Slot(step.booking_id, is_booked=True) else None
        case "seen_booked":
            return slot if slot.is_booked else None
        case "seen_unbooked":
            return None if slot.is_booked else slot
