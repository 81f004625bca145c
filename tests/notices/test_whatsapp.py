"""WhatsApp: what its Cloud API is sent, and what becomes of what it does not take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from healthplus.database import Database
from healthplus.errors import NoticeUndelivered
from healthplus.notices.sender import Sms
from healthplus.notices.senders import open_senders
from healthplus.settings import Settings
from tests.fixtures.relay import Relay

MESSAGE = Sms(
    "+919876543210", "HealthPlus: …", "reminder", "ab12", "hi", ("बुध 25 नव॰, सुबह 10:20 IST", "https://h/hi/a/x")
)


async def no_connection() -> Any:
    raise AssertionError("only the sandbox needs a database")


UNUSED = Database(no_connection, 1)


def settings(whatsapp: Relay, sms: Relay, templates: str = "reminder=remind_1 reminder.hi=remind_2") -> Settings:
    return Settings(
        database_url=None,
        data_folder=Path(),
        sms_url=sms.url,
        whatsapp_url=whatsapp.url.removesuffix("/sms"),
        whatsapp_token="wa-token",
        whatsapp_phone_id="1066",
        whatsapp_templates=templates,
    )


async def test_a_template_with_its_values_goes_to_the_cloud_api() -> None:
    async with Relay() as whatsapp, Relay() as sms, open_senders(settings(whatsapp, sms), UNUSED) as senders:
        assert senders.whatsapp
        await senders.whatsapp.send(MESSAGE)
        assert sms.bodies == []
    assert whatsapp.paths == ["/1066/messages"]
    assert whatsapp.headers[0]["Authorization"] == "Bearer wa-token"
    assert whatsapp.bodies == [
        {
            "messaging_product": "whatsapp",
            "to": "919876543210",
            "type": "template",
            "template": {
                "name": "remind_2",
                "language": {"code": "hi"},
                "components": [
                    {"type": "body", "parameters": [{"type": "text", "text": value} for value in MESSAGE.values]}
                ],
            },
            "biz_opaque_callback_data": "ab12",
        }
    ]


@pytest.mark.parametrize(("status", "templates"), [(400, "reminder.hi=remind_2"), (200, "booked=b_1")])
async def test_what_it_will_never_take_goes_by_sms(status: int, templates: str) -> None:
    async with Relay() as whatsapp, Relay() as sms, open_senders(settings(whatsapp, sms, templates), UNUSED) as senders:
        whatsapp.status = status
        assert senders.whatsapp
        await senders.whatsapp.send(MESSAGE)
        assert [body["id"] for body in sms.bodies] == ["ab12"]
        assert len(whatsapp.bodies) == (status == 400)


@pytest.mark.parametrize("status", [401, 429, 500, 302])
async def test_what_it_does_not_take_just_now_is_tried_again(status: int) -> None:
    async with Relay() as whatsapp, Relay() as sms, open_senders(settings(whatsapp, sms), UNUSED) as senders:
        whatsapp.status = status
        assert senders.whatsapp
        with pytest.raises(NoticeUndelivered, match=str(status)) as error:
            await senders.whatsapp.send(MESSAGE)
        assert sms.bodies == []
        assert not any(secret in error.value.detail for secret in ("98765", "wa-token"))
