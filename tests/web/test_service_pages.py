"""What pages say of services and tests: what is chosen, what it costs, and what has become of it."""

from __future__ import annotations

import html
import re
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from litestar import Litestar

from healthplus.booking.book import Book
from healthplus.booking.numbers import number_of
from healthplus.web.pages.addresses import slug
from tests.fixtures.clock import INDIA
from tests.fixtures.environment import AT_CLINIC, FREE, ONLINE, OTHER_PROVIDER, PROVIDER, Environment
from tests.fixtures.services import close_service, offer_service
from tests.web.client import Browser, forget_shared_reads

CHART = f"/doctor/{PROVIDER}/dr-1/{ONLINE}"
EVENING = f"/doctor/{PROVIDER}/dr-1/{FREE}"


def said(page: str) -> str:
    """Return the words of a page, without what marks them up."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def at(start: datetime) -> dict[str, str]:
    return {"start": start.isoformat()}


@pytest.fixture
async def asha(app: Litestar, environment: Environment) -> Browser:
    await environment.db.execute("UPDATE accounts.patient SET name = 'Asha Rao' WHERE patient_id = $1", 1)
    return Browser(app, environment.tokens["asha"])


def on(environment: Environment, *ids: int) -> str:
    """Return the address of the chart of the day for services."""
    return f"{CHART}?{'&'.join(f'service={one}' for one in ids)}&day={environment.instant(9).astimezone(INDIA).date()}"


async def test_the_price_may_change_between_chart_and_hold(
    asha: Browser, app: Litestar, environment: Environment
) -> None:
    old = await offer_service(environment.db, PROVIDER, "scaling", 120_000, 60)
    chart = on(environment, old)
    assert ", 60 min · ₹1,200" in said((await asha.get(chart)).text)
    new = await offer_service(environment.db, PROVIDER, "scaling", 150_000, 60)
    refused = await asha.post(chart, at(environment.instant(9)))
    assert refused.status_code == 409
    assert "The price of Scaling has changed from ₹1,200 to ₹1,500." in said(refused.text)
    assert (await environment.counts())["booking.booking"] == 0
    # The form of that page holds at the new price, and the time is still chosen.
    assert re.search(rf'action="[^"]*service={new}&amp;day=', refused.text)
    assert re.search(r'value="[^"]+"[^>]* checked', refused.text)
    held = await asha.post(on(environment, new), at(environment.instant(9)))
    page = said((await asha.get(held.headers["location"])).text)
    assert "Pay ₹1,500" in page
    # What is held keeps its price, also where its time is changed.
    await offer_service(environment.db, PROVIDER, "scaling", 180_000, 60)
    forget_shared_reads(app)
    chart = said((await asha.get(on(environment, new))).text)
    assert ("has changed" in chart, ", 60 min · ₹1,500" in chart, "Change the time" in chart) == (False, True, True)
    moved = await asha.post(on(environment, new), at(environment.instant(10)))
    assert moved.headers["location"] == held.headers["location"]
    page = said((await asha.get(moved.headers["location"])).text)
    assert "Pay ₹1,500" in page
    assert "10:00 to 11:00 am" in page


async def test_what_cannot_be_chosen_is_said(asha: Browser, environment: Environment) -> None:
    db = environment.db
    closed = await offer_service(db, PROVIDER, "extraction", 90_000, 30)
    await close_service(db, PROVIDER, "extraction")
    elsewhere = await offer_service(db, PROVIDER, "crown", 90_000, 30, clinic_id=FREE)
    others = await offer_service(db, OTHER_PROVIDER, "crown", 90_000, 30)
    here = [await offer_service(db, PROVIDER, slug, 90_000, 30) for slug in ("scaling", "filling")]
    tests = [await offer_service(db, PROVIDER, f"test-{n}", 10_000, is_test=True) for n in range(51)]
    longer = await offer_service(db, PROVIDER, "filling", 90_000, 60)
    for ids, text in (
        ([closed], "Extraction is not offered here any more."),
        ([elsewhere], "Crown is not done at this clinic."),
        ([others], "That is not offered here. Choose again."),
        ([2**62], "That is not offered here. Choose again."),
        ([here[1]], "Filling has changed. Below is how it is offered now; nothing is held yet."),
        ([here[0], longer], "Only tests can be done together."),
        ([here[0], tests[0]], "Only tests can be done together."),
        (tests, "At most 50 tests fit into one appointment."),
    ):
        page = await asha.get(on(environment, *ids))
        assert (page.status_code, text in said(page.text)) == (200, True), text
        refused = await asha.post(on(environment, *ids), at(environment.instant(9)))
        assert (refused.status_code, text in said(refused.text)) == (409, True), text
        # The queue leads back to the chart, which says why.
        line = await asha.get(on(environment, *ids).replace("?", "/line?"))
        assert line.status_code == 303
        assert text in said((await asha.get(line.headers["location"])).text)
    assert (await environment.counts())["booking.booking"] == 0
    for nonsense in ("service=", "service=x", "service=-1", f"service={2**70}", "service=%00", "service=1.5", "tests"):
        assert (await asha.get(f"{CHART}?{nonsense}")).status_code == 200, nonsense


async def test_a_service_closed_at_the_last_moment_is_said(
    asha: Browser, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is closed after the page was asked for, and before the verb has the lock."""
    old = await offer_service(environment.db, PROVIDER, "scaling", 120_000, 60)
    hold = Book.hold

    async def closing(self: Book, *args: object, **options: object) -> object:
        await offer_service(environment.db, PROVIDER, "scaling", 150_000, 60)
        return await hold(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Book, "hold", closing)
    refused = await asha.post(on(environment, old), at(environment.instant(9)))
    assert refused.status_code == 409
    assert "The price of Scaling has changed from ₹1,200 to ₹1,500." in said(refused.text)


async def test_a_longer_time_at_the_same_fee_is_not_offered(asha: Browser, environment: Environment) -> None:
    """Up to four slots in a row can be booked here, for the fee of one: how long it takes is the clinic's to say."""
    page = (await asha.get(CHART)).text
    assert 'name="n"' not in page
    assert not re.search(r"[?&]n=[2-9]", page)


async def test_a_laboratory_is_called_one(asha: Browser, app: Litestar, environment: Environment) -> None:
    db = environment.db
    await db.execute("UPDATE directory.provider SET type = 'lab' WHERE provider_id = $1", PROVIDER)
    clinic = await db.fetch_value("SELECT name FROM directory.clinic WHERE clinic_id = $1", ONLINE)
    await db.execute("UPDATE directory.provider SET name = $2 WHERE provider_id = $1", PROVIDER, clinic)
    for name in ("hba1c", "widal", "ct-head", "cbc"):
        await offer_service(db, PROVIDER, name, 26_000, is_test=True)
    await db.execute("UPDATE directory.service_type SET name = lower(name) WHERE slug = 'hba1c'")
    forget_shared_reads(app)
    path = f"/doctor/{PROVIDER}/{slug(clinic)}/{ONLINE}"
    page = await asha.get(path)
    assert page.status_code == 200
    # Without regard to capitals.
    assert re.findall(r'data-name="([^"]+)"', page.text) == ["Cbc", "Ct head", "hba1c", "Widal"]
    words = said(page.text)
    assert [text in words for text in ("Lab", "Other labs", "Opening times", "Bring")] == [True] * 4
    assert [text in words for text in ("Other doctors", f"{clinic} , ", f"{clinic}, {clinic}")] == [False] * 3
    test = re.findall(r'name="service" value="(\d+)"', page.text)[0]
    held = await asha.post(f"{path}?service={test}", at(environment.instant(9)))
    page = await asha.get(held.headers["location"])
    assert f"{clinic}, {clinic}" not in page.text
    assert page.text.count(clinic) < 3


async def test_a_laboratory_asks_for_tests_first(asha: Browser, environment: Environment) -> None:
    db = environment.db
    await db.execute("UPDATE directory.provider SET type = 'lab' WHERE provider_id = $1", PROVIDER)
    cbc = await offer_service(db, PROVIDER, "cbc", 26_000, is_test=True)
    mri = await offer_service(db, PROVIDER, "mri-brain", 888_000, 60, is_test=True)
    page = await asha.get(f"{CHART}?day={environment.instant(9).astimezone(INDIA).date()}")
    assert "Which tests?" in page.text
    assert 'name="day"' in page.text
    assert 'name="start"' not in page.text
    assert "Choose at least one test first." in said((await asha.get(f"{CHART}?times=1")).text)
    # A form of before the laboratory had tests holds nothing.
    refused = await asha.post(CHART, at(environment.instant(9)))
    assert (refused.status_code, "Choose at least one test first." in said(refused.text)) == (422, True)
    assert (await environment.counts())["booking.booking"] == 0
    line = await asha.get(f"{CHART}/line")
    assert (line.status_code, line.headers["location"]) == (303, CHART)
    shown = said((await asha.get(on(environment, mri, cbc))).text)
    assert "2 tests, 60 min · ₹9,140" in shown
    again = (await asha.get(f"{on(environment, mri, cbc)}&tests")).text
    assert again.count(" checked>") == 2
    # One test by its name.
    one = said((await asha.get(on(environment, cbc))).text)
    assert ("Cbc · ₹260" in one, "1 test" in one) == (True, False)
    assert "Cbc · ₹260 See times" in said((await asha.get(f"{on(environment, cbc)}&tests")).text)
    held = await asha.post(on(environment, mri, cbc), at(environment.instant(9)))
    path = held.headers["location"]
    assert "Cbc ₹260 Mri brain ₹8,880 Total ₹9,140" in said((await asha.get(path)).text)
    await asha.fill(path, method="sandbox-ok", who="me")
    booked = said((await asha.get(path)).text)
    assert "Cbc ₹260 Mri brain ₹8,880 Total ₹9,140" in booked
    assert "2 tests" in said((await asha.get("/appointments")).text)
    appointment = path.replace("/doctor/", "/appointments/").replace("/hold/", "/")
    assert "Tests Cbc ₹260 Mri brain ₹8,880 Total ₹9,140" in said((await asha.get(appointment)).text)
    assert "2 tests" in said((await asha.get(f"{appointment}/cancel")).text)
    file = (await asha.get(f"{appointment}/visit.ics")).text
    # The random id may have any letters up to f, and the number any.
    booking_id = appointment.rpartition("/")[2]
    file = file.replace(booking_id, "").replace(number_of(UUID(booking_id)), "")
    assert "cbc" not in file.lower()
    assert "mri" not in file.lower()
    assert f"DTEND;TZID=Asia/Kolkata:{(environment.instant(10)).astimezone(INDIA):%Y%m%dT%H%M%S}" in file


async def test_a_price_that_is_not_known_is_not_lost_in_a_sum(asha: Browser, environment: Environment) -> None:
    db = environment.db
    await db.execute("UPDATE directory.provider SET type = 'lab' WHERE provider_id = $1", PROVIDER)
    cbc = await offer_service(db, PROVIDER, "cbc", 26_000, is_test=True)
    biopsy, smear = [
        await offer_service(db, PROVIDER, slug, 0, is_test=True, funding="clinic") for slug in ("biopsy", "smear")
    ]
    card = await offer_service(db, PROVIDER, "blood-group", 0, is_test=True, funding="free")
    more = "₹260 and what the clinic asks"
    for ids, total in (
        ((cbc, biopsy), more),
        ((cbc, card), "₹260"),
        ((biopsy, card), "Ask the clinic"),
        ((biopsy, smear), "Ask the clinic"),
        ((cbc, biopsy, smear, card), more),
    ):
        for page in (on(environment, *ids), f"{on(environment, *ids)}&tests"):
            assert f"{len(ids)} tests · {total} " in said((await asha.get(page)).text), page
        assert f"Total {total} " in said((await asha.get(on(environment, *ids))).text)
    held = (await asha.post(on(environment, cbc, biopsy), at(environment.instant(9)))).headers["location"]
    page = said((await asha.get(held)).text)
    assert f"Biopsy Ask the clinic Cbc ₹260 Total {more} " in page
    assert "Pay ₹260 " in page
    await asha.fill(held, method="sandbox-ok", who="me")
    page = said((await asha.get(held)).text)
    assert f"Total {more} " in page
    assert "Paid: ₹260" in page
    appointment = held.replace("/doctor/", "/appointments/").replace("/hold/", "/")
    await asha.fill(f"{appointment}/cancel")
    # At the clinic, too.
    dear = await offer_service(db, PROVIDER, "cbc", 30_000, is_test=True, funding="clinic")
    held = (await asha.post(on(environment, dear, biopsy), at(environment.instant(10)))).headers["location"]
    assert "₹300 and what the clinic asks, paid at the clinic. Nothing is paid now." in said(
        (await asha.get(held)).text
    )
    await asha.fill(held, who="me")
    assert "You pay ₹300 and what the clinic asks at the clinic." in said((await asha.get(held)).text)
    appointment = held.replace("/doctor/", "/appointments/").replace("/hold/", "/")
    assert "Payment ₹300 and what the clinic asks, to pay at the clinic" in said((await asha.get(appointment)).text)


async def test_an_offer_whose_price_is_not_known_says_so(asha: Browser, environment: Environment) -> None:
    biopsy = await offer_service(environment.db, PROVIDER, "biopsy", 0, 30, funding="clinic")
    held = await environment.hold(environment.instant(18), FREE, "bina")
    line = f"{on(environment, biopsy).replace(CHART, EVENING).replace('?', '/line?')}&part=evening&n=3"
    joined = (await asha.fill(line, what="part", who="me")).headers["location"]
    assert held.booking_id is not None
    await environment.book.release(PROVIDER, held.booking_id, environment.actor("bina"))
    offer = said((await asha.get(joined)).text)
    assert "Pay at the clinic; it tells you how much" in offer
    assert "₹0" not in offer


async def test_a_time_that_is_too_short_says_which_fit(asha: Browser, environment: Environment) -> None:
    long = await offer_service(environment.db, PROVIDER, "root-canal", 450_000, 80, buffer_minutes=10)
    late = await asha.post(on(environment, long), at(environment.instant(11)))
    assert late.status_code == 409
    assert "The clinic closes before all of it would be done. Choose an earlier time." in said(late.text)
    assert "10:30" in late.text[late.text.index('id="error"') : late.text.index('class="chart"')]
    await environment.hold(environment.instant(10, 30), name="bina")
    await environment.hold(environment.instant(9), name="chand")
    page = said((await asha.get(on(environment, long))).text)
    assert "All times left are on hold for others" in page
    every_third = await offer_service(environment.db, PROVIDER, "scaling", 90_000, 30, starts_every=3)
    page = (await asha.get(on(environment, every_third))).text
    assert len(re.findall(r'<li class="slot', page)) == 2


async def test_busy_carries_the_services_through(asha: Browser, environment: Environment) -> None:
    scaling = await offer_service(environment.db, PROVIDER, "scaling", 120_000, 60)
    await environment.hold(environment.instant(13), clinic_id=2)
    busy = await asha.post(on(environment, scaling), at(environment.instant(9)))
    path = busy.headers["location"]
    assert path.startswith("/busy?")
    assert "Scaling · ₹1,200" in said((await asha.get(path)).text)
    held = await asha.fill(path)
    row = await environment.db.fetch_row(
        "SELECT service_ids, fee_minor, upper(during) - lower(during) AS length FROM booking.booking WHERE occupies"
    )
    assert row is not None
    assert "/hold/" in held.headers["location"]
    assert (row["service_ids"], row["fee_minor"], row["length"]) == ([scaling], 120_000, timedelta(hours=1))
    # A price that has changed meanwhile is said on the chart, and nothing is given up.
    other = await offer_service(environment.db, PROVIDER, "filling", 150_000, 60)
    busy = await asha.post(on(environment, other), at(environment.instant(10)))
    await offer_service(environment.db, PROVIDER, "filling", 160_000, 60)
    changed = await asha.post(busy.headers["location"], {"has": "x"})
    assert "from ₹1,500 to ₹1,600" in said((await asha.get(changed.headers["location"])).text)


async def test_time_kept_free_is_not_the_patients(asha: Browser, environment: Environment) -> None:
    """Neither on the chart, nor is an appointment still to come once it is over for them."""
    filling = await offer_service(environment.db, PROVIDER, "filling", 150_000, 30, buffer_minutes=30, funding="clinic")
    held = await asha.post(on(environment, filling), at(environment.instant(9)))
    booking = await environment.db.fetch_row("SELECT booking_id FROM booking.booking")
    assert booking is not None
    assert "/hold/" in held.headers["location"]
    actor = environment.actor("asha")
    assert (await environment.book.confirm(PROVIDER, booking["booking_id"], None, actor)).code == "booked"
    page = (await asha.get(on(environment, filling))).text
    assert len(re.findall(r'<li class="slot mine', page)) == 1
    for minute, over in ((29, False), (30, True)):
        await environment.pass_until(environment.instant(9, minute))
        assert ("Time has passed" in said((await asha.get("/appointments")).text)) == over


async def test_forms_for_services_are_none_that_release_4_takes(asha: Browser, environment: Environment) -> None:
    """It would hold a plain visit: its chart needs `start`, its line a `what` that it knows, its /busy either."""
    filling = await offer_service(environment.db, PROVIDER, "filling", 150_000, 30)
    chart = on(environment, filling)
    fields = set(re.findall(r'name="(\w+)"', (await asha.get(chart)).text))
    assert ("service_start" in fields, "start" in fields) == (True, False)
    plain = set(re.findall(r'name="(\w+)"', (await asha.get(on(environment))).text))
    assert ("service_start" in plain, "start" in plain) == (False, True)
    line = (await asha.get(chart.replace("?", "/line?"))).text
    assert re.findall(r'name="what" value="(\w+)"', line) == ["services"]
    assert re.findall(r'name="service_what" id="\S+" value="(\w+)"', line) == ["part", "day", "week"]
    await environment.hold(environment.instant(13), AT_CLINIC)
    start = {"service_start": environment.instant(9).isoformat()}
    busy = (await asha.post(chart, start)).headers["location"]
    assert ("service_start=" in busy, "&start=" in busy) == (True, False)
    joining = {"what": "services", "service_what": "day", "who": "me"}
    busy_line = (await asha.post(chart.replace("?", "/line?"), joining)).headers["location"]
    assert ("service_from=" in busy_line, "&from=" in busy_line) == (True, False)
    assert "/hold/" in (await asha.fill(busy)).headers["location"]
    assert await environment.db.fetch_value("SELECT service_ids FROM booking.booking WHERE clinic_id = 1") == [filling]


async def test_sums_have_the_decimals_of_the_product(asha: Browser, environment: Environment) -> None:
    db = environment.db
    await db.execute("UPDATE directory.provider SET type = 'lab' WHERE provider_id = $1", PROVIDER)
    await db.execute("UPDATE directory.clinic SET currency = 'IQD' WHERE clinic_id = $1", FREE)
    await offer_service(db, PROVIDER, "cbc", 26_500, is_test=True, currency="IQD", clinic_id=FREE)
    page = (await asha.get(EVENING)).text
    assert 'data-currency="IQD" data-digits="3"' in page
    assert "IQD 26.500" in said(page).replace("\xa0", " ")


async def test_a_clinics_own_service_counts_there_instead_of_that_of_all(
    asha: Browser, app: Litestar, environment: Environment
) -> None:
    everywhere = await offer_service(environment.db, PROVIDER, "scaling", 120_000, 60)
    assert f"service={everywhere}" in (await asha.get(CHART)).text
    own = await offer_service(environment.db, PROVIDER, "scaling", 150_000, 45, clinic_id=ONLINE)
    forget_shared_reads(app)
    for address, offered, not_offered in ((CHART, own, everywhere), (EVENING, everywhere, own)):
        page = (await asha.get(address)).text
        assert f"service={offered}" in page
        assert f"service={not_offered}" not in page
    chart = await asha.get(on(environment, everywhere))
    assert "The price of Scaling has changed from ₹1,200 to ₹1,500." in said(chart.text)
    about = (await asha.get(f"/doctor/{PROVIDER}/dr-1?about")).text
    for address, service_id, price in ((CHART, own, "45 min ₹1,500"), (EVENING, everywhere, "60 min ₹1,200")):
        assert price in said(about[about.index(f"{address}?service={service_id}") :][:300])
    refused = await asha.post(on(environment, everywhere), at(environment.instant(9)))
    assert refused.status_code == 409
    assert (await environment.counts())["booking.booking"] == 0


async def test_a_week_is_closed_where_a_service_is_not_done(asha: Browser, environment: Environment) -> None:
    day = environment.instant(9).astimezone(INDIA)
    only_that_day = await offer_service(environment.db, PROVIDER, "scaling", 120_000, 60, weekdays=1 << day.weekday())
    chart = (await asha.get(on(environment, only_that_day))).text
    plain = (await asha.get(f"{CHART}?day={day.date()}")).text
    # Of other days, today's times may be over.
    closed, closed_of_plain = (re.findall('class="(count[^"]*)"', page)[1:] for page in (chart, plain))
    assert [one == "count none" for one in closed].count(False) == 1
    assert "count none" not in closed_of_plain


async def test_what_is_to_be_done_before_is_said_from_choosing_on(
    asha: Browser, app: Litestar, environment: Environment
) -> None:
    db = environment.db
    await db.execute("UPDATE directory.provider SET type = 'lab' WHERE provider_id = $1", PROVIDER)
    ids = [
        await offer_service(db, PROVIDER, slug, 30_000, is_test=True) for slug in ("lipid-profile", "fasting", "cbc")
    ]
    fasting, later = "Do not eat for 10 to 12 hours before; water is fine.", "Do not eat for 8 hours before."
    await db.execute(
        "INSERT INTO directory.preparation (provider_id, service_type_id, text) "
        "SELECT provider_id, service_type_id, $1 FROM directory.service WHERE service_id = ANY ($2::bigint[])",
        fasting,
        ids[:2],
    )
    assert said((await asha.get(CHART)).text).count(fasting) == 2
    assert said((await asha.get(f"/doctor/{PROVIDER}/dr-1?about")).text).count(fasting) == 2
    held = await asha.post(on(environment, *ids), at(environment.instant(9)))
    hold = held.headers["location"]
    assert f"Before you come: Fasting, Lipid profile: {fasting}" in said((await asha.get(hold)).text)
    assert "10 से 12 घंटे पहले से कुछ न खाएँ" in (await asha.get(f"/hi{hold}")).text
    await asha.fill(hold, method="sandbox-ok", who="me")
    appointment = f"/appointments/{PROVIDER}/{hold.rpartition('/')[2]}"
    for page in (hold, appointment):
        shown = said((await asha.get(page)).text)
        assert f"Prepare Fasting, Lipid profile: {fasting}" in shown
        assert "Ask the lab whether" not in shown
    # It may be changed after booking; neither file nor message says what it is for.
    await db.execute("UPDATE directory.preparation SET text = $1", later)
    assert later in said((await asha.get(appointment)).text)
    file = (await asha.get(f"{appointment}/visit.ics")).text.replace("\r\n ", "")
    assert f"Before you come: {later}" in file
    assert not re.search("lipid|fasting|cbc", file, re.IGNORECASE)
