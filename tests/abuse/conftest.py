"""Attacks come over HTTP, at an app with its background tasks."""

from __future__ import annotations

from tests.web.conftest import anyone, app, asha, bina, http, phone, routes

__all__ = ["anyone", "app", "asha", "bina", "http", "phone", "routes"]
