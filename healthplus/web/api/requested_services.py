"""The services and tests that a request names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from healthplus.accounts.actors import Actor
from healthplus.booking.errors import NoSuchSlot
from healthplus.booking.outcomes import Refused
from healthplus.directory.known_services import SERVICES_MAX, KnownServices
from healthplus.errors import BadInput, HealthPlusError
from healthplus.web.http.ids import ID_MAX
from healthplus.web.http.refusals import error_for_refusal
from healthplus.web.services import AppServices

_SLUG = re.compile("[a-z0-9]+(-[a-z0-9]+)*")


class Repeatable(NamedTuple):
    """A request that may have been made before: the verb as idempotency keys have it, who asks, and the key."""

    verb: str
    actor: Actor
    key: str


async def requested_services(
    app: AppServices,
    provider_id: int,
    clinic_id: int | None,
    slots_needed: int,
    service: int | str | None,
    tests: Sequence[int | str],
    request: Repeatable | None = None,
) -> tuple[int | None, list[int]]:
    """Return at which clinic a request means what it names by `service` and `tests`, and the ids of that.

    There are none for a visit of some slots. A slug is that of what the provider offers now. Where no clinic is named,
    it is the one that alone has all that is named; None: any of the provider's. A repeat of `request` means what it
    meant at first, also where that was closed since. Raises BadInput for too many, for slots beside services, and
    where a slug means one service at one clinic and another at another; NoSuchSlot for what the provider does not
    offer.
    """
    names = {str(one) for one in (*([] if service is None else [service]), *tests)}
    if not names:
        return clinic_id, []
    if slots_needed != 1:
        raise BadInput(
            "slots_needed: a service or test says itself how long it takes; leave `slots_needed` out, or ask for a "
            "visit without `service` and `tests`."
        )
    if len(names) > SERVICES_MAX:
        raise BadInput(f"tests: at most {SERVICES_MAX} go into one visit; book the others as a visit of their own.")
    ids = {name: service_id for name in names if (service_id := _id_in(name)) is not None}
    slugs = sorted(names - ids.keys())
    if unknown := [name for name in slugs if name.isdecimal() or not _SLUG.fullmatch(name)]:
        raise _no_such_service(unknown)
    if clinic_id is not None and not slugs:
        return clinic_id, sorted(ids.values())
    if request is not None:
        kept = await app.book.services_of_request(provider_id, *request)
        if kept is not None and await _are_meant(app.known_services, kept["service_ids"], {*ids.values(), *slugs}):
            return clinic_id or kept["clinic_id"], kept["service_ids"]
    return await _found(app.known_services, provider_id, clinic_id, sorted(ids.values()), slugs)


async def requested_slugs(app: AppServices, names: Sequence[str]) -> list[str]:
    """Return the slugs of services that a search names by slugs or ids, each once; an unknown id stays as it is."""
    ids = {name: service_id for name in names if (service_id := _id_in(name)) is not None}
    known = await app.known_services.find(ids.values()) if ids else {}
    slugs = {name: known[service_id].slug for name, service_id in ids.items() if service_id in known}
    return list(dict.fromkeys(slugs.get(name, name) for name in names))


def _id_in(name: str) -> int | None:
    """Return the id that a service is named by; None where it is named by its slug, or by a number that is no id."""
    is_id = name.isascii() and name.isdecimal() and len(name) <= len(str(ID_MAX)) and 1 <= int(name) <= ID_MAX
    return int(name) if is_id else None


async def _are_meant(known: KnownServices, service_ids: Sequence[int], names: set[int | str]) -> bool:
    """Return whether these names, ids or slugs, are those of just these services."""
    named = [{one.service_id, one.slug} & names for one in await known.of(service_ids)]
    return all(named) and set().union(*named) == names


async def _found(
    known: KnownServices, provider_id: int, clinic_id: int | None, ids: Sequence[int], slugs: Sequence[str]
) -> tuple[int | None, list[int]]:
    offered = defaultdict[int, dict[int | str, int]](dict)
    for row in await known.offered(provider_id, clinic_id, ids, slugs):
        offered[row["clinic_id"]] |= {row["service_id"]: row["service_id"], row["slug"]: row["service_id"]}
    if unknown := [slug for slug in slugs if not any(slug in services for services in offered.values())]:
        raise _no_such_service(unknown)
    names: set[int | str] = {*ids, *slugs}
    meant = {
        at: tuple(sorted({services[name] for name in names}))
        for at, services in offered.items()
        if names <= services.keys()
    }
    if not meant:
        somewhere = {services[slug] for services in offered.values() for slug in slugs if slug in services}
        raise await _refused(known, provider_id, clinic_id, sorted({*ids, *somewhere}))
    if len(set(meant.values())) > 1:
        raise BadInput(f"clinic_id: {_shown(slugs)} differs from clinic to clinic; say at which you want it.")
    at, service_ids = next(iter(meant.items()))
    return at if len(meant) == 1 else None, list(service_ids)


async def _refused(
    known: KnownServices, provider_id: int, clinic_id: int | None, service_ids: Sequence[int]
) -> HealthPlusError:
    """Return the error for services that no clinic, or not the one that is named, offers together."""
    if clinic_id is None:
        clinics = {one.clinic_id for one in await known.of(service_ids)} - {None}
        clinic_id = clinics.pop() if len(clinics) == 1 else None
    reason = await known.refusal(provider_id, clinic_id, service_ids)
    return _error(reason or "service_closed")


async def require_bookable(
    app: AppServices, provider_id: int, clinic_id: int | None, service_ids: Sequence[int]
) -> None:
    """Raise what a hold of services at a clinic (None: at any of the provider's) would be refused with."""
    reason = await app.known_services.refusal(provider_id, clinic_id, service_ids)
    if reason is not None:
        raise _error(reason)


def _error(reason: str) -> HealthPlusError:
    return error_for_refusal(Refused("no_such_slot", reason=reason))  # type: ignore[arg-type]


def _no_such_service(names: Iterable[str]) -> NoSuchSlot:
    detail = f"The provider does not offer {_shown(names)} here; look at the provider's `services`."
    return NoSuchSlot(detail, reason="no_such_service")


def _shown(names: Iterable[str]) -> str:
    return ", ".join(repr(name[:50]) for name in sorted(names)[:5])
