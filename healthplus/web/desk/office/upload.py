"""A photo that a form brings: read, looked at and encoded; and why one is not taken, in plain words."""

from __future__ import annotations

import asyncio

from litestar.datastructures import UploadFile
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from healthplus.directory.picture_files import is_only_picture
from healthplus.directory.pictures import Encoded, encode
from healthplus.errors import BadInput
from healthplus.web.desk.office.forms import Form
from healthplus.web.languages import N_
from healthplus.web.services import AnyRequest

PHOTO_BYTES_MAX = 2 * 1024 * 1024
UPLOAD_BYTES_MAX = PHOTO_BYTES_MAX + 4 * 1024
"""Of a form with its file."""
_encoding = asyncio.Semaphore(1)
"""One large picture at a time fits into the memory."""

_TEXTS = {
    "none": N_("Choose a photo first."),
    "too large": N_("This file is larger than 2 MB. Choose a smaller photo, or have your phone make it smaller."),
    "something else besides": N_(
        "This file is not only a photo. Open it in a picture program, and save it again as JPEG."
    ),
    "it was saved in too many parts": N_(
        "This photo was saved in too many parts. Open it in a picture program, and save it again as JPEG."
    ),
    "it moves": N_("This picture moves. Choose a still one."),
    "it is no picture that can be read: JPEG, PNG and WebP can": N_(
        "This is no photo that we can read. JPEG, PNG and WebP are taken."
    ),
}
_ANY = N_("This photo cannot be taken: each side needs 96 pixels or more, all of it 12 million at most (JPEG: 25).")


async def read_photo(request: AnyRequest, form: Form) -> Encoded | None:
    """Return the picture that was sent as `photo`, as it is stored; the form gets what else was sent.

    None: the form says what is wrong with it.
    """
    try:
        return await _read(request, form)
    except BadInput as problem:
        form.fail("photo", form.gettext(_TEXTS.get(str(problem), _ANY)))
        return None


async def _read(request: AnyRequest, form: Form) -> Encoded:
    try:
        sent = await request.form()
    except RequestEntityTooLarge:
        raise BadInput("too large") from None
    form.given |= {name: value.replace("\0", "") for name, value in sent.items() if isinstance(value, str)}
    file = sent.get("photo")
    content = await file.read() if isinstance(file, UploadFile) else b""
    if not content:
        raise BadInput("none")
    if len(content) > PHOTO_BYTES_MAX:
        raise BadInput("too large")
    async with _encoding:
        return await asyncio.to_thread(_encoded, content)


def _encoded(content: bytes) -> Encoded:
    """Return a picture as it is stored; what is a page, a script, a document or an archive besides is refused."""
    if not is_only_picture(content):
        raise BadInput("something else besides")
    return encode(content)
