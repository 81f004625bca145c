"""The demo's stand-in for everybody's phone and mailbox; there only where messages are not sent."""

from __future__ import annotations

from pathlib import Path

import jinja2
from litestar import MediaType, Response, get

from healthplus.notices.sender import SANDBOX_MESSAGES_MAX, queries
from healthplus.web.services import AnyRequest, services

_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")), autoescape=True, trim_blocks=True
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


@get("/demo", include_in_schema=False)
async def demo_page(request: AnyRequest) -> Response[str]:
    rows = await services(request).database.fetch(queries.sandbox_messages, SANDBOX_MESSAGES_MAX)
    page = _templates.get_template("demo.html").render(messages=[dict(row) for row in rows])
    return Response(page, media_type=MediaType.HTML, headers=_HEADERS)
