"""What the forms of staff's accounts share."""

from __future__ import annotations

from urllib.parse import urlencode

from litestar import Response

from healthplus.staff.accounts import NAME_LENGTH_MAX, is_log_on, normal_log_on
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.question import question_page
from healthplus.web.pages.rendering import language_of
from healthplus.web.services import AnyRequest

_TYPED_LENGTH_MAX = 200


def name_and_log_on(form: Form) -> tuple[str, str]:
    """Return the log-on ID and the name that somebody is to have; what is wrong is noted in the form."""
    log_on = normal_log_on(form.given.get("log_on", ""))
    if not is_log_on(log_on):
        form.fail(
            "log_on",
            form.gettext("This can’t be a log-on ID. Write it like asha.rao."),
        )
    return log_on, form.name("name", NAME_LENGTH_MAX, required=True)


def ask_to_disable(request: AnyRequest, form: Form, back: str, name: str) -> Response[str]:
    asked = form.gettext("Disable the account of %(name)s?") % {"name": name}
    says = form.gettext(
        "They are logged out everywhere at once; their password, app and passkeys end. "
        "To come back they need a new log-in link."
    )
    return question_page(request, form, back, asked, says, form.gettext("Disable the account"))


def put_aside(path: str, form: Form, *fields: str) -> str:
    """Return the address that brings back a form with what was typed, once its sender has shown who they are."""
    typed = {name: form.given[name][:_TYPED_LENGTH_MAX] for name in fields if form.given.get(name)}
    return f"{path}?{urlencode(typed)}" if typed else path


def brought_back(request: AnyRequest) -> Form:
    """Return the form that `put_aside` put into the address; an empty one else."""
    return Form(dict(request.query_params.items()), language_of(request))
