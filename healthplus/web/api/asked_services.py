"""The services and tests that a request names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from healthplus.booking.outcomes import Refused
from healthplus.directory.known_services import SERVICES_MAX
from healthplus.errors import BadInput, NoSuchSlot
from healthplus.web.http.ids import ID_MAX
from healthplus.web.http.refusals import error_for_refusal
from healthplus.web.services import AppServices

_ID_OR_SLUG = re.compile("[0-9]+|[a-z0-9]+(-[a-z0-9]+)*")


async def asked_services(
    app: AppServices,
    provider_id: int,
    clinic_id: int | None,
    slots_needed: int,
    service: int | None,
    tests: Sequence[int | str],
) -> list[int]:
    """Return the ids of what a request names by `service` and `tests`: none for a visit of some slots.

    A test's slug is that of what the provider offers now. Raises BadInput for too many, and for slots beside services;
    NoSuchSlot for a slug of which the provider offers nothing.
    """
    if service is None and not tests:
        return []
    if slots_needed != 1:
        raise BadInput(
            "slots_needed: a service or test says itself how long it takes; leave `slots_needed` out, or ask for a "
            "visit without `service` and `tests`."
        )
    wanted = {str(one) for one in tests} | ({str(service)} if service is not None else set())
    if len(wanted) > SERVICES_MAX:
        raise BadInput(f"tests: at most {SERVICES_MAX} go into one visit; book the others as a visit of their own.")
    if unknown := [one for one in wanted if not _ID_OR_SLUG.fullmatch(one)]:
        raise _no_such_service(unknown)
    numbers = [one for one in wanted if one.isdecimal()]
    slugs = sorted(wanted.difference(numbers))
    if unknown := [one for one in numbers if len(one) > len(str(ID_MAX)) or not 1 <= int(one) <= ID_MAX]:
        raise _no_such_service(unknown)
    found = await app.known_services.open_by_slug(provider_id, clinic_id, slugs) if slugs else {}
    if unknown := [slug for slug in slugs if slug not in found]:
        raise _no_such_service(unknown)
    return sorted({*map(int, numbers), *found.values()})


def _no_such_service(names: list[str]) -> NoSuchSlot:
    shown = ", ".join(repr(name[:50]) for name in sorted(names)[:5])
    detail = f"The provider does not offer {shown} here; look at the provider's `services`."
    return NoSuchSlot(detail, reason="no_such_service")


async def require_bookable(
    app: AppServices, provider_id: int, clinic_id: int | None, service_ids: Sequence[int]
) -> int | None:
    """Return the clinic at which services can be booked together: the one named, or the one that alone has them.

    None: any of the provider's. Raises what a hold of them would be refused with.
    """
    if clinic_id is None:
        clinics = {one.clinic_id for one in await app.known_services.of(service_ids)} - {None}
        clinic_id = clinics.pop() if len(clinics) == 1 else None
    reason = await app.known_services.refusal(provider_id, clinic_id, service_ids)
    if reason is not None:
        raise error_for_refusal(Refused("no_such_slot", reason=reason))  # type: ignore[arg-type]
    return clinic_id
