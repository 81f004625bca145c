"""What Stripe's endpoints show: objects with others inside where a request asks for that, and lists by pages."""

from __future__ import annotations

from typing import Any

from healthplus_emulators.ledger import Document, Ledger
from healthplus_emulators.stripe import objects
from healthplus_emulators.stripe.errors import Refused

_INSIDE = {
    "payment_intent": "payment_intent",
    "latest_charge": "charge",
    "charge": "charge",
    "balance_transaction": "balance_transaction",
}
"""The fields with an object's name that can be shown whole, and of what kind it is."""
_DEPTH_MAX = 4
_IN_A_CHARGE = 10
_LISTS = {
    "checkout/sessions": ("checkout.session", "payment_intent", "status"),
    "payment_intents": ("payment_intent",),
    "charges": ("charge", "payment_intent"),
    "refunds": ("refund", "payment_intent", "charge"),
    "balance_transactions": ("balance_transaction", "source", "type"),
    "payouts": ("payout", "status"),
    "events": ("event", "type"),
}
"""The kind of each list, and the fields by which it is filtered."""


def expanded(ledger: Ledger, found: Document, expand: list[str]) -> Document:
    """Return an object with those inside that are asked for, as in `payment_intent.latest_charge`. Raises Refused."""
    shown = dict(found)
    for name in {path.partition(".")[0] for path in expand}:
        inner = [path.partition(".")[2] for path in expand if path.startswith(f"{name}.")]
        if any(path.count(".") >= _DEPTH_MAX for path in expand):
            raise Refused("You cannot expand more than 4 levels of a property", param="expand")
        if name == "refunds" and found["object"] == "charge":
            shown["refunds"] = _refunds(ledger, found)
        elif name == "source" and found["object"] == "balance_transaction":
            kinds = ("charge", "refund", "payout")
            whole = next((one for kind in kinds if (one := ledger.find(kind, found["source"]))), found["source"])
            shown[name] = expanded(ledger, whole, inner) if isinstance(whole, dict) else whole
        elif name in _INSIDE and name in found:
            whole = ledger.find(_INSIDE[name], found[name] or "")
            shown[name] = whole and expanded(ledger, whole, inner)
        else:
            raise Refused(f"This property cannot be expanded ({name}).", param="expand")
    return shown


def _refunds(ledger: Ledger, of: Document) -> dict[str, Any]:
    found = [one for one in ledger.all("refund", of["payment_intent"]) if one["charge"] == of["id"]]
    return objects.listed(f"/v1/charges/{of['id']}/refunds", found[:_IN_A_CHARGE], has_more=len(found) > _IN_A_CHARGE)


def read_list(ledger: Ledger, path: str, query: Document, expand: list[str]) -> dict[str, Any]:
    """Return a page of a list, last made first. Raises Refused."""
    if path not in _LISTS:
        raise Refused(f"Unrecognized request URL (GET: /v1/{path}).", status=404)
    kind, *filters = _LISTS[path]
    try:
        limit = int(query.pop("limit", 10))
        created = {name: int(value) for name, value in query.pop("created", {}).items()}
    except (ValueError, AttributeError):
        raise Refused("Invalid integer", param="limit") from None
    after, before = query.pop("starting_after", None), query.pop("ending_before", None)
    if not 1 <= limit <= 100:
        raise Refused("This value must be between 1 and 100.", param="limit")
    paid_out = query.pop("payout", None) if kind == "balance_transaction" else None
    for name in query.keys() - {*filters}:
        raise Refused(f"Received unknown parameter: {name}", code="parameter_unknown", param=name)
    parent = query.get("payment_intent") if kind in ("refund", "charge") else None
    found = [
        one
        for one in ledger.all(kind, parent)
        if all(one[name] == value for name, value in query.items()) and _is_within(one["created"], created)
    ]
    if paid_out is not None:
        within = {one["transaction"] for one in ledger.all("paid_out", paid_out)}
        found = [one for one in found if one["id"] in within]
    names = [one["id"] for one in found]
    for cursor in (after, before):
        if cursor is not None and cursor not in names:
            raise Refused(f"No such {kind}: '{cursor}'", code="resource_missing", param="starting_after")
    if before is not None:
        found = found[: names.index(before)]
        start = max(0, len(found) - limit)
        shown, has_more = found[start:], start > 0
    else:
        found = found[names.index(after) + 1 if after is not None else 0 :]
        shown, has_more = found[:limit], len(found) > limit
    inner = [one.removeprefix("data.") for one in expand]
    return objects.listed(f"/v1/{path}", [expanded(ledger, one, inner) for one in shown], has_more=has_more)


def _is_within(created: int, bounds: dict[str, int]) -> bool:
    holds = {
        "gt": lambda bound: created > bound,
        "gte": lambda bound: created >= bound,
        "lt": lambda bound: created < bound,
        "lte": lambda bound: created <= bound,
    }
    return all(holds[name](bound) for name, bound in bounds.items() if name in holds)
