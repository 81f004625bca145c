"""Whether one slot explains all that its clients were told: an order of what they did in which every answer is true.

A slot is free, held or booked, by one booking at a time. Each step of a client took effect at one instant between
when it was asked for and when it was answered, and a hold that nobody books or gives back ends by itself, at its
deadline at the earliest. A step that nobody was told the outcome of may have taken effect once, or never. The search
goes along the answers in order of time, and keeps every state the slot may be in: a step is given its place in the
order only when its answer came, or when another one needs it there ("just in time", after Wing and Gong, and Lowe).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
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
_Configuration: TypeAlias = tuple[_Slot, frozenset[int]]
"""What the slot is, and which of the steps under way have had their effect."""


def unexplained(steps: Sequence[Step]) -> Step | None:
    """Return the first step that no order explains; None where all are explained. Raises TooManyOrders."""
    if early := [step for step in steps if step.is_sure and step.latest < step.earliest]:
        return min(early, key=lambda step: step.earliest)
    search = _Search(steps)
    moments = [(step.earliest, False, number) for number, step in enumerate(steps)]
    moments += [(step.latest, True, number) for number, step in enumerate(steps)]
    for now, is_end, number in sorted(moments):
        if not is_end:
            search.begin(number)
        elif not steps[number].is_sure:
            search.forget(number)
        elif not search.end(number, now):
            return steps[number]
    return None


class _Search:
    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps
        self._pending: set[int] = set()
        self._configurations: set[_Configuration] = {(_FREE, frozenset())}

    def begin(self, number: int) -> None:
        """Have a step be under way."""
        self._pending.add(number)
        if _is_look(self._steps[number]):
            self._configurations = {self._with_looks(slot, done, [number]) for slot, done in self._configurations}

    def forget(self, number: int) -> None:
        """Have a step that may have taken effect not do so from now on."""
        self._pending.discard(number)
        self._configurations = {(slot, done - {number}) for slot, done in self._configurations}

    def end(self, number: int, now: float) -> bool:
        """Keep the configurations in which a step has had its effect by `now`; return whether there are any."""
        found: set[_Configuration] = set()
        seen = set(self._configurations)
        waiting = list(self._configurations)
        while waiting:
            configuration = waiting.pop()
            if number in configuration[1]:
                found.add((configuration[0], configuration[1] - {number}))
                continue
            for following in self._following(*configuration, now):
                if following not in seen:
                    seen.add(following)
                    waiting.append(following)
            if len(seen) > _CONFIGURATIONS_MAX:
                raise TooManyOrders
        self._pending.discard(number)
        self._configurations = self._without_needless(found)
        return bool(found)

    def _following(self, slot: _Slot, done: frozenset[int], now: float) -> Iterator[_Configuration]:
        if slot.booking_id and not slot.is_booked and slot.until <= now:
            yield self._with_looks(_FREE, done, self._pending)
        for number in self._pending - done:
            after = _after(slot, self._steps[number])
            if after is not None and not _is_look(self._steps[number]):
                yield self._with_looks(after, done | {number}, self._pending)

    def _with_looks(self, slot: _Slot, done: frozenset[int], looks: Iterable[int]) -> _Configuration:
        """Add the looks under way that are explained by the slot as it is: to wait with them gains nothing."""
        explained = {number for number in looks if _is_look(self._steps[number]) and _after(slot, self._steps[number])}
        return slot, done | explained

    def _without_needless(self, found: set[_Configuration]) -> set[_Configuration]:
        """Leave out what needs more unsure steps, or explains fewer looks, than another one that is else the same."""
        alike: dict[tuple[_Slot, frozenset[int]], list[tuple[frozenset[int], frozenset[int]]]] = {}
        for slot, done in found:
            unsure = frozenset(number for number in done if not self._steps[number].is_sure)
            looks = frozenset(number for number in done if _is_look(self._steps[number]))
            alike.setdefault((slot, done - unsure - looks), []).append((unsure, looks))
        return {
            (slot, sure | unsure | looks)
            for (slot, sure), others in alike.items()
            for unsure, looks in others
            if not any(less <= unsure and more >= looks and (less, more) != (unsure, looks) for less, more in others)
        }


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
