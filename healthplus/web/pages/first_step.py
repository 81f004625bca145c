"""What a reader of a provider's or a clinic's page does first: take the next free time or, if there is none, call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from healthplus.web.pages.addresses import chart_path
from healthplus.web.pages.free_times import Day


class FreeTime(NamedTuple):
    """The first free time of one provider at one clinic: `fee` has that of a visit, as the directory's documents do."""

    start: datetime
    provider_id: int
    provider: str
    clinic: Mapping[str, Any]
    fee: Mapping[str, Any]

    @property
    def path(self) -> str:
        """Return the address of the chart with this time chosen."""
        day = self.start.date()
        return chart_path(self.provider_id, self.provider, self.clinic["id"], day=day, start=self.start)

    @property
    def chart(self) -> str:
        return chart_path(self.provider_id, self.provider, self.clinic["id"])


class FirstStep(NamedTuple):
    """`full`: no time is free, as far ahead as can be booked; `phone`: there are no hours, so none ever will be.

    `phone` is that of the clinic, or of the provider. `is_laboratory`: tests are chosen before a time.
    """

    kind: Literal["book", "full", "phone", "nowhere"]
    free: FreeTime | None = None
    phone: str | None = None
    is_laboratory: bool = False


def of_provider(provider: Mapping[str, Any], clinics: Sequence[Mapping[str, Any]]) -> FirstStep:
    """Return the first step with a provider; each clinic has its `days`, `opening_times` and `is_laboratory`."""
    if not clinics:
        return FirstStep("nowhere", phone=provider["phone"])
    found = [_first(one["days"], provider, one, one) for one in clinics]
    free = _earliest(found)
    at = free.clinic if free else clinics[0]
    phone = at["phone"] or provider["phone"]
    if free is None:
        has_hours = any(one["opening_times"] for one in clinics)
        return FirstStep("full" if has_hours else "phone", phone=phone, is_laboratory=at["is_laboratory"])
    return FirstStep("book", free, phone, at["is_laboratory"])


def of_clinic(clinic: Mapping[str, Any], providers: Iterable[Mapping[str, Any]]) -> FirstStep:
    """Return the first step at a clinic; each provider has its `days` there and `is_laboratory`."""
    known = {one["id"]: one for one in providers}
    if not known:
        return FirstStep("nowhere", phone=clinic["phone"])
    free = _earliest(_first(one["days"], one, clinic, one) for one in known.values())
    if free is None:
        return FirstStep("full" if clinic["opening_times"] else "phone", phone=clinic["phone"])
    return FirstStep("book", free, clinic["phone"], known[free.provider_id]["is_laboratory"])


def _first(
    days: Sequence[Day], provider: Mapping[str, Any], clinic: Mapping[str, Any], fee: Mapping[str, Any]
) -> FreeTime | None:
    return FreeTime(days[0].starts[0], provider["id"], provider["name"], clinic, fee) if days else None


def _earliest(found: Iterable[FreeTime | None]) -> FreeTime | None:
    return min((one for one in found if one), key=lambda one: one.start, default=None)
