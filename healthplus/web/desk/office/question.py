"""What is asked before a press that nothing takes back, or that gives much away."""

from __future__ import annotations

from litestar import Response

from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.session import desk_page
from healthplus.web.services import AnyRequest


def is_sure(form: Form) -> bool:
    """Return whether the sender was asked, and pressed the button that does it."""
    return form.given.get("sure") == "1"


def question_page(request: AnyRequest, form: Form, back: str, asked: str, says: str, press: str) -> Response[str]:
    """Return a page that asks `asked` and sends the same form again by a button called `press`; nothing is done yet.

    `says` is what will come of it, and `back` where one goes who does not want it.
    """
    kept = {name: value for name, value in form.given.items() if name != "sure"}
    return desk_page(request, "office/question.html", kept=kept, back=back, asked=asked, says=says, press=press, tab="")
