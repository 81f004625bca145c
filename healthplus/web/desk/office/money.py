"""What does not match between the ledger and the payment companies, each with what to do about it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from healthplus.booking.numbers import number_of
from healthplus.console.console import queries
from healthplus.errors import NotFound
from healthplus.payments.differences import NOTHING
from healthplus.web.desk.office.administration_page import administration_page
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import read_form
from healthplus.web.desk.session import again, console, needs, require_recent_proof
from healthplus.web.languages import HOME_ZONE, N_, Language
from healthplus.web.pages.rendering import language_of, see_other
from healthplus.web.services import AnyRequest

_PATH = "/office/money"
_ROWS = 30
_NOTE_LENGTH_MAX = 1000
_ACCOUNT_LENGTH_MAX = 30

WHAT = {
    "unknown_here": (
        N_("Money that belongs to no booking here"),
        N_(
            "The payment company has it, and we do not know what for. Look there who paid. If it was for no visit, "
            "give it back there, then have it looked at again."
        ),
    ),
    "unknown_there": (
        N_("A payment that the payment company does not know"),
        N_(
            "Look there whether it is of another account. If the money never came and the visit stands, take the fee "
            "at the desk."
        ),
    ),
    "amount": (
        N_("Another amount"),
        N_("Compare both with what the visit costs. Give back there what is too much, or ask the payment company."),
    ),
    "state": (
        N_("Taken at one, not at the other"),
        N_(
            "Have it looked at again first. If it stays so, do at the payment company what is due: take the money of "
            "a visit that stands, give back that of one that does not."
        ),
    ),
    "refund": (
        N_("Not as much has gone back"),
        N_(
            "If somebody gave money back at the payment company by hand, note here why. If the patient is still owed "
            "money, give it back there."
        ),
    ),
    "kept": (
        N_("Money kept without a booking"),
        N_(
            "It was paid for a visit that does not stand, and nothing sends it back. "
            "Give it back at the payment company."
        ),
    ),
    "settled_unknown": (
        N_("Paid out, and no payment here"),
        N_(
            "A settlement has money of a payment or refund that is not known here. Look at the payment company what it "
            "was for, and whether the account takes other money, too."
        ),
    ),
    "settled_amount": (
        N_("Another amount paid out"),
        N_(
            "The settlement has another amount than was taken or given back. Compare both with the receipt, and ask "
            "the payment company."
        ),
    ),
    "settled_twice": (
        N_("Settled more than once"),
        N_("The same payment or refund is in settlements more than once. The payment company has to put it right."),
    ),
    "settled_missing": (
        N_("Not paid out"),
        N_(
            "It is in no settlement, although later money is. If settlements of that time were not read, import their "
            "file. Else ask the payment company when it comes."
        ),
    ),
    "settled_other": (
        N_("Neither a payment nor a refund"),
        N_(
            "The payment company took or gave this on its own, as for a dispute. Look there why, answer a dispute in "
            "time, and book it."
        ),
    ),
    "settled_fee": (
        N_("The fee does not add up"),
        N_("The amount less the fee is not what was paid out for it. Ask the payment company for its invoice."),
    ),
    "settled_sum": (
        N_("The settlement does not add up"),
        N_(
            "Its payments less refunds and fees are not what was paid out. Compare it with the bank statement, then "
            "ask the payment company for what is missing."
        ),
    ),
}
"""By the kind of a case: what it is, and what to do."""
_STATES = {
    "authorised": N_("set aside"),
    "captured": N_("taken"),
    "voided": N_("let go"),
    "refunded": N_("given back"),
    NOTHING: N_("not known"),
}


class MoneyController(Controller):
    path = _PATH

    @get(**needs("see_operations"))
    async def cases(self, request: AnyRequest) -> Response[str]:
        return await _page(request)

    @post("/{case_id:uuid}/look", **needs("see_operations"))
    async def look(self, request: AnyRequest, case_id: FromPath[UUID]) -> Response[str]:
        """Have the payment company be asked again."""
        row = await console(request).change(queries.look_at_case, case_id)
        assert row is not None
        return _answered(request, row["answer"], "looked")

    @post("/{case_id:uuid}/close", **needs("see_operations"))
    async def close(self, request: AnyRequest, case_id: FromPath[UUID]) -> Response[str]:
        """Close a case by hand, with a note of what was done."""
        require_recent_proof(request, again(_PATH))
        form = await read_form(request)
        note = form.text("note", _NOTE_LENGTH_MAX, required=True, lines=True)
        if not form.is_good:
            form.errors[f"note-{case_id}"] = form.errors.pop("note")
            form.given[f"note-{case_id}"] = form.given.get("note", "")
            return await _page(request, form)
        row = await console(request).change(queries.close_case, case_id, note)
        assert row is not None
        return _answered(request, row["answer"], "closed")


def _answered(request: AnyRequest, answer: str, done: str) -> Response[str]:
    if answer == "not_found":
        raise NotFound
    return see_other(request, _PATH, {"done": done if answer == "done" else answer})


def said(language: Language, kind: str, text: str) -> str:
    """Return what one side says of a payment, in words: its state, or amounts as in `USD 70000 500`."""
    if text in _STATES:
        return language.gettext(_STATES[text])
    currency, *amounts = text.split()
    shown = ", ".join(language.money(int(amount), currency) for amount in amounts)
    return language.gettext("%(amount)s given back") % {"amount": shown} if kind == "refund" else shown


def _instant(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None and 2000 <= at.year < 2200 else None


async def _page(request: AnyRequest, form: Form | None = None) -> Response[str]:
    query = Form({name: value[:200] for name, value in request.query_params.items()}, language_of(request))
    account = query.given.get("account", "")[:_ACCOUNT_LENGTH_MAX].replace("\0", "")
    clinic_id = query.id("clinic", "") if query.given.get("clinic") else None
    is_open = query.given.get("state") != "closed"
    before = _instant(query.given.get("before", ""))
    checks = await console(request).fetch(queries.money_checks)
    rows = await console(request).fetch(queries.money_cases, account or None, clinic_id, is_open, before, _ROWS + 1)
    shown = rows[:_ROWS]
    last = (shown[-1]["closed_at"] or shown[-1]["found_at"]) if len(rows) > _ROWS else None
    chosen = {"account": account, "clinic": str(clinic_id or ""), "state": "open" if is_open else "closed"}
    if form is None:
        form = Form(chosen, language_of(request))
    else:
        form.given |= chosen
    return administration_page(
        request,
        "money.html",
        "money",
        form,
        cases=shown,
        checks=checks,
        accounts=[(row["account"], row["account"]) for row in checks],
        what=WHAT,
        said=said,
        is_open=is_open,
        clinics=({clinic_id: f"{clinic_id}"} if clinic_id else {})
        | {row["clinic_id"]: row["clinic"] for row in shown if row["clinic_id"]},
        chosen={name: value for name, value in chosen.items() if value},
        before=last.isoformat() if last else None,
        zone=HOME_ZONE,
        number_of=number_of,
    )
