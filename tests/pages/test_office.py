"""The office in a browser: a clinic is set up from nothing, and its first patient books; shifts are dragged."""

from __future__ import annotations

import re
from io import BytesIO

import pytest
from PIL import Image
from playwright.async_api import Browser, FilePayload, expect

from tests.fixtures.staff import PASSWORD
from tests.pages.states.office import office
from tests.pages.states.staff import be, go, localhost
from tests.pages.window import WIDE, BrowserWindow, Product

pytestmark = pytest.mark.asyncio(loop_scope="session")

INPUTS_MAX = 120


class Hand:
    """Presses and fills in as a person does, and counts both; keys are not counted."""

    def __init__(self, window: BrowserWindow) -> None:
        self.window = window
        self.page = window.page
        self.inputs = 0

    async def press(self, name: str, role: str = "button") -> None:
        self.inputs += 1
        await self.page.get_by_role(role, name=name, exact=True).first.click()  # type: ignore[arg-type]
        await self.page.wait_for_load_state()

    async def fill(self, **fields: str) -> None:
        for name, value in fields.items():
            self.inputs += 1
            await self.page.fill(f"#{name}", value)

    async def tick(self, *names: str) -> None:
        for name in names:
            self.inputs += 1
            await self.page.check(f"#{name}")


async def let_in(hand: Hand, name: str, log_on: str) -> None:
    """Give the clinic that was just added its ward administrator, who chooses a password by the link and logs in."""
    clinic = re.search(r"/office/(\d+)", hand.page.url)
    assert clinic
    await hand.press("Office", "link")
    await hand.press("Accounts", "link")
    await hand.press("Add an account", "link")
    await hand.fill(name=name, log_on=log_on, clinic=clinic[1])
    hand.inputs += 1
    await hand.page.select_option("#role", "ward")
    await hand.press("Add")
    link = re.search(r"http\S+/desk/welcome\?link=[\w-]+", await hand.page.inner_text("main"))
    assert link
    await hand.press("Log out")
    hand.inputs += 1
    await hand.page.goto(link[0])
    await hand.fill(password=PASSWORD)
    await hand.press("Set password")
    await hand.fill(log_on=log_on, password=PASSWORD)
    await hand.press("Log in")


def photo() -> bytes:
    file = BytesIO()
    Image.effect_noise((400, 500), 60).convert("RGB").save(file, "JPEG")
    return file.getvalue()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("scripts", [True, False])
async def test_a_clinic_is_set_up_from_nothing_and_its_first_patient_books(
    product: Product, browser: Browser, scripts: bool
) -> None:
    name = f"Sahyadri Skin Clinic {'with' if scripts else 'without'} scripts"
    async with BrowserWindow.open(product, browser, width=WIDE, scripts=scripts) as window:
        await be(window, "demo-admin")
        await go(window, "/desk")
        hand = Hand(window)
        await hand.press("Office", "link")
        await hand.press("Add a clinic", "link")
        await hand.fill(
            name=name, address="4, Karve Road, Kothrud", city="Pune", state="Maharashtra", phone="020 2543 1234"
        )
        await hand.press("Add the clinic")
        await let_in(hand, "Sunita Kulkarni", f"s.kulkarni.{scripts}".lower())
        await hand.press(name, "link")
        await hand.press("Add a doctor", "link")
        await hand.fill(
            name="Dr Revati Phadke", fee="500", specialities="Dermatology", qualifications="MBBS, MD Dermatology"
        )
        await hand.fill(
            registration="MMC-2009-04512", council="Maharashtra Medical Council", languages="Marathi, Hindi"
        )
        await hand.press("Add")
        hand.inputs += 1
        await hand.page.set_input_files(
            "#photo", files=FilePayload(name="revati.jpg", mimeType="image/jpeg", buffer=photo())
        )
        await hand.press("Save the photo")
        await expect(hand.page.locator(".notice")).to_have_text("The photo is saved.")
        await hand.press("Week", "link")
        await hand.tick(*(f"day_{day}" for day in range(1, 8)))
        await hand.fill(starts="09:00", ends="13:00", slot_minutes="10")
        await hand.press("Add shifts")
        await hand.press("Services", "link")
        await hand.fill(name="Skin consultation", fee="600", length_minutes="20")
        await hand.press("Add the service")
        await hand.press("Terms", "link")
        await hand.fill(hours_1="24", kept_1="0", hours_2="4", kept_2="50")
        await hand.press("Save the terms")
        print(f"a clinic set up with {hand.inputs} presses and fields")
        assert hand.inputs <= INPUTS_MAX
        assert window.faults == []
    async with BrowserWindow.open(product, browser, scripts=scripts) as window:
        await window.patient("Asha Rao")
        provider_id = await product.database.fetch_value(
            "SELECT max(provider_id) FROM directory.provider WHERE name = 'Dr Revati Phadke'"
        )
        await window.go(f"/doctor/{provider_id}/dr-revati-phadke")
        assert await window.page.locator('img[src^="/photo/"]').count() >= 1
        chart = await product.database.fetch_value(
            "SELECT clinic_id FROM directory.provider_clinic WHERE provider_id = $1", provider_id
        )
        await window.go(f"/doctor/{provider_id}/dr-revati-phadke/{chart}?day={await tomorrow(product)}")
        await window.page.locator(".slot.free input").first.check()
        await window.page.locator(".bar button").click()
        await window.page.wait_for_url("**/hold/*")
        await window.page.locator("form .button").first.click()
        await expect(window.page.get_by_role("heading", level=1)).to_contain_text("Booked", timeout=20_000)
    booked = await product.database.fetch_value(
        "SELECT count(*) FROM booking.booking WHERE provider_id = $1 AND state = 'booked'", provider_id
    )
    assert booked == 1


async def tomorrow(product: Product) -> str:
    day: str = await product.database.fetch_value(
        "SELECT ((public.app_now() AT TIME ZONE 'Asia/Kolkata')::date + 1)::text"
    )
    return day


async def test_dragging_only_fills_the_form_in(product: Product, browser: Browser) -> None:
    async with BrowserWindow.open(product, browser, width=WIDE) as window:
        path, provider_id = await office(window)
        await go(window, f"{path}/week/{provider_id}")
        page = window.page
        shift = page.locator(".shift").first
        before = await product.database.fetch("SELECT shift::text FROM schedule.shift ORDER BY shift_id")
        box, days = await shift.bounding_box(), page.locator(".shift-day")
        target = await days.nth(3).bounding_box()
        assert box
        assert target
        await page.mouse.move(box["x"] + 20, box["y"] + 20)
        await page.mouse.down()
        # An hour later, on Thursday.
        await page.mouse.move(target["x"] + 20, box["y"] + 64, steps=8)
        await page.mouse.up()
        await page.wait_for_url("**/shift/*")
        await expect(page.locator(".notice")).to_contain_text("you dragged it to")
        assert await page.input_value("#weekday") == "4"
        starts = await shift_starts(product, page.url)
        assert await page.input_value("#starts") == f"{starts + 1:02}:00"
        assert await product.database.fetch("SELECT shift::text FROM schedule.shift ORDER BY shift_id") == before
        assert window.faults == []


async def shift_starts(product: Product, url: str) -> int:
    found = re.search(r"/shift/(\d+)", url)
    assert found
    hour: int = await product.database.fetch_value(
        "SELECT extract(hour FROM starts)::integer FROM schedule.shift WHERE shift_id = $1", int(found[1])
    )
    return hour


async def test_a_file_that_is_too_large_is_not_sent(window: BrowserWindow) -> None:
    path, provider_id = await office(window, "demo-admin")
    await go(window, f"{path}/provider/{provider_id}")
    large = FilePayload(name="large.jpg", mimeType="image/jpeg", buffer=b"\xff" * (3 << 20))
    await window.page.set_input_files("#photo", files=large)
    await window.page.get_by_role("button", name="Save the photo").click()
    said = await window.page.locator("#photo").evaluate("field => field.validationMessage")
    assert "larger than 2 MB" in said
    assert window.page.url == f"{localhost(window)}{path}/provider/{provider_id}"
