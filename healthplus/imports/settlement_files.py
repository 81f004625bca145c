"""Reads the CSV files of what was paid out that owners download from their gateway.

By their columns, these are Razorpay's reports "Settlement Recon" and "Settlements", with times of India, and Stripe's
itemised reports "Payout reconciliation" and "Payouts", with times of UTC. Amounts are in whole units, such as rupees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from healthplus.errors import BadInput
from healthplus.imports.sources import open_file
from healthplus.money import checked_currency, currency_digits
from healthplus.payments.gateways.razorpay_settlements import keys_in, line
from healthplus.payments.gateways.stripe_settlements import KINDS
from healthplus.payments.settled import Settlement, SettlementLine

INDIA = ZoneInfo("Asia/Kolkata")
_TIMES = ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y", "%d-%m-%Y %H:%M:%S", "%d-%m-%Y")
_DIGITS_MAX = 12
_NAME_LENGTH_MAX = 100

Row = tuple[Settlement, SettlementLine | None]
"""A settlement, as far as a row says what it is, and the line of it that the row is."""


class Remark(NamedTuple):
    """What is to be said of a row: the line of the file on which it begins, and why it is left out."""

    line: int
    text: str


class SettlementFile(NamedTuple):
    """What a file says: its rows by their lines, and those that are left out."""

    gateway: str
    rows: list[tuple[int, Row]]
    not_settled: int
    """So many rows are of what is not paid out yet."""
    left_out: list[Remark]


class _Format(NamedTuple):
    gateway: str
    columns: set[str]
    read: Callable[[_Cells], Row | None]
    zone: ZoneInfo


class _Cells:
    """The cells of a row, under the names of their columns; what is wrong with one is said with its name."""

    def __init__(self, cells: Mapping[str, str], zone: ZoneInfo) -> None:
        self._cells = cells
        self._zone = zone

    def notes(self, name: str) -> str:
        """Return what the owner wrote to a payment, of any length."""
        return self._cells.get(name, "")

    def text(self, *names: str, needed: bool = False) -> str:
        """Return the first of these cells that says anything."""
        found = next((self._cells[name] for name in names if self._cells.get(name)), "")
        if needed and not found:
            raise BadInput(f"{names[0]} is empty")
        if len(found) > _NAME_LENGTH_MAX:
            raise BadInput(f"{names[0]} is longer than {_NAME_LENGTH_MAX} letters")
        return found

    @property
    def currency(self) -> str:
        return checked_currency((self.text("currency") or "INR").upper())

    def minor(self, *names: str, needed: bool = True) -> int:
        """Return an amount in the smallest unit."""
        text = self.text(*names, needed=needed) or "0"
        try:
            minor = Decimal(text).scaleb(currency_digits(self.currency))
        except InvalidOperation:
            minor = Decimal("NaN")
        if not minor.is_finite() or minor.adjusted() > _DIGITS_MAX or minor % 1:
            raise BadInput(f"{names[0]} {text[:40]!r} is no amount of {self.currency}")
        return int(minor)

    def at(self, *names: str) -> datetime:
        """Return an instant."""
        text = self.text(*names, needed=True)
        at = _instant(text)
        if at is None or not 2000 <= at.year < 2200:
            raise BadInput(f"{names[0]} {text[:40]!r} is no time, such as 2026-11-30 18:05:00")
        return (at if at.tzinfo else at.replace(tzinfo=self._zone)).astimezone(UTC)


def read_settlement_file(path: Path) -> SettlementFile:
    """Read a file. Raises BadInput where it cannot be read, or is no report of what was paid out."""
    file = open_file(path, {column for one in _FORMATS for column in one.columns})
    known = next((one for one in _FORMATS if one.columns <= set(file.columns)), None)
    if known is None:
        raise BadInput(
            f"{path} has none of the reports that are known: Razorpay's Settlement Recon or Settlements, or Stripe's "
            "itemised Payout reconciliation or Payouts. Its columns are " + ", ".join(file.columns)[:500]
        )
    found = SettlementFile(known.gateway, [], 0, [])
    not_settled = 0
    before: dict[tuple[str, str], tuple[int, Row]] = {}
    for record in file.records():
        try:
            if record.problem:
                raise BadInput(record.problem)
            row = known.read(_Cells(record.cells, known.zone))
            if row is None:
                not_settled += 1
                continue
            name = row[0].name, row[1].name if row[1] else ""
            line, same = before.setdefault(name, (record.line, row))
            if line != record.line:
                raise BadInput(f"it repeats line {line}" + ("" if same == row else ", and says something else"))
            found.rows.append((record.line, row))
        except BadInput as error:
            found.left_out.append(Remark(record.line, error.detail))
    return found._replace(not_settled=not_settled)


def _instant(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for form in _TIMES:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - the zone is the gateway's
        except ValueError:
            continue
    return None


def _razorpay_line(cells: _Cells) -> Row | None:
    if not cells.text("settlement_id"):
        return None
    settlement = cells.text("settlement_id", needed=True)
    at = cells.at("settled_at")
    entity, name = cells.text("transaction_entity", "type", needed=True), cells.text("entity_id", needed=True)
    tax = cells.minor("tax", needed=False)
    # Its own column is without the tax, unlike the field of the API.
    fee = cells.minor("fee", needed=False) + cells.minor("fee_(exclusive_tax)", needed=False)
    fee += tax if cells.text("fee_(exclusive_tax)") else 0
    net = cells.minor("credit", needed=False) - cells.minor("debit", needed=False)
    money = cells.minor("amount"), fee, tax, net
    happened = cells.at("entity_created_at", "created_at", "settled_at")
    keys = keys_in(*map(cells.notes, ("payment_notes", "order_notes", "notes")))
    one = line(settlement, entity.lower(), name, money, happened, cells.text("payment_id"), keys)
    return Settlement(settlement, at, cells.currency, None, cells.text("settlement_utr")), one


def _razorpay_settlement(cells: _Cells) -> Row | None:
    if cells.text("status").lower() != "processed":
        return None
    name, at = cells.text("id", needed=True), cells.at("created_at")
    return Settlement(name, at, cells.currency, cells.minor("amount"), cells.text("utr")), None


def _stripe_line(cells: _Cells) -> Row | None:
    if not cells.text("automatic_payout_id") or cells.text("reporting_category") == "payout":
        return None
    payout = cells.text("automatic_payout_id", needed=True)
    currency = cells.currency
    kind = KINDS.get(cells.text("reporting_category", needed=True), "other")
    gross, fee, net = cells.minor("gross"), cells.minor("fee"), cells.minor("net")
    amount, fee = (0, fee - gross) if kind == "fee" else (gross, fee)
    is_money = kind in ("payment", "refund")
    paid_in = cells.text("customer_facing_currency").upper()
    key = cells.text("payment_metadata[key]", "refund_metadata[key]")
    one = SettlementLine(
        payout,
        cells.text("balance_transaction_id", needed=True),
        kind,
        amount_minor=amount,
        fee_minor=fee,
        tax_minor=cells.minor("tax", needed=False),
        net_minor=net,
        at=cells.at("created_utc", "created_(utc)", "created"),
        payment=cells.text("payment_intent_id", "charge_id", needed=True) if is_money else "",
        refund=cells.text("source_id", "refund_id", needed=True) if kind == "refund" else "",
        keys=(key,) if key else (),
        is_converted=paid_in not in ("", currency),
    )
    at = cells.at("automatic_payout_effective_at_utc", "automatic_payout_effective_at")
    return Settlement(payout, at, currency, None, cells.text("trace_id")), one


def _stripe_payout(cells: _Cells) -> Row | None:
    if cells.text("payout_status") in ("canceled", "failed", "pending"):
        return None
    name, at = cells.text("payout_id", needed=True), cells.at("effective_at_utc", "effective_at")
    return Settlement(name, at, cells.currency, -cells.minor("net"), cells.text("trace_id")), None


_UTC = ZoneInfo("UTC")
_MONEY = {"entity_id", "amount", "debit", "credit", "settlement_id", "settled_at"}
_BALANCE = {"balance_transaction_id", "gross", "fee", "net", "reporting_category"}
_FORMATS = (
    _Format("razorpay", _MONEY, _razorpay_line, INDIA),
    _Format("razorpay", {"id", "amount", "status", "utr", "created_at"}, _razorpay_settlement, INDIA),
    _Format("stripe", _BALANCE | {"automatic_payout_id"}, _stripe_line, _UTC),
    _Format("stripe", {"payout_id", "gross", "fee", "net"}, _stripe_payout, _UTC),
)
