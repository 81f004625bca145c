"""Pictures of a clinic, which its page shows to patients: adding and removing them, their texts and order."""

from __future__ import annotations

from litestar import Controller, Response, post

from healthplus.console.console import queries
from healthplus.errors import NotFound
from healthplus.web.desk.office.clinic_page import PICTURES_MAX, clinic_page
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import ask, change, read_form
from healthplus.web.desk.office.upload import UPLOAD_BYTES_MAX, read_photo
from healthplus.web.desk.session import needs
from healthplus.web.http.ids import ClinicId, PhotoHash
from healthplus.web.languages import N_
from healthplus.web.pages.rendering import language_of, see_other
from healthplus.web.services import AnyRequest

_TEXT_LENGTH_MAX = 200
_REFUSED = {
    "there": N_("The clinic has this picture already."),
    "full": N_("There are six pictures. Remove one first."),
}


class ClinicPicturesController(Controller):
    path = "/office/{clinic_id:int}/picture"

    @post(request_max_body_size=UPLOAD_BYTES_MAX, **needs("manage_schedule"))
    async def add(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        form = Form({}, language_of(request))
        encoded = await read_photo(request, form)
        text = form.text("photo_text", _TEXT_LENGTH_MAX, required=True)
        if encoded is None or not form.is_good:
            return await clinic_page(request, clinic_id, form)
        photo = (encoded.hash, list(encoded.webp), list(encoded.webp.values()), text)
        answer = await change(request, queries.add_clinic_picture, clinic_id, *photo)
        if answer["code"] in _REFUSED:
            form.fail("photo", form.gettext(_REFUSED[answer["code"]]))
            return await clinic_page(request, clinic_id, form)
        return _see_pictures(request, clinic_id, "picture")

    @post("/{picture:str}", **needs("manage_schedule"))
    async def change(self, request: AnyRequest, clinic_id: ClinicId, picture: PhotoHash) -> Response[str]:
        """Say what is to be seen on a picture, and put it in its place."""
        form = await read_form(request)
        field = f"text-{picture}"
        form.given[field] = form.given.pop("text", "")
        text = form.text(field, _TEXT_LENGTH_MAX, required=True)
        place = form.number("place", 1, PICTURES_MAX)
        if not form.is_good:
            clinic = await ask(request, queries.office, clinic_id)
            if picture not in [one["hash"] for one in clinic["pictures"]]:
                raise NotFound
            return await clinic_page(request, clinic_id, form)
        await change(request, queries.change_clinic_picture, clinic_id, picture, text, place)
        return _see_pictures(request, clinic_id, "picture")

    @post("/{picture:str}/remove", **needs("manage_schedule"))
    async def remove(self, request: AnyRequest, clinic_id: ClinicId, picture: PhotoHash) -> Response[str]:
        await change(request, queries.change_clinic_picture, clinic_id, picture, "", None)
        return _see_pictures(request, clinic_id, "picture_removed")


def _see_pictures(request: AnyRequest, clinic_id: int, done: str) -> Response[str]:
    return see_other(request, f"/office/{clinic_id}/clinic", {"done": done})
