"""The product in another country: its files go in, and its pages speak of its money, places, numbers and clocks."""

from __future__ import annotations

import html
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from healthplus.database.server_files import as_app_role

pytestmark = pytest.mark.timeout(150)

COLUMNS = (
    "provider_identifier,type,name,specialities,clinic_identifier,clinic_name,city,state,postal_code,"
    "clinic_phone,latitude,longitude,currency,fee,shifts\n"
)


class Place(NamedTuple):
    """A country, the cells of a row of its clinic from the city on, and what pages say of it."""

    code: str
    cells: str
    fee: str
    postal_code: str
    said: tuple[str, ...]
    typed: str


GB = Place(
    "GB", "Leeds,England,LS1 4AP,0113 496 0000,53.79,-1.54,GBP,49.50", "£49.50", "LS1 4AP",
    ("999", "116 123 Samaritans", "City, area or postcode", "07400 123456", "Information Commissioner"), "LS1 4AP",
)  # fmt: skip
US = Place(
    "US", "Austin,Texas,78701,(512) 555-0123,30.27,-97.74,USD,120", "$120", "78701",
    ("911", "988 Lifeline", "City, area or ZIP code", "(201) 555-0123", "Office for Civil Rights"), "78701",
)  # fmt: skip


class Served(NamedTuple):
    place: Place
    http: httpx.Client
    imported: str


@pytest.fixture(params=[GB, US], ids=lambda place: place.code)
def served(request: pytest.FixtureRequest, dsn: str, tmp_path: Path) -> Iterator[Served]:
    """The product in a country, with the file of its clinic imported."""
    place: Place = request.param
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "DATABASE_URL": as_app_role(dsn),
        "DATABASE_OWNER_URL": dsn,
        "HEALTHPLUS_DATA": str(tmp_path / "data"),
        "HEALTHPLUS_ACCOUNT": "root" if os.geteuid() == 0 else "",
        "HEALTHPLUS_ALLOW_UNSAFE_COMMITS": "1",
        "HEALTHPLUS_COUNTRY": place.code,
        "HEALTHPLUS_PORT": str(port),
        "HEALTHPLUS_PROCESSES": "1",
        "HEALTHPLUS_SANDBOX_PAYMENTS": "1",
        "HEALTHPLUS_SANDBOX_NOTICES": "1",
    }
    file = tmp_path / "clinics.csv"
    file.write_text(
        f"{COLUMNS}d1,doctor,Dr Ann Lee,Cardiology,c1,Harbour Clinic,{place.cells},Mon-Sun 00:00-24:00/30\n"
    )
    command = [sys.executable, "-m", "healthplus"]
    done = subprocess.run([*command, "import", str(file)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with (
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, follow_redirects=True) as http,
        subprocess.Popen(
            [*command, "serve", "--until-stdin-ends"],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as server,
    ):  # fmt: skip
        _wait_until_ready(http)
        yield Served(place, http, done.stdout)
        server.stdin.close()  # type: ignore[union-attr]
        server.wait(30)


def _wait_until_ready(http: httpx.Client) -> None:
    give_up = time.monotonic() + 60
    while True:
        try:
            if http.get("/api/v1/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < give_up, "the server did not become ready"
        time.sleep(0.1)


def _page(http: httpx.Client, path: str) -> str:
    answer = http.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    return html.unescape(answer.text)


def test_a_country_from_its_file_to_its_pages(served: Served) -> None:
    place, http = served.place, served.http
    assert "1 accepted" in served.imported
    assert not re.search("Tolerated|Rejected|left out|Noted", served.imported), served.imported

    found = _page(http, f"/find?need=cardiologist&place={place.typed}")
    assert "Dr Ann Lee" in found
    assert place.fee in found
    for need in (place.typed, f"cardiologist {place.typed.lower()}"):
        by_code = _page(http, f"/find?need={need}")
        assert "Dr Ann Lee" in by_code, need
        assert "No exact match" not in by_code, need
    urgent = _page(http, "/find?need=chest+pain")
    assert f'href="tel:{place.said[0]}"' in urgent
    [doctor] = set(re.findall(r'href="(/doctor/\d+/dr-ann-lee)', found))
    pages = [_page(http, path) for path in ("/", "/verify", "/privacy", "/help", doctor)]
    together = "\n".join([*pages, found, urgent])
    for text in place.said:
        assert text in together, text
    # Nothing of another country, and no language that is not offered.
    assert not re.search(r"\b112\b(?! 112)|14416|PIN code|₹|\bIST\b|India", re.sub("<(svg|path).*?>", "", together))
    assert not re.search('[\u0900-\u097f]|hreflang="hi"|/hi/', together)
    assert http.get("/hi").status_code == 404
    [chart] = set(re.findall(rf'href="({doctor}/\d+)', pages[-1])) or {doctor}
    assert re.search(r" · (GMT|BST|E[SD]T)<", _page(http, f"{doctor}/{chart}" if chart.isdigit() else chart))
