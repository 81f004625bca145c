"""Providers of a clinic: adding one, their profile, fee and photo, closing and opening them there."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, get, post

from healthplus.console.console import queries
from healthplus.directory.fees import amount_text
from healthplus.names import slug
from healthplus.web.desk.office.closing import end_shifts, last_day_of
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import (
    BODY_BYTES_MAX,
    ask,
    change,
    marks_of,
    moved_and_flagged,
    moves_of,
    note_refusal,
    office_page,
    read_form,
    seen_at,
    take_over,
)
from healthplus.web.desk.office.upload import PHOTO_BYTES_MAX, UPLOAD_BYTES_MAX, read_photo
from healthplus.web.desk.session import needs
from healthplus.web.http.ids import ClinicId, ProviderId
from healthplus.web.pages.rendering import language_of, see_other
from healthplus.web.services import AnyRequest, services

TYPES = ("doctor", "clinic", "hospital", "lab")
GENDERS = ("", "female", "male", "other")


class ProvidersController(Controller):
    path = "/office/{clinic_id:int}/provider"

    @get("/new", **needs("manage_schedule"))
    async def ask_new(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        return await _provider_page(request, clinic_id, None)

    @post("/new", **needs("manage_schedule"))
    async def add(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        return await _put(request, clinic_id, None)

    @get("/{provider_id:int}", **needs("manage_schedule"))
    async def profile(self, request: AnyRequest, clinic_id: ClinicId, provider_id: ProviderId) -> Response[str]:
        return await _provider_page(request, clinic_id, provider_id)

    @post("/{provider_id:int}", **needs("manage_schedule"))
    async def change_profile(self, request: AnyRequest, clinic_id: ClinicId, provider_id: ProviderId) -> Response[str]:
        return await _put(request, clinic_id, provider_id)

    @post("/{provider_id:int}/photo", request_max_body_size=UPLOAD_BYTES_MAX, **needs("manage_schedule"))
    async def set_photo(self, request: AnyRequest, clinic_id: ClinicId, provider_id: ProviderId) -> Response[str]:
        form = Form({}, language_of(request))
        encoded = await read_photo(request, form)
        if encoded is None:
            return await _provider_page(request, clinic_id, provider_id, form)
        photo = (encoded.hash, list(encoded.webp), list(encoded.webp.values()))
        return await _answer_photo(request, clinic_id, provider_id, *photo)

    @post("/{provider_id:int}/photo/remove", **needs("manage_schedule"))
    async def remove_photo(self, request: AnyRequest, clinic_id: ClinicId, provider_id: ProviderId) -> Response[str]:
        return await _answer_photo(request, clinic_id, provider_id, None, [], [])

    @post("/{provider_id:int}/close", request_max_body_size=BODY_BYTES_MAX, **needs("manage_schedule"))
    async def close(self, request: AnyRequest, clinic_id: ClinicId, provider_id: ProviderId) -> Response[str]:
        """Close a provider at the clinic, once the sender was shown which bookings are in the way.

        After a last day: their shifts end with it, and what is in the way can be moved to days before.
        """
        form, now = await read_form(request), services(request).clock.now()
        clinic = await ask(request, queries.office, clinic_id)
        last = last_day_of(form, clinic["time_zone"], now)
        if not form.is_good:
            return await _provider_page(request, clinic_id, provider_id, form)
        seen, done = seen_at(form), "closed"
        if last is not None:
            answer, done = await end_shifts(request, clinic_id, provider_id, last, seen, moves_of(form)), "ends"
        else:
            answer = await change(request, queries.set_provider_closed, clinic_id, provider_id, now, seen)
        if answer["code"] == "changed":
            return see_other(request, f"/office/{clinic_id}", {"done": done, **moved_and_flagged(answer)})
        note_refusal(form, answer, request, "last_day")
        return await _provider_page(request, clinic_id, provider_id, form, answer)

    @post("/{provider_id:int}/open", **needs("manage_schedule"))
    async def open(self, request: AnyRequest, clinic_id: ClinicId, provider_id: ProviderId) -> Response[str]:
        answer = await change(request, queries.set_provider_closed, clinic_id, provider_id, None, None)
        path = f"/office/{clinic_id}/provider/{provider_id}"
        # Where all of the clinic is closed, or the provider everywhere, the page says so.
        done = {} if answer["code"] == "place_closed" else {"done": "open", **moved_and_flagged(answer)}
        return see_other(request, path, done)


async def _put(request: AnyRequest, clinic_id: int, provider_id: int | None) -> Response[str]:
    form = await read_form(request)
    clinic = await ask(request, queries.office, clinic_id)
    given = _provider_of(form, clinic["currency"], services(request).clock.now().year)
    if not form.is_good:
        return await _provider_page(request, clinic_id, provider_id, form)
    version = form.given.get("version", "")[:64]
    answer = await change(request, queries.put_provider, clinic_id, provider_id, given, version)
    if answer["code"] == "new_speciality":
        form.fail("specialities", form.gettext("One of these is not known here yet. Ask an administrator to add it."))
        return await _provider_page(request, clinic_id, provider_id, form)
    if answer["code"] == "stale":
        return await _provider_page(request, clinic_id, provider_id, form, answer)
    if provider_id is None:
        return see_other(request, f"/office/{clinic_id}/provider/{answer['provider_id']}", {"done": "added"})
    return see_other(request, f"/office/{clinic_id}/provider/{provider_id}", {"done": "saved"})


def _provider_of(form: Form, currency: str, this_year: int) -> dict[str, Any]:
    fee_minor, funding = form.fee_and_funding(currency)
    if not funding and fee_minor is not None:
        funding = "online" if fee_minor else "clinic"
    since = form.given.get("practising_since", "").strip()
    return {
        "type": form.choice("type", TYPES, "doctor"),
        "name": form.name("name", 200, required=True),
        "gender": form.choice("gender", GENDERS),
        "qualifications": form.text("qualifications", 200),
        "registration": form.written(
            "registration", 60, r"[\w .,:/()-]+", form.gettext("Letters, digits and signs as in MMC/2011/04321.")
        ),
        "council": form.text("council", 200),
        "training": form.text("training", 200),
        "bio": form.text("bio", 1000, lines=True),
        "languages": form.names("languages", 20),
        "practising_since": form.number("practising_since", 1900, this_year) if since else None,
        "phone": form.phone("phone"),
        "accepts_new_patients": form.given.get("accepts", "1") == "1",
        "max_booking_days": form.number("max_booking_days", 0, 366, 60),
        "specialities": [{"slug": slug(name), "name": name} for name in form.names("specialities", 10)],
        "fee_minor": fee_minor,
        "funding": funding,
    }


async def _answer_photo(
    request: AnyRequest,
    clinic_id: int,
    provider_id: int,
    content_hash: str | None,
    sizes: list[int],
    webps: list[bytes],
) -> Response[str]:
    answer = await change(request, queries.set_photo, clinic_id, provider_id, content_hash, sizes, webps)
    if answer["code"] == "elsewhere":
        form = Form({}, language_of(request))
        form.fail("photo", form.gettext("They work at other clinics, too: an administrator changes their profile."))
        return await _provider_page(request, clinic_id, provider_id, form)
    path = f"/office/{clinic_id}/provider/{provider_id}"
    return see_other(request, path, {"done": "photo" if content_hash else "photo_removed"})


async def _provider_page(
    request: AnyRequest,
    clinic_id: int,
    provider_id: int | None,
    form: Form | None = None,
    answer: dict[str, Any] | None = None,
) -> Response[str]:
    clinic = await ask(request, queries.office, clinic_id)
    provider = None if provider_id is None else await ask(request, queries.provider, clinic_id, provider_id)
    stored, changed = _given_of(provider) if provider else {"type": "doctor"}, list[str]()
    if form is None:
        form = Form({**stored, "marks": marks_of(stored)}, language_of(request))
    elif "name" not in form.given:  # of the photo, or of closing
        form.given = {**stored, "marks": marks_of(stored), **form.given}
    elif answer and answer["code"] == "stale":
        changed = take_over(form, stored)
        form.given["version"] = answer["now"]["version"]
    return office_page(
        request, "provider.html", clinic_id, "providers", form,
        clinic=clinic, provider=provider, stored=stored, changed=changed, answer=answer, zone=clinic["time_zone"],
        this_year=services(request).clock.now().year, photo_bytes_max=PHOTO_BYTES_MAX,
    )  # fmt: skip


def _given_of(provider: dict[str, Any]) -> dict[str, str]:
    plain = (
        "type",
        "name",
        "gender",
        "qualifications",
        "registration",
        "council",
        "training",
        "bio",
        "phone",
        "version",
        "funding",
    )
    return {
        **{name: provider[name] for name in plain},
        "languages": ", ".join(provider["languages"]),
        "specialities": ", ".join(provider["specialities"]),
        "practising_since": str(provider["practising_since"] or ""),
        "max_booking_days": str(provider["max_booking_days"]),
        "accepts": "1" if provider["accepts_new_patients"] else "0",
        "fee": amount_text(provider["fee_minor"], provider["currency"]),
    }
