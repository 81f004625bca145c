"""Every state of a payment is said in the same words wherever it is said: pages, receipt, API and messages."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx
import pytest
from litestar import Litestar

from healthplus.notices.texts import Wording, email_of, sms_of
from healthplus.web.http.payment_words import payment_label, payment_words, unanswered_words
from healthplus.web.languages import ENGLISH, HINDI
from tests.fixtures.clock import until
from tests.fixtures.environment import PROVIDER, Environment
from tests.notices.test_texts import ROW
from tests.web.client import Client
from tests.web.test_appointments_pages import is_receipted, said, sign_in

pytestmark = [pytest.mark.usefixtures("app"), pytest.mark.dates]

# How a payment comes to be so, and its label; of those that are over, what a message then says.
STATES = {
    "capture_due": ("state = 'authorised', due = 'capture'", "booked", "Paid"),
    "captured": ("state = 'captured', due = NULL, captured_at = app_now()", "booked", "Paid"),
    "void_due": ("state = 'authorised', due = 'void'", "cancelled", "Refund started"),
    "voided": ("state = 'voided', due = NULL, voided_at = app_now()", "cancelled", "Refunded"),
    "refund_due": ("state = 'captured', due = 'refund', captured_at = app_now()", "cancelled", "Refund started"),
    "refunded": (
        "state = 'refunded', due = NULL, captured_at = app_now(), refunded_at = app_now()",
        "cancelled",
        "Refunded",
    ),
    "kept": (
        "state = 'captured', due = NULL, captured_at = app_now(), kept_minor = amount_minor",
        "cancelled",
        "Not refunded",
    ),
}
LABELS = {"unanswered": "Your bank has not answered yet"}


@pytest.mark.parametrize("state", STATES)
async def test_all_places_say_one_thing_of_a_payment(
    state: str, app: Litestar, http: httpx.AsyncClient, asha: Client, environment: Environment
) -> None:
    change, becomes, label = STATES[state]
    sign_in(http, environment, "asha")
    booking_id = await environment.held()
    assert (await environment.book.confirm(PROVIDER, booking_id, "aside", environment.actor("asha"))).code == "booked"
    path = f"/appointments/{PROVIDER}/{booking_id}"
    if becomes == "cancelled":
        await environment.book.cancel(PROVIDER, booking_id, environment.actor("asha"))
    # Later than the tasks in the background look for what is due; the sources go with the instants.
    sources = "".join(
        f", {name}_source = 'answer'" for name in ("captured", "voided", "refunded") if f"{name}_at" in change
    )
    await environment.db.execute(
        f"UPDATE ledger.payment SET at = app_now() + interval '1 day', {change}{sources} WHERE booking_id = $1",
        booking_id,
    )
    money = await app.state.services.payments.money(PROVIDER, booking_id)
    assert money is not None
    assert money.money == state
    for language, prefix in ((ENGLISH, ""), (HINDI, "/hi")):
        words = payment_words(language, money)
        assert words.startswith(payment_label(language, state))
        assert payment_label(ENGLISH, state) == label
        assert words in await said(http, f"{prefix}{path}")
        assert words in await said(http, f"{prefix}/doctor/{PROVIDER}/hold/{booking_id}")
        assert payment_label(language, state) in await said(http, f"{prefix}/appointments")
        if state in ("captured", "refund_due", "refunded", "kept"):
            await until(lambda: is_receipted(environment))
            assert state == "captured" or words in await said(http, f"{prefix}{path}/receipt")
    read = (await asha.get(f"/api/v1/providers/{PROVIDER}/appointments/{booking_id}")).json()
    assert (read["money"], read["money_text"]) == (state, payment_words(ENGLISH, money))
    if state in ("voided", "refunded"):
        for text in messages_of(kind="refunded", returned_minor=50_000):
            assert "Refund processed: " in text


async def test_all_places_say_that_the_bank_has_not_answered(
    app: Litestar, http: httpx.AsyncClient, asha: Client, environment: Environment
) -> None:
    sign_in(http, environment, "asha")
    held = await environment.held()
    page = f"/doctor/{PROVIDER}/hold/{held}"
    answer = await asha.post(f"providers/{PROVIDER}/holds/{held}/payment", {"method": "sandbox-unreachable"})
    assert answer.status_code == 503
    shown = await said(http, page)  # without what the address says of the bank
    assert "Your bank hasn’t answered" in shown
    assert "Paying another way is safe" in shown
    assert "Pay ₹500" in shown
    await environment.pass_time(minutes=6)
    assert LABELS["unanswered"] in await said(http, "/appointments")
    for language, prefix in ((ENGLISH, ""), (HINDI, "/hi")):
        text = re.sub(r"<[^>]+>", " ", (await http.get(f"{prefix}{page}")).text)
        assert unanswered_words(language) in text
        assert language.gettext("No money was taken.") not in text
    problem = (await asha.get(f"providers/{PROVIDER}/holds/{held}")).json()
    assert (problem["code"], problem["money"]) == ("expired", "unanswered")
    assert problem["money_text"] == unanswered_words(ENGLISH)
    # Once the bank has said that it was asked for nothing, or two days have passed, nothing is left to be known.
    await environment.db.execute("DELETE FROM payments.intent")
    assert "No money was taken." in (await http.get(page)).text


def messages_of(**values: object) -> list[str]:
    """Return what an SMS and an e-mail say."""
    row, wording = ROW | values, Wording("https://healthplus.example", timedelta(seconds=5))
    return [sms_of(row, wording).text, email_of(row, wording).text]
