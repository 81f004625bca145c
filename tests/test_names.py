"""What names become in addresses."""

from __future__ import annotations

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthplus.database import Database
from healthplus.names import service_slug, slug


@given(st.text(min_size=1) | st.text("0123456789- ١²", min_size=1))
def test_a_services_slug_is_never_a_number(name: str) -> None:
    found = service_slug(name)
    assert not found.isdecimal()
    assert found.removeprefix("service-") == slug(name).removeprefix("service-")


def test_slugs_are_as_they_were() -> None:
    assert (service_slug("Vitamin B12"), service_slug("25"), service_slug("17-OH")) == (
        "vitamin-b12",
        "service-25",
        "17-oh",
    )


async def test_no_service_is_stored_under_a_number(db: Database) -> None:
    put = "INSERT INTO directory.service_type (slug, name, is_test) VALUES ($1, 'Estradiol', true)"
    await db.execute(put, "17-beta")
    with pytest.raises(asyncpg.CheckViolationError):
        await db.execute(put, "17")
