"""Web push: encrypted as the standard's own example, sent to no host of our own network, and forgotten when gone."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from healthplus.accounts.patients import add_patient
from healthplus.database import Database
from healthplus.errors import BadInput, NoticeRefused, NoticeUndelivered
from healthplus.notices.push import PublicResolver, Subscription, WebPushSender, is_private
from healthplus.notices.sender import Push
from healthplus.notices.web_push import TEXT_BYTES_MAX, encrypt, from_text, new_private_key, private_key_of, to_text
from healthplus.settings import Settings
from tests.fixtures.push_service import HOST, Browser, PushService

# RFC 8291, section 5 and appendix A.
TEXT = b"When I grow up, I want to be a watermelon"
SENDER_PRIVATE = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
BROWSER_PRIVATE = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
BROWSER_PUBLIC = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_"
    "yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def test_the_standards_example() -> None:
    body = encrypt(
        TEXT,
        from_text(BROWSER_PUBLIC, 65),
        from_text(AUTH, 16),
        salt=from_text(SALT, 16),
        private_key=private_key_of(SENDER_PRIVATE),
    )
    assert to_text(body) == BODY
    browser = Browser(private_key_of(BROWSER_PRIVATE), from_text(AUTH, 16))
    assert (browser.key, browser.read(body)) == (from_text(BROWSER_PUBLIC, 65), TEXT)


def test_no_two_messages_look_alike_and_the_longest_fits() -> None:
    browser = Browser()
    bodies = [encrypt(TEXT, browser.key, browser.secret) for _ in range(2)]
    assert bodies[0] != bodies[1]
    assert [browser.read(body) for body in bodies] == [TEXT] * 2
    assert len(encrypt(b"x" * TEXT_BYTES_MAX, browser.key, browser.secret)) <= 4096


@pytest.mark.parametrize(
    ("endpoint", "key", "secret"),
    [
        ("http://push.example.com/x", BROWSER_PUBLIC, AUTH),
        ("https:///x", BROWSER_PUBLIC, AUTH),
        ("https://user@push.example.com/x", BROWSER_PUBLIC, AUTH),
        ("https://127.0.0.1/x", BROWSER_PUBLIC, AUTH),
        ("https://10.0.0.7/x", BROWSER_PUBLIC, AUTH),
        ("https://[::1]/x", BROWSER_PUBLIC, AUTH),
        ("https://[::ffff:10.0.0.1]/x", BROWSER_PUBLIC, AUTH),
        ("https://169.254.169.254/latest", BROWSER_PUBLIC, AUTH),
        ("https://[64:ff9b::a9fe:a9fe]/latest", BROWSER_PUBLIC, AUTH),  # where IPv4 is behind a translator
        ("https://[::7f00:1]/x", BROWSER_PUBLIC, AUTH),
        ("https://[2002:7f00:1::]/x", BROWSER_PUBLIC, AUTH),
        ("https://localhost/x", BROWSER_PUBLIC, AUTH),
        ("https://database/x", BROWSER_PUBLIC, AUTH),
        ("https://push.example.com/" + "x" * 1000, BROWSER_PUBLIC, AUTH),
        ("https://push.example.com/x", BROWSER_PUBLIC[:-4], AUTH),
        ("https://push.example.com/x", "B" + "A" * 86, AUTH),  # no point of the curve
        ("https://push.example.com/x", BROWSER_PUBLIC, AUTH[:-2]),
        ("https://push.example.com/x", "é", AUTH),
        ("", "", ""),
    ],
)
def test_what_is_no_subscription_is_refused(endpoint: str, key: str, secret: str) -> None:
    with pytest.raises(BadInput):
        Subscription.read(endpoint, key, secret)


def test_a_browsers_subscription_is_read() -> None:
    found = Subscription.read("https://push.example.com/x", BROWSER_PUBLIC + "=", AUTH + "==")
    assert (len(found.client_key), len(found.client_secret)) == (65, 16)
    assert not is_private("https://93.184.215.14/x")


async def test_a_name_that_leads_into_our_own_network_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at when it is connected to, so that a name cannot lead elsewhere by then."""
    found: list[Any] = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.1.2.3", 443)),
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("64:ff9b::a01:203", 443, 0, 0)),
    ]

    async def resolved(*_: object, **__: object) -> list[Any]:
        return found

    monkeypatch.setattr("asyncio.base_events.BaseEventLoop.getaddrinfo", resolved)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=PublicResolver())) as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.post("https://evil.example.com/")
    found.append((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", 443)))
    assert [one["host"] for one in await PublicResolver().resolve("mixed.example.com", 443)] == ["93.184.215.14"]


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[PushService]:
    async with PushService(tmp_path) as service:
        yield service


KEY = new_private_key()
SETTINGS = Settings(database_url=None, data_folder=Path(), push_key=KEY, mail_from="care@healthplus.example")


async def signed_in(db: Database) -> tuple[int, bytes]:
    patient_id, token = await add_patient(db, "Asha", "+919876543210")
    return patient_id, hashlib.sha256(token.encode()).digest()


async def subscribe(db: Database, patient: tuple[int, bytes], endpoint: str, browser: Browser) -> None:
    await db.execute(
        """INSERT INTO notices.push_subscription
            (patient_id, token_hash, endpoint, client_key, client_secret, created_at)
        VALUES ($1, $2, $3, $4, $5, public.app_now())""",
        *patient,
        endpoint,
        browser.key,
        browser.secret,
    )


async def send(db: Database, service: PushService, patient_id: int) -> None:
    async with WebPushSender(db, SETTINGS, service.connector()) as sender:
        await sender.send(Push(patient_id, "Your appointment is on Wed 25 Nov.", "/a/x", "en", "ab12"))


async def test_each_device_gets_what_only_it_can_read(db: Database, service: PushService) -> None:
    patient = await signed_in(db)
    phone, laptop = Browser(), Browser(secret=b"t" * 16)
    await subscribe(db, patient, service.endpoint("phone"), phone)
    await subscribe(db, patient, service.endpoint("laptop"), laptop)
    await send(db, service, patient[0])
    assert {name for name, _, _ in service.sent} == {"phone", "laptop"}
    for name, headers, body in service.sent:
        shown = json.loads((phone if name == "phone" else laptop).read(body))
        assert shown == {
            "text": "Your appointment is on Wed 25 Nov.",
            "path": "/a/x",
            "language": "en",
            "tag": "ab12",
        }
        assert (headers["Content-Encoding"], headers["TTL"], headers["Topic"]) == ("aes128gcm", "3600", "ab12")
        require_vapid(headers["Authorization"], f"https://{HOST}:{service.port}")


def require_vapid(header: str, audience: str) -> None:
    """Fail unless a push service would know the sender by this header (RFC 8292)."""
    kind, _, rest = header.partition(" ")
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    head, claims, signature = parts["t"].split(".")
    assert (kind, json.loads(base64.urlsafe_b64decode(head + "=="))) == ("vapid", {"typ": "JWT", "alg": "ES256"})
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert (said["aud"], said["sub"]) == (audience, "mailto:care@healthplus.example")
    both = from_text(signature, 64)
    der = encode_dss_signature(int.from_bytes(both[:32], "big"), int.from_bytes(both[32:], "big"))
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from_text(parts["k"], 65))
    key.verify(der, f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))
    assert parts["k"] == WebPushSender(None, SETTINGS).public_key  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [404, 410])
async def test_a_device_that_is_gone_is_forgotten(db: Database, service: PushService, status: int) -> None:
    patient = await signed_in(db)
    for name in ("gone", "here"):
        await subscribe(db, patient, service.endpoint(name), Browser())
    service.status["gone"] = status
    await send(db, service, patient[0])
    left = await db.fetch("SELECT endpoint FROM notices.push_subscription")
    assert [row["endpoint"] for row in left] == [service.endpoint("here")]
    service.status["here"] = status
    with pytest.raises(NoticeRefused):
        await send(db, service, patient[0])
    assert await db.fetch_value("SELECT count(*) FROM notices.push_subscription") == 0


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, NoticeUndelivered), (503, NoticeUndelivered), (302, NoticeUndelivered), (400, NoticeRefused)],
)
async def test_what_a_push_service_does_not_take_was_not_sent(
    db: Database, service: PushService, status: int, error: type[Exception]
) -> None:
    patient = await signed_in(db)
    await subscribe(db, patient, service.endpoint("phone"), Browser())
    service.status["phone"] = status
    with pytest.raises(error) as caught:
        await send(db, service, patient[0])
    assert type(caught.value) is error
    assert "phone" not in str(caught.value)
    assert len(service.sent) == 1  # nor anywhere else that it points to


async def test_a_device_shows_nothing_after_the_sign_out(db: Database, service: PushService) -> None:
    patient = await signed_in(db)
    await subscribe(db, patient, service.endpoint("phone"), Browser())
    await db.execute("UPDATE accounts.session SET revoked_at = public.app_now()")
    with pytest.raises(NoticeRefused):
        await send(db, service, patient[0])
    assert service.sent == []
    await db.execute("SELECT retention.forget(0)")
    assert await db.fetch_value("SELECT count(*) FROM notices.push_subscription") == 0


async def test_an_address_of_our_own_network_is_never_asked(db: Database, service: PushService) -> None:
    """Not even one that stands in the table."""
    patient = await signed_in(db)
    await subscribe(db, patient, f"https://127.0.0.1:{service.port}/send/phone", Browser())
    with pytest.raises(NoticeRefused):
        await send(db, service, patient[0])
    assert service.sent == []
