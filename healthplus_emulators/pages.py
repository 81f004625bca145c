"""The pages that a patient sees at an emulated gateway: without script, and in the sandbox bank's colours."""

from __future__ import annotations

import html

from healthplus_emulators.emulator import Answer, page
from healthplus_sandbox.page import POLICY, STYLE, STYLE_PATH

NO_MONEY = "This is an emulated gateway: a test, in which no money moves."


def style(path: str) -> Answer | None:
    """Return the style sheet of all these pages, where this is its path."""
    return Answer(200, STYLE.encode(), "text/css; charset=utf-8") if path == f"/pages/{STYLE_PATH}" else None


def frame(title: str, *parts: str, status: int = 200) -> Answer:
    """Return a whole page. `parts`: HTML."""
    answer = page(
        f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title><link rel="stylesheet" href="/pages/{STYLE_PATH}"></head>
<body><main><h1>{html.escape(title)}</h1><p>{NO_MONEY}</p>
{"".join(parts)}</main></body></html>""",
        status,
    )
    answer.headers["Content-Security-Policy"] = POLICY
    return answer


def buttons(action: str, **choices: str) -> str:
    """Return a form that sends the chosen value as `choice`. `choices`: the words on each button, by its value."""
    shown = "".join(
        f'<button name="choice" value="{html.escape(value)}">{html.escape(words)}</button>'
        for value, words in choices.items()
    )
    return f'<form method="post" action="{html.escape(action)}">{shown}</form>'


def facts(**shown: str) -> str:
    """Return a list of what is paid. `shown`: each by its name."""
    rows = (f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>" for name, value in shown.items())
    return f"<dl>{''.join(rows)}</dl>"


def link(url: str | None, words: str) -> str:
    """Return a link, where there is somewhere to go."""
    return f'<p><a href="{html.escape(url)}">{html.escape(words)}</a></p>' if url else ""
