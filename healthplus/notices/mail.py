"""The HTML of an e-mail: tables and inline styles, since mail programs know no more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jinja2

_TEMPLATE = jinja2.Environment(
    autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
).from_string(Path(__file__).with_name("mail.html").read_text("utf-8"))


def mail_html(
    language: str,
    title: str,
    lines: Sequence[str],
    button: tuple[str, str],
    *,
    footer: str,
    footer_link: tuple[str, str] | None = None,
) -> str:
    """Return an e-mail that says `lines` under its title, with a button and a footer; links are text and address."""
    action, link = button
    return _TEMPLATE.render(
        language=language,
        title=title,
        lines=lines,
        action=action,
        link=link,
        footer=footer,
        footer_link=footer_link,
    )
