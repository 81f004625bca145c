"""What tests of the pages act with: the product, a window of a browser, and patients who are signed in there."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any, Literal
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from playwright.async_api import Browser, BrowserContext, Page, Response

from healthplus.accounts.actors import Patient
from healthplus.accounts.patients import add_patient
from healthplus.booking.book import Book
from healthplus.booking.outcomes import Held
from healthplus.database import Database, Record
from healthplus.ops.demo_data import DemoData
from healthplus.web.languages import LANGUAGES
from tests.fixtures.clock import move_clock
from tests.fixtures.developer_key import DEVELOPER_KEY

NARROWEST, NARROW, WIDE = 320, 360, 1280
Scheme = Literal["light", "dark"]

_AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_SMALL_TARGETS = """() => {
    const small = [];
    for (const element of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary")) {
        const pressed = element.closest(".slot, .choice, label") ?? element;
        const box = pressed.getBoundingClientRect();
        if (!element.checkVisibility({visibilityProperty: true}) || !box.width || element.closest(".skip")) continue;
        const over = getComputedStyle(pressed, "::after");
        const more = over.content !== "none" && over.position === "absolute" ? -2 * parseFloat(over.top) || 0 : 0;
        const isInText = element.matches("a") && getComputedStyle(element).display === "inline";
        const least = isInText ? 24 : 44;
        // A line of text is a little less high than what it takes of the page.
        const height = isInText ? parseFloat(getComputedStyle(element).lineHeight) : box.height + more;
        if (height < least - 0.5 || (!isInText && box.width + more < least - 2)) small.push(element.outerHTML);
    }
    return small;
}"""
# Two frames later, all that was changed before is laid out, drawn, and reported.
_TWO_FRAMES = "await new Promise(go => requestAnimationFrame(() => requestAnimationFrame(go)));"
_WATCH_SHIFTS = f"""async () => {{
    {_TWO_FRAMES}
    const words = node => node?.outerHTML ?? node?.textContent;
    window.shifts = [];
    window.noteShifts = entries => {{
        for (const entry of entries) for (const one of entry.sources)
            window.shifts.push([words(one.node), one.previousRect.toJSON(), one.currentRect.toJSON()]);
    }};
    window.shiftObserver = new PerformanceObserver(list => noteShifts(list.getEntries()));
    window.shiftObserver.observe({{type: "layout-shift"}});
}}"""
_SHIFTS = f"async () => {{ {_TWO_FRAMES} noteShifts(shiftObserver.takeRecords()); return shifts.splice(0); }}"
_serial = itertools.count(1)


@dataclass(frozen=True)
class Product:
    """The product under test: where it is, its database, what is in it, and its server's end and new start.

    `restart`: with other settings, by their names. `device_clock` is a script that sets the clock of those who look.
    """

    url: str
    database: Database
    data: DemoData
    stop: Callable[[], Awaitable[None]]
    start: Callable[[], Awaitable[None]]
    restart: Callable[..., Awaitable[None]]
    device_clock: str

    @contextlib.asynccontextmanager
    async def time_passed(self, **time: float) -> AsyncIterator[None]:
        """Have the product's clock be so far ahead in this block. Pages show the time of the clock at both its ends."""
        try:
            await self._move_clock(timedelta(**time))
            yield
        finally:
            await self._move_clock(-timedelta(**time))

    async def _move_clock(self, by: timedelta) -> None:
        """Move the clock, and wait until the app has seen that."""
        await move_clock(self.database, by)
        async with asyncio.timeout(20):
            while True:
                clock_now = await self.database.fetch_value("SELECT public.app_now()")
                # A page's time is as old as the page.
                if abs(await asyncio.to_thread(self._page_now) - clock_now) < abs(by) / 2:
                    return
                await asyncio.sleep(0.1)

    def _page_now(self) -> datetime:
        with urllib.request.urlopen(f"{self.url}/help", timeout=20) as page:  # noqa: S310
            found = re.search(rb'data-now="([^"]+)"', page.read())
        assert found
        return datetime.fromisoformat(found[1].decode())

    async def code(self) -> str:
        """Return the code that was sent last."""
        text = await self.database.fetch_value(
            "SELECT text FROM notices.sandbox_message WHERE text ~ '^[0-9]{6} ' ORDER BY message_id DESC LIMIT 1"
        )
        return str(text)[:6]


@dataclass(frozen=True)
class SignedInPatient:
    """Somebody with a session. `number` is a mobile number of a range that nobody else has a code sent to."""

    patient_id: int
    token: str
    number: str


@dataclass
class BrowserWindow:
    """One window: a browser context with one page. `faults`: errors of scripts, and what was blocked."""

    product: Product
    context: BrowserContext
    page: Page
    prefix: str = ""
    faults: list[str] = field(default_factory=list)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        product: Product,
        browser: Browser,
        *,
        width: int = NARROW,
        scheme: Scheme = "light",
        language: str = "en",
        scripts: bool = True,
        zone: str = "Asia/Kolkata",
    ) -> AsyncIterator[BrowserWindow]:
        """Open a window of a device whose clock is in `zone`."""
        context = await browser.new_context(
            base_url=product.url,
            viewport={"width": width, "height": 780 if width < 600 else 900},
            color_scheme=scheme,
            java_script_enabled=scripts,
            timezone_id=zone,
            reduced_motion="reduce",
        )
        context.set_default_timeout(15_000)
        await context.add_init_script(product.device_clock)
        try:
            window = cls(product, context, await context.new_page(), "" if language == "en" else f"/{language}")
            window.page.on("pageerror", lambda error: window.faults.append(str(error)))
            window.page.on("console", lambda said: window.faults.append(said.text) if _is_fault(said.text) else None)
            yield window
        finally:
            await context.close()

    async def go(self, path: str) -> Response | None:
        """Open a page in the window's language; `path` is where it is in English."""
        return await self.page.goto(self.prefix + path)

    async def press(self, name: str) -> None:
        """Press the one button that `name`, in English, names in this language."""
        await self.page.get_by_role("button", name=self.said(name), exact=True).click()
        await self.page.wait_for_load_state()

    def said(self, text: str) -> str:
        """Return a text of the pages in the window's language."""
        return next(one for one in LANGUAGES if one.prefix == self.prefix).gettext(text)

    async def patient(self, name: str = "Asha Rao") -> SignedInPatient:
        """Make a patient, and sign them in in this window."""
        number = self.number()
        patient_id, token = await add_patient(self.product.database, name, number)
        await self.context.add_cookies([{"name": "session", "value": token, "url": self.product.url}])
        return SignedInPatient(patient_id, token, number)

    def number(self) -> str:
        return f"+9198{next(_serial):04}3210"

    async def free_slots(self, provider_id: int) -> list[Record]:
        """Return slots from tomorrow on that can be had now, where visits are paid for online."""
        database = self.product.database
        now: datetime = await database.fetch_value("SELECT public.app_now()")
        clinic_id = await database.fetch_value(
            "SELECT min(clinic_id) FROM directory.provider_clinic WHERE provider_id = $1 AND funding = 'online'",
            provider_id,
        )
        chart = await Book(database).chart(
            provider_id, clinic_id, now + timedelta(days=1), now + timedelta(days=7), 1, None
        )
        return [slot for slot in chart if slot["fits"]]

    async def hold(self, patient: SignedInPatient) -> Held:
        """Hold a slot for a patient, on a day on which they have no appointment with the same doctor."""
        provider_id = self.product.data.two_clinics_doctor_id
        taken = await self.product.database.fetch(
            "SELECT (lower(during) AT TIME ZONE 'Asia/Kolkata')::date AS day FROM booking.booking "
            "WHERE patient_id = $1",
            patient.patient_id,
        )
        days = {row["day"] for row in taken}
        slot = next(
            slot
            for slot in await self.free_slots(provider_id)
            if slot["starts_at"].astimezone(ZoneInfo("Asia/Kolkata")).date() not in days
        )
        outcome = await Book(self.product.database).hold(
            provider_id, slot["clinic_id"], slot["starts_at"], 1, patient.patient_id, Patient(patient.patient_id)
        )
        assert outcome.code == "reserved"
        return outcome

    async def book(self, patient: SignedInPatient) -> Held:
        """Book a slot for a patient, and pay for it as programs do; the money is taken a moment later."""
        held = await self.hold(patient)
        await self.pay(patient, held)
        return held

    async def pay(self, patient: SignedInPatient, held: Held) -> None:
        """Pay for a patient's hold with a card that the sandbox's bank knows."""
        request = urllib.request.Request(  # noqa: S310
            f"{self.product.url}/api/v1/providers/{self.product.data.two_clinics_doctor_id}/holds/{held.booking_id}/payment",
            json.dumps({"method": "sandbox-ok"}).encode(),
            {
                "Api-Dev-Key": DEVELOPER_KEY,
                "Authorization": f"Bearer {patient.token}",
                "Content-Type": "application/json",
                "Idempotency-Key": str(uuid4()),
            },
        )
        await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=20).close())  # noqa: S310

    async def book_for_other(self, provider_id: int, booking_id: UUID, patient_id: int) -> None:
        """Have somebody else's hold be booked, with money that no bank knows of and is not to be asked for."""
        outcome = await Book(self.product.database).confirm(provider_id, booking_id, "test", Patient(patient_id))
        assert outcome.code == "booked"
        await self.product.database.execute("UPDATE ledger.payment SET due = NULL WHERE booking_id = $1", booking_id)

    async def violations(self, *rules: str) -> list[str]:
        """Return what axe-core finds against WCAG 2.2 AA, or against these of its rules."""
        only = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": _RULES}
        await self.page.evaluate(f"() => {{ if (!window.axe) {{ {_AXE} }} }}")
        found: dict[str, Any] = await self.page.evaluate(
            "only => axe.run(document, {runOnly: only, resultTypes: ['violations']})", only
        )
        return [
            f"{violation['id']}: {node['html']} ({node['failureSummary']})"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]

    async def watch_shifts(self) -> None:
        """Begin to note whatever moves on the page by three pixels or more, in any direction; less nobody sees.

        What the patient does may move things. So begin after that: shifts soon after it are noted here as well.
        """
        await self.page.evaluate(_WATCH_SHIFTS)

    async def shifts(self) -> list[Any]:
        """Return what has moved since this was last asked: what it is, where it was, and where it is now."""
        found: list[Any] = await self.page.evaluate(_SHIFTS)
        return found

    async def small_targets(self) -> list[str]:
        """Return what is pressed and is smaller than UX.md wants: 44 pixels, 24 for links within a text.

        A choice and a slot are pressed anywhere on them, and a pseudo-element may be laid over more than is drawn.
        """
        found: list[str] = await self.page.evaluate(_SMALL_TARGETS)
        return found

    async def overflow(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        pixels: int = await self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return pixels


def _is_fault(said: str) -> bool:
    return "Content Security Policy" in said or "Failed to load module" in said
