"""What is to be done before an appointment hints at what it is for: only an e-mail says it."""

from __future__ import annotations

from healthplus.notices.texts import push_of
from tests.notices.test_texts import REMINDER_ID, ROW, WORDING, email, sms


def test_only_the_mail_of_a_reminder_says_what_is_to_be_done_before() -> None:
    row = {"kind": "reminder", "reminder_id": REMINDER_ID, "preparations": ["Do not eat for 10 hours before."]}
    assert "Before you come: Do not eat for 10 hours before.\n" in email(**row).text
    assert "Do not eat" in email(**row).html
    assert "आने से पहले: Do not eat" in email(**row, language="hi").text
    assert "eat" not in sms(**row).text
    assert "eat" not in push_of(ROW | row, WORDING).text
