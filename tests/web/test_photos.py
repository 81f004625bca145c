"""Photos at addresses of ours, and where the API says what they are."""

from __future__ import annotations

import httpx
import pytest

from healthplus.database import Database
from healthplus.directory.pictures import encode
from tests.fixtures.environment import PROVIDER, Environment
from tests.fixtures.pictures import picture
from tests.web.client import Client

ENCODED = encode(picture())
_STORE = """
WITH stored AS (
    INSERT INTO directory.photo (hash, size, webp, stored_at)
    SELECT $1, size, webp, public.app_now() FROM unnest($2::smallint[], $3::bytea[]) AS given(size, webp)
), pictured AS (
    INSERT INTO directory.clinic_picture (clinic_id, position, hash, source) VALUES (1, 1, $1, 'https://a.example/b')
), described AS (
    UPDATE directory.provider SET qualifications = 'MBBS', registration = '2010/1234', council = 'Goa Medical Council',
        practising_since = 2010, languages = '{Konkani}'
    WHERE provider_id = $4
)
INSERT INTO directory.provider_photo (provider_id, hash, source) VALUES ($4, $1, 'https://a.example/c')
"""


@pytest.fixture
async def photo(environment: Environment, db: Database) -> str:
    """Store a photo of a provider, and the same of a clinic; return its name."""
    await db.execute(_STORE, ENCODED.hash, list(ENCODED.webp), list(ENCODED.webp.values()), PROVIDER)
    return ENCODED.hash


async def test_a_photo_never_changes(photo: str, anyone: Client, http: httpx.AsyncClient) -> None:
    for size, webp in ENCODED.webp.items():
        answer = await http.get(f"/photo/{photo}-{size}.webp")
        assert (answer.status_code, answer.content) == (200, webp)
        assert answer.headers["content-type"] == "image/webp"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        again = await http.get(answer.url, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])


async def test_what_is_smaller_is_shown_as_large_as_it_is(db: Database, http: httpx.AsyncClient) -> None:
    small = encode(picture(size=(300, 200)))
    await db.execute(_STORE, small.hash, list(small.webp), list(small.webp.values()), PROVIDER)
    assert list(small.webp) == [96, 320]
    assert (await http.get(f"/photo/{small.hash}-640.webp")).content == small.webp[320]


@pytest.mark.parametrize("name", ["{}-97.webp", "{}-96.png", "{}", "{}-096.webp", "../{}-96.webp", "%00{}-96.webp"])
async def test_there_is_nothing_else(photo: str, http: httpx.AsyncClient, name: str) -> None:
    for one in (photo, "f" * 32):
        assert (await http.get(f"/photo/{name.format(one)}")).status_code in (400, 404)
    assert (await http.get(f"/photo/{'f' * 32}-96.webp")).status_code == 404


async def test_the_api_says_whose_it_is(photo: str, anyone: Client) -> None:
    shown = (await anyone.get(f"providers/{PROVIDER}")).json()
    assert (shown["qualifications"], shown["registration"], shown["council"], shown["photo"]) == (
        *("MBBS", "2010/1234", "Goa Medical Council"),
        photo,
    )
    assert {one["id"]: one["picture_texts"] for one in shown["clinics"]}[1] == [""]
    clinics = {one["id"]: one["pictures"] for one in shown["clinics"]}
    assert clinics[1] == [photo]
    assert [pictures for clinic_id, pictures in clinics.items() if clinic_id != 1] == [[]] * (len(clinics) - 1)
    [one] = [one for one in (await anyone.get("clinics/1")).json()["providers"] if one["id"] == PROVIDER]
    assert (one["qualifications"], one["photo"], one["practising_since"], one["languages"]) == (
        *("MBBS", photo, 2010),
        ["Konkani"],
    )
    found = {one["id"]: one for one in (await anyone.get("cities/pune/providers")).json()}
    assert (found[PROVIDER]["qualifications"], found[PROVIDER]["photo"]) == ("MBBS", photo)
    others = [one for provider_id, one in found.items() if provider_id != PROVIDER]
    assert {(one["qualifications"], one["photo"]) for one in others} == {(None, None)}
