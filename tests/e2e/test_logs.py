"""No number, code, card, token, key or name in any log, whatever goes wrong: planted canaries are searched for."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from healthplus.database import Database, PostgresError
from tests.e2e.test_main_job import APP_PROCESSES, Product
from tests.fixtures.clock import move_clock
from tests.fixtures.developer_key import DEVELOPER_KEY
from tests.fixtures.environment import ONLINE, PROVIDER, Environment
from tests.fixtures.relay import Relay

pytestmark = pytest.mark.timeout(150)

NATIONAL, OTHER_NATIONAL, STRAY_NATIONAL = "9812345670", "9812345671", "9812345672"
LANDLINE = "+912026123456"
CARD = "4111 1111 1111 1111"
NAME = "Zorabella Quixwomp"
MAILBOX = "zorabella.canary"
SECRETS = {
    "HEALTHPLUS_SECRET_KEY": "canary-secret-key-" + "k" * 32,
    "HEALTHPLUS_SMS_TOKEN": "canary-relay-token",
    "HEALTHPLUS_PAYMENT_WEBHOOK_SECRET": "canary-webhook-secret-" + "w" * 32,
}
MAIL_PASSWORD = "canary-mail-password"
STRAY_TOKEN = "canary-bearer-token"
STRAY_CODE = "739150"
STRAY_SIGNATURE = "canary-signature"
STRAY_KEY = "hp_canary-key"


class LoggedProduct(Product):
    """The product, with all that it and the bank say kept in a file."""

    def __init__(self, folder: Path, log: Path, environment: dict[str, str]) -> None:
        super().__init__(folder)
        self.folder, self.log = folder, log
        self.environment |= environment

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.server = subprocess.Popen(
                [sys.executable, "-m", "healthplus", "serve", "--until-stdin-ends", "--processes", str(APP_PROCESSES)],
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.wait_until_ready()

    def logs(self) -> dict[str, str]:
        """Everything that was logged, by file."""
        server = self.folder / "server"
        files = {self.log, server / "log", *self.folder.rglob("*.log"), *(server / "data").glob("log/*")}
        return {str(file): file.read_text(errors="replace") for file in files}


def spelled(canary: str) -> str:
    """Return the pattern that finds it however it is spaced; six digits must stand alone, or chance finds them."""
    return rf"\b{canary}\b" if len(canary) == 6 else r"[\s-]?".join(map(re.escape, canary.replace(" ", "")))


def hits(logs: dict[str, str], canaries: set[str]) -> list[tuple[str, str]]:
    """Return each canary that was logged, and the line."""
    return [
        (canary, line)
        for text in logs.values()
        for line in text.splitlines()
        for canary in canaries
        if re.search(spelled(canary), line)
    ]


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    async with Relay() as relay:
        yield relay


@pytest.fixture
async def product(server_folder: Path, tmp_path: Path, relay: Relay) -> AsyncIterator[LoggedProduct]:
    environment = SECRETS | {
        "HEALTHPLUS_SMS_URL": relay.url,
        "HEALTHPLUS_SMTP_URL": f"smtp://mailer:{MAIL_PASSWORD}@127.0.0.1:9",
        "HEALTHPLUS_MAIL_FROM": "visits@healthplus.example",
        "HEALTHPLUS_LOG_FORMAT": "json",
    }
    product = LoggedProduct(server_folder, tmp_path / "product.txt", environment)
    await asyncio.to_thread(product.start)
    try:
        yield product
    finally:
        product.http.close()
        if product.server is not None:
            await asyncio.to_thread(product.stop, signal.SIGTERM)


@contextlib.asynccontextmanager
async def database_of(product: LoggedProduct) -> AsyncIterator[Database]:
    dsn = f"postgresql://healthplus@/healthplus?host={product.folder}/server/socket&port=5432"
    async with await Database.connect(dsn, min_size=1, max_size=1) as database:
        yield database


class Visitor:
    """Someone at a browser."""

    def __init__(self, http: httpx.AsyncClient, relay: Relay) -> None:
        self._http = http
        self._relay = relay
        self.headers: dict[str, str] = {}

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        headers = {"Idempotency-Key": str(uuid4()), "Api-Dev-Key": DEVELOPER_KEY, **self.headers}
        headers |= options.pop("headers", {})
        if "api_dev_key" in options.get("params", {}):
            del headers["Api-Dev-Key"]
        return await self._http.request(method, path, json=body, headers=headers, **options)

    async def code_sent_to(self, phone: str) -> tuple[str, str]:
        """Ask for a code; return its id, and what it is."""
        consent = (await self.ask("GET", "/consent")).json()["version"]
        asked = await self.ask("POST", "/codes", {"phone": phone, "consent": consent})
        assert asked.status_code == 202, asked.text
        sms = await self.received("code")
        return asked.json()["id"], sms["text"][:6]

    async def received(self, part: str) -> dict[str, Any]:
        """Wait for an SMS with these words in it; it is taken out of the relay."""
        async with asyncio.timeout(20):
            while not (found := [body for body in self._relay.bodies if part in body["text"]]):
                await asyncio.sleep(0.05)
        self._relay.bodies.remove(found[0])
        return found[0]


async def sign_in(visitor: Visitor) -> set[str]:
    """Sign in, not without mistakes; return the code and the token."""
    consent = (await visitor.ask("GET", "/consent")).json()["version"]
    for phone in (LANDLINE, STRAY_NATIONAL + NATIONAL, f"{NAME} {STRAY_NATIONAL}", MAILBOX):
        assert (await visitor.ask("POST", "/codes", {"phone": phone, "consent": consent})).status_code == 422
    code_id, code = await visitor.code_sent_to(f"0{NATIONAL[:5]} {NATIONAL[5:]}")
    again = await visitor.ask("POST", "/codes", {"phone": f"+91{NATIONAL}", "consent": consent})
    assert again.status_code == 429
    wrong = STRAY_CODE if code != STRAY_CODE else STRAY_CODE[::-1]
    for given, status in ((wrong, 422), (STRAY_TOKEN, 422), (code, 201)):
        verified = await visitor.ask("POST", f"/codes/{code_id}/verify", {"code": given})
        assert verified.status_code == status, verified.text
    token = verified.json()["token"]
    visitor.headers["Authorization"] = f"Bearer {token}"
    changed = await visitor.ask("PATCH", "/me", {"name": NAME, "email": f"{MAILBOX}@mail.example"})
    assert changed.json()["name"] == NAME
    return {code, token}


async def book(visitor: Visitor, environment: Environment) -> str:
    """Hold, pay in every wrong way and then in the right one; return the appointment's address."""
    wanted = {"clinic_id": ONLINE, "start": environment.at(9)}
    key = {"Idempotency-Key": f"{STRAY_NATIONAL} {STRAY_CODE}"}
    held = await visitor.ask("POST", f"/providers/{PROVIDER}/holds", wanted, headers=key)
    assert held.status_code == 201, held.text
    payment = held.json()["url"].removeprefix("/api/v1") + "/payment"
    for method, statuses in (
        (CARD, (400, 422)),
        ("sandbox-declined", (402,)),
        ("sandbox-unreachable", (503,)),
        ("sandbox-ok", (200, 201)),
    ):
        paid = await visitor.ask("POST", payment, {"method": method})
        assert paid.status_code in statuses, paid.text
    assert (await visitor.received("is booked"))["to"] == f"+91{NATIONAL}"
    appointments = (await visitor.ask("GET", "/appointments")).json()
    return str(appointments[0]["url"]).removeprefix("/api/v1")


async def send_what_nobody_should(http: httpx.AsyncClient, environment: Environment) -> int:
    """Call every route with secrets wherever they do not belong; return how many answers there were."""
    routes = (await http.get("/openapi.json")).json()["paths"]
    body = {"phone": f"+91{STRAY_NATIONAL}", "method": CARD, "code": STRAY_CODE, "token": STRAY_TOKEN, "name": NAME}
    query = {"from": STRAY_NATIONAL, "to": STRAY_CODE, "after": STRAY_TOKEN, **body}
    bearers = [f"Bearer {STRAY_TOKEN}", f"Basic {STRAY_TOKEN}", f"Bearer {environment.tokens['asha']}"]
    contents: Iterator[dict[str, Any]] = itertools.cycle(({"json": body}, {"content": f'{{"phone": "{STRAY_NATIONAL}'}))
    answers = 0
    for path, operations in routes.items():
        for place in (STRAY_NATIONAL, f"+91{STRAY_NATIONAL}", str(uuid4())):
            url = re.sub(r"\{.*?\}", place, path).removeprefix("/api/v1")
            for method in operations:
                for bearer in bearers[: 2 if method == "delete" else 3]:
                    headers = {
                        "Authorization": bearer,
                        "Idempotency-Key": STRAY_TOKEN,
                        "X-Forwarded-For": STRAY_NATIONAL,
                        "Bank-Signature": f"t={int(time.time())},v1={STRAY_SIGNATURE}",
                    }
                    answer = await http.request(method, url, headers=headers, params=query, **next(contents))
                    assert answer.status_code < 500, (method, url, answer.text)
                    answers += 1
    return answers


@contextlib.asynccontextmanager
async def broken(db: Database, how: str, mended: str) -> AsyncIterator[None]:
    await db.execute(how)
    try:
        yield
    finally:
        await db.execute(mended)


async def logged(product: LoggedProduct, text: str) -> None:
    async with asyncio.timeout(20):
        while text not in product.log.read_text():
            await asyncio.sleep(0.1)


async def let_things_break(
    product: LoggedProduct, db: Database, visitor: Visitor, relay: Relay, appointment: str
) -> set[str]:
    """Have faults where secrets are at hand; return the codes that were about."""
    await logged(product, "a link to verify an e-mail address could not be sent")
    await db.execute("UPDATE accounts.patient SET email_verified_at = public.app_now() WHERE email IS NOT NULL")
    code_id, code = await visitor.code_sent_to(f"+91 {OTHER_NATIONAL}")
    # What PostgreSQL says of a row that fails a check quotes the row.
    async with broken(
        db,
        "ALTER TABLE accounts.patient ADD CONSTRAINT canary CHECK (created_at < '2000-01-01') NOT VALID",
        "ALTER TABLE accounts.patient DROP CONSTRAINT canary",
    ):
        refused = await visitor.ask("POST", f"/codes/{code_id}/verify", {"code": code})
        renamed = await visitor.ask("PATCH", "/me", {"name": f"{NAME} II"})
    assert (refused.status_code, renamed.status_code) == (500, 500)
    async with broken(
        db, "ALTER TABLE directory.provider RENAME TO gone", "ALTER TABLE directory.gone RENAME TO provider"
    ):
        stray = {"phone": STRAY_NATIONAL, "token": STRAY_TOKEN}
        lost = await visitor.ask("GET", f"/providers/{STRAY_NATIONAL}/slots", params=stray)
    assert lost.status_code == 500
    relay.status = 500
    asked = asyncio.create_task(visitor.code_sent_to(f"+91 {STRAY_NATIONAL[:-1]}9"))
    assert (await visitor.ask("DELETE", appointment)).status_code == 200
    _, other_code = await asked
    await logged(product, "a sign-in code could not be sent")
    await logged(product, "notices by sms were not sent")
    await logged(product, "notices by email were not sent")
    async with broken(db, "ALTER TABLE notices.notice RENAME TO gone", "ALTER TABLE notices.gone RENAME TO notice"):
        await logged(product, "notices by sms could not be looked up")
    return {code, other_code}


async def add_by_command(product: LoggedProduct) -> set[str]:
    """Add a patient, twice; return the token. A command prints it for who typed that, but its errors end in mails."""
    add = ("patient", "add", NAME, "--phone", f"+91{STRAY_NATIONAL[:-1]}8")
    token = (await asyncio.to_thread(product.run, *add)).split()[-1]
    again = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "healthplus", *add),
        env=product.environment,
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    said = b"".join(await again.communicate()).decode()
    assert again.returncode == 1
    assert hits({"": said}, {NATIONAL[:-1], NAME, token}) == []
    return {token}


async def call_as_developer(product: LoggedProduct, db: Database, visitor: Visitor) -> set[str]:
    """Send a developer's key where it is easily logged, in addresses, also while it cannot be counted; return it."""
    key = (await asyncio.to_thread(product.run, "key", "add", "Canary", "--scope", "book")).split()[-1]
    holds = f"/providers/{PROVIDER}/holds"
    for sent, status in ((key, 422), (STRAY_KEY, 401)):
        for where in ({"params": {"api_dev_key": sent}}, {"headers": {"Api-Dev-Key": sent}}):
            assert (await visitor.ask("POST", holds, "no hold", **where)).status_code == status
    async with broken(
        db,
        "ALTER TABLE accounts.developer_key_use ADD CONSTRAINT canary_key CHECK (requests < 2) NOT VALID",
        "ALTER TABLE accounts.developer_key_use DROP CONSTRAINT canary_key",
    ):
        assert (await visitor.ask("POST", holds, {}, params={"api_dev_key": key})).status_code == 500
    return {key, STRAY_KEY}


async def error_rows(db: Database) -> str:
    """Return all that is kept of the faults, once those of `let_things_break` are there."""
    async with asyncio.timeout(20):
        while True:
            rows = [str(dict(row)) for row in await db.fetch("SELECT * FROM monitoring.error")]
            if {"CheckViolationError", "UndefinedTableError"} <= set(re.findall(r"exceptions\.(\w+)'", str(rows))):
                return "\n".join(rows)
            await asyncio.sleep(0.2)


async def test_no_error_of_the_database_quotes_a_row(db: Database) -> None:
    """Background tasks log what they did not expect with its traceback, and with what PostgreSQL says of it."""
    failing = "INSERT INTO accounts.patient (phone, created_at) VALUES ($1, NULL)"
    with pytest.raises(PostgresError, match="created_at") as alone:
        await db.execute(failing, f"+91{NATIONAL}")

    async def together() -> None:
        async with db.transaction() as transaction:
            await transaction.execute(failing, f"+91{NATIONAL}")

    with pytest.raises(PostgresError, match="created_at") as in_transaction:
        await together()
    for error in (alone.value, in_transaction.value):
        assert NATIONAL not in "".join(traceback.format_exception(error))


async def test_nothing_secret_is_logged(product: LoggedProduct, relay: Relay) -> None:
    canaries = {NATIONAL, OTHER_NATIONAL, STRAY_NATIONAL, STRAY_NATIONAL[:-1], LANDLINE, CARD, *NAME.split(), MAILBOX}
    canaries |= {*SECRETS.values(), MAIL_PASSWORD, STRAY_TOKEN, STRAY_CODE, STRAY_SIGNATURE}
    url = str(product.http.base_url)
    async with database_of(product) as db, httpx.AsyncClient(base_url=url, timeout=20) as http:
        environment = await Environment.make(db)
        visitor = Visitor(http, relay)
        canaries |= {*environment.tokens.values(), *await sign_in(visitor)}
        appointment = await book(visitor, environment)
        assert await send_what_nobody_should(http, environment) > 200
        canaries |= await let_things_break(product, db, visitor, relay, appointment)
        canaries |= await add_by_command(product)
        canaries |= await call_as_developer(product, db, visitor)
        rows = await error_rows(db)
        await asyncio.to_thread(product.stop, signal.SIGTERM)
    logs = product.logs()
    assert len(logs) == 2
    logs["monitoring.error"] = rows
    assert "canary" in logs[str(product.folder / "server" / "log")]  # the constraint's name: errors are logged
    assert "500" in logs[str(product.log)]
    assert hits(logs, canaries) == []

    # And where a secret is logged on purpose, the same search finds it: it would have found any.
    code = await log_on_purpose(product)
    found = hits(product.logs(), {*canaries, code})
    assert {canary for canary, _ in found} == {code, LANDLINE, *NAME.split()}


async def log_on_purpose(product: LoggedProduct) -> str:
    """Have the sandbox log a code, and PostgreSQL a number and a name; return the code."""
    product.environment["HEALTHPLUS_SANDBOX_NOTICES"] = "1"
    await asyncio.to_thread(product.start)
    async with httpx.AsyncClient(base_url=str(product.http.base_url)) as http, database_of(product) as db:
        wanted = {"phone": f"+91{NATIONAL}", "consent": (await http.get("/consent")).json()["version"]}
        await move_clock(db, minutes=1)  # or it is too soon
        asked = await http.post("/codes", json=wanted, headers={"Idempotency-Key": "on-purpose"})
        assert asked.status_code == 202, asked.text
        await logged(product, "is your HealthPlus code")
        shown = (await http.get(http.base_url.join("/demo"))).text
        await db.execute(f"DO $$ BEGIN RAISE WARNING '{LANDLINE[:6]} {LANDLINE[6:]} of {NAME}'; END $$")
    code = re.search(r"([0-9]{6}) is your HealthPlus code", shown)
    assert code
    return code[1]
