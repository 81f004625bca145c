"""Sends texts by WhatsApp's Cloud API, each as a template that Meta has approved."""

from __future__ import annotations

import aiohttp

from healthplus.errors import NoticeRefused
from healthplus.notices.sender import Sms, SmsSender, post_message
from healthplus.setting_checks import registered_texts
from healthplus.settings import Settings


class WhatsAppSender:
    """An SmsSender. What WhatsApp will never take, such as for a number that it does not know, goes by SMS instead."""

    def __init__(self, session: aiohttp.ClientSession, settings: Settings, instead: SmsSender) -> None:
        self._session = session
        self._url = f"{settings.whatsapp_url.rstrip('/')}/{settings.whatsapp_phone_id}/messages"
        self._headers = {"Authorization": f"Bearer {settings.whatsapp_token}"}
        self._templates = registered_texts(settings.whatsapp_templates)
        self._instead = instead

    async def send(self, message: Sms, /) -> None:
        template = self._templates.get(message.registered_name)
        if template is None:
            await self._instead.send(message)
            return
        try:
            await self._send(message, template)
        except NoticeRefused:
            await self._instead.send(message)

    async def _send(self, message: Sms, template: str) -> None:
        values = [{"type": "text", "text": value} for value in message.values]
        body = {
            "messaging_product": "whatsapp",
            "to": message.to.removeprefix("+"),
            "type": "template",
            "template": {
                "name": template,
                "language": {"code": message.language},
                "components": [{"type": "body", "parameters": values}],
            },
            "biz_opaque_callback_data": message.id,
        }
        await post_message("WhatsApp", self._session, self._url, body, self._headers)
