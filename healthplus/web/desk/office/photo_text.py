"""Why a photo is not taken, in plain words."""

from __future__ import annotations

from collections.abc import Callable

from healthplus.errors import BadInput
from healthplus.web.languages import N_

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


def photo_problem(problem: BadInput, gettext: Callable[[str], str]) -> str:
    """Return what a page says of a photo that was refused."""
    return gettext(_TEXTS.get(str(problem), _ANY))
