"""The sandbox bank's page: what is paid to whom, and the buttons to approve and to decline it."""

from __future__ import annotations

import html
from urllib.parse import quote

from babel.numbers import format_currency

from healthplus.money import in_units

STYLE_PATH = "style.css"
PAYEE = "HealthPlus"
_ENGLISH = {
    "title": "Sandbox bank",
    "test": "This is the sandbox bank: a test, in which no money moves.",
    "payee": "To",
    "amount": "Amount",
    "approve": "Approve",
    "decline": "Decline",
    "wait": "If you do neither for a minute, it is approved.",
    "back": "Go back",
}
_HINDI = {
    "title": "परीक्षण बैंक",
    "test": "यह परीक्षण बैंक है: यहाँ असली पैसा नहीं कटता।",
    "payee": "किसे",
    "amount": "रकम",
    "approve": "मंज़ूर करें",
    "decline": "मना करें",
    "wait": "एक मिनट तक कुछ न करने पर यह मंज़ूर हो जाएगा।",
    "back": "वापस जाएँ",
}
STYLE = """:root {
  color-scheme: light dark;
  --back: #f6f1e7; --card: #fff; --text: #10241f; --soft: #4b5c58; --brand: #0a6a61; --on-brand: #fff;
}
@media (prefers-color-scheme: dark) {
  :root { --back: #0d1513; --card: #17211e; --text: #e9f1ee; --soft: #a9bab5; --brand: #62d2c2; --on-brand: #06201c; }
}
* { box-sizing: border-box; }
body { margin: 0; padding: 1rem; background: var(--back); color: var(--text);
  font: 1.0625rem/1.5 system-ui, sans-serif; }
main { max-width: 26rem; margin: 2rem auto; padding: 1.5rem; border-radius: 1.25rem; background: var(--card); }
h1 { margin: 0; font-size: 1.5rem; }
p { margin: .5rem 0 0; color: var(--soft); }
dl { display: grid; gap: .75rem; margin: 1.5rem 0; }
dl div { display: flex; justify-content: space-between; gap: 1rem; }
dt { color: var(--soft); }
dd { margin: 0; font-weight: 700; }
form { display: grid; gap: .75rem; }
button {
  min-height: 3rem; border: 2px solid var(--brand); border-radius: .75rem;
  background: none; color: var(--brand); font: inherit; font-weight: 700; cursor: pointer;
}
button:first-child { background: var(--brand); color: var(--on-brand); }
a { display: inline-block; padding: .75rem 0; color: var(--brand); }
:focus-visible { outline: 3px solid var(--brand); outline-offset: 3px; }
"""
POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"


def bank_page(key: str, amount: tuple[int, str] | None, return_url: str, wait_seconds: int) -> str:
    """Return the page of the payment under a key, in the language of the page that it leads back to.

    `amount`: what waits for an answer, in the currency's smallest unit, and that; None where nothing does.
    """
    is_hindi = "/hi/" in return_url
    text = _HINDI if is_hindi else _ENGLISH
    back = html.escape(return_url)
    refresh = f'<meta http-equiv="refresh" content="{wait_seconds};url={back}">' if back else ""
    return f"""<!doctype html>
<html lang="{"hi" if is_hindi else "en"}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{text["title"]}</title><link rel="stylesheet" href="/pay/{STYLE_PATH}">{refresh}</head>
<body><main><h1>{text["title"]}</h1><p>{text["test"]}</p>
{_asked(key, _written(amount, is_hindi), text) if amount else ""}
{f'<p><a href="{back}">{text["back"]}</a></p>' if back else ""}</main></body></html>"""


def _written(amount: tuple[int, str], is_hindi: bool) -> str:
    return format_currency(in_units(*amount), amount[1], locale="hi_IN" if is_hindi else "en_IN")


def _asked(key: str, amount: str, text: dict[str, str]) -> str:
    here = f"/pay/{html.escape(quote(key, safe=''))}"
    return f"""<dl><div><dt>{text["payee"]}</dt><dd>{PAYEE}</dd></div>
<div><dt>{text["amount"]}</dt><dd>{html.escape(amount)}</dd></div></dl>
<form method="post" action="{here}/approve">
<button>{text["approve"]}</button><button formaction="{here}/decline">{text["decline"]}</button></form>
<p>{text["wait"]}</p>"""
