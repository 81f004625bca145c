"""What a patient wants done at a clinic: services or tests, as addresses name them by id, or a visit of some slots."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from functools import reduce
from typing import NamedTuple

from healthplus.database import Database, Record
from healthplus.directory.known_services import SERVICES_MAX, Service
from healthplus.directory.preparation import Preparation, preparations_for
from healthplus.web.http.ids import ID_MAX
from healthplus.web.languages import Language
from healthplus.web.pages.free_times import queries
from healthplus.web.pages.rendering import language_of
from healthplus.web.services import AnyRequest, services

PARAMETER = "service"
"""That of addresses; it is there once for each service."""


# Release 4 knows no services, and would hold a plain visit at another price: it refuses a form, and finds no page for
# an address, that lacks what it asks for. (Both functions go with release 6: then all have the plain names.)
def field_name(name: str, service_ids: Collection[int] | None) -> str:
    """Return what a field or parameter for a time is called where services are chosen, and where none are."""
    return f"service_{name}" if service_ids else name


def field_of(fields: Mapping[str, str], name: str, default: str = "") -> str:
    """Return a field or parameter under either of the names that `field_name` gives it."""
    return fields.get(f"service_{name}") or fields.get(name) or default


class ServiceChoice(NamedTuple):
    """What is `offered` at a clinic besides a plain visit, and what of it is `chosen`: nothing for a plain visit.

    `fault`: why what was asked for, `asked_ids`, is not what is chosen. `is_laboratory`: what is done there are tests,
    so that a visit for none cannot be booked on pages.
    """

    offered: Sequence[Service] = ()
    chosen: Sequence[Service] = ()
    fault: str | None = None
    is_laboratory: bool = False
    asked_ids: Sequence[int] = ()

    @property
    def address_ids(self) -> Sequence[int]:
        """Return the ids for the address of a page that says what is at fault, if anything."""
        return self.asked_ids if self.fault else self.ids

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(sorted(one.service_id for one in self.chosen))

    @property
    def tests(self) -> list[Service]:
        return [one for one in self.offered if one.is_test]

    @property
    def others(self) -> list[Service]:
        """Return what is offered besides tests; each is a visit of its own."""
        return [one for one in self.offered if not one.is_test]

    @property
    def lacks_tests(self) -> bool:
        """Return whether tests must be chosen first."""
        return self.is_laboratory and not self.chosen

    @property
    def length_minutes(self) -> int:
        return sum(one.length_minutes for one in self.chosen)

    def not_done_on(self, day: date) -> list[Service]:
        """Return those of the chosen ones that are not done on this day of the week."""
        return [one for one in self.chosen if not one.is_on(day.isoweekday())]

    @property
    def is_never_done(self) -> bool:
        """Return whether there is no day of the week on which all of them are done."""
        return not reduce(int.__and__, (one.weekdays for one in self.chosen), 127)


async def service_choice(request: AnyRequest, location: Record, held: Sequence[int] | None = None) -> ServiceChoice:
    """Return what the address of a request asks for at a practice location; what makes no sense there is ignored.

    `held`: what the patient holds there, which may have been closed since, and stays what it is.
    """
    wanted = _wanted(request)
    if not location["service_ids"] and not wanted:
        return ServiceChoice()
    found = await services(request).known_services.find({*location["service_ids"], *wanted})
    offered = sorted(
        (found[service_id] for service_id in location["service_ids"]),
        key=lambda one: (one.is_test, 0 if one.is_test else one.fee_minor, one.name.casefold(), one.service_id),
    )
    is_laboratory = location["type"] == "lab" and any(one.is_test for one in offered)
    choice = ServiceChoice(offered, is_laboratory=is_laboratory, asked_ids=wanted)
    if held and set(wanted) == set(held):
        return choice._replace(chosen=_by_name(found[service_id] for service_id in held))
    return _checked(choice, wanted, found, location, language_of(request))


async def preparations_of(request: AnyRequest, chosen: Sequence[Service]) -> list[Preparation]:
    """Return what is to be done before services, as it is now."""
    known = await services(request).known_services.preparations(one.service_id for one in chosen)
    return preparations_for(chosen, known)


async def laboratories(database: Database, labs: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return, of providers of the type lab at clinics, those of which only tests can be booked, as `is_laboratory`."""
    if not labs:
        return set()
    rows = await database.fetch(queries.laboratories, *map(list, zip(*labs, strict=True)))
    return {(row["provider_id"], row["clinic_id"]) for row in rows}


def _wanted(request: AnyRequest) -> list[int]:
    texts = request.query_params.getall(PARAMETER, [])
    numbers = (int(text) for text in texts if text.isascii() and text.isdecimal() and len(text) <= len(str(ID_MAX)))
    return list(dict.fromkeys(number for number in numbers if 1 <= number <= ID_MAX))


def _checked(
    choice: ServiceChoice, wanted: Sequence[int], found: dict[int, Service], location: Record, language: Language
) -> ServiceChoice:
    """Return the choice with what of the wanted services can be booked, and why the others cannot."""
    _ = language.gettext
    chosen, faults = {}, []
    for service_id in wanted:
        one = found.get(service_id)
        if one is None or one.provider_id != location["provider_id"]:
            faults.append(_("That is not offered here. Choose again."))
        elif service_id in location["service_ids"]:
            chosen[service_id] = one
        else:
            now = next((other for other in choice.offered if other.service_type_id == one.service_type_id), None)
            if now is not None:
                chosen[now.service_id] = now
            faults.append(_changed_text(one, now, location["clinic_id"], language))
    if len(chosen) > SERVICES_MAX:
        faults = [_("At most %(most)d tests fit into one appointment. Book the others as another appointment.")]
        faults[0] %= {"most": SERVICES_MAX}
        chosen = dict(list(chosen.items())[:SERVICES_MAX])
    elif len(chosen) > 1 and not all(one.is_test for one in chosen.values()):
        faults = [_("Only tests can be done together. Choose one, and book each of the others as its own appointment.")]
        chosen = {}
    return choice._replace(chosen=_by_name(chosen.values()), fault=" ".join(dict.fromkeys(faults)) or None)


def _changed_text(old: Service, now: Service | None, clinic_id: int, language: Language) -> str:
    """Return what has become of a service that cannot be booked so any more; `now` is what is offered instead."""
    _ = language.gettext
    values = {"name": language.known_name("service", old.name)}
    if now is None:
        is_elsewhere = old.clinic_id not in (None, clinic_id)
        said = (
            _("%(name)s is not done at this clinic.") if is_elsewhere else _("%(name)s is not offered here any more.")
        )
    elif now.fee_minor != old.fee_minor:
        said = _("The price of %(name)s has changed from %(old)s to %(now)s. Nothing is held yet.")
        values |= {
            "old": language.money(old.fee_minor, old.currency),
            "now": language.money(now.fee_minor, now.currency),
        }
    else:
        said = _("%(name)s has changed. Below is how it is offered now; nothing is held yet.")
    return said % values


def _by_name(chosen: Iterable[Service]) -> list[Service]:
    return sorted(chosen, key=lambda one: (one.name.casefold(), one.service_id))
