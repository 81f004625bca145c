"""What a browser needs to know to put the product on a phone's home screen (https://www.w3.org/TR/appmanifest/)."""

from __future__ import annotations

import msgspec
from litestar import Controller, Response, get

from healthplus.web.assets import asset_url
from healthplus.web.pages.rendering import document, language_of
from healthplus.web.services import AnyRequest

_BAND, _CANVAS = "#063f39", "#fbf7f0"
"""The tokens --deep and --canvas of static/css/00-tokens.css."""
_KEEP_SECONDS = 3600


class ManifestController(Controller):
    @get("/manifest.webmanifest")
    async def manifest(self, request: AnyRequest) -> Response[bytes]:
        language = language_of(request)
        content = {
            "id": "/",
            "name": "HealthPlus",
            "short_name": "HealthPlus",
            "description": language.gettext("Find a doctor, clinic or lab"),
            "lang": language.code,
            "start_url": language.url("/"),
            "scope": "/",
            "display": "standalone",
            "theme_color": _BAND,
            "background_color": _CANVAS,
            "icons": [
                {
                    "src": asset_url(f"icon-{side}.png"),
                    "sizes": f"{side}x{side}",
                    "type": "image/png",
                    "purpose": purpose,
                }
                for side in (192, 512)
                for purpose in ("any", "maskable")
            ],
        }
        return document(
            request,
            msgspec.json.encode(content),
            "application/manifest+json",
            headers={"Cache-Control": f"public, max-age={_KEEP_SECONDS}"},
        )
