"""Being found and shared: what pages say of themselves, what search engines are told, and pages of cities."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import httpx
import pytest
from litestar import Litestar

from healthplus.web.languages import ENGLISH
from healthplus.web.pages import structured_data
from tests.fixtures.environment import ONLINE, PROVIDER, Environment
from tests.web import pictures

SITE = "http://127.0.0.1:8000"
_META = re.compile(r'<meta (?:name|property)="([^"]+)" content="([^"]*)"')
_LINK = re.compile(r'<link rel="(canonical|alternate)"(?: hreflang="([^"]+)")? href="([^"]+)"')
_XML = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9", "x": "http://www.w3.org/1999/xhtml"}


async def look(http: httpx.AsyncClient, path: str) -> str:
    page = await http.get(path)
    assert page.status_code == 200, (path, page.status_code, page.headers.get("location"), page.text)
    return page.text


async def test_x(http: httpx.AsyncClient, environment: Environment, app) -> None:
    import traceback
    from healthplus.web.pages import errors

    print(await look(http, "/in/pune"))
