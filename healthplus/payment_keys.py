"""The keys of accounts at gateways, which are settings and never in the database."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

_NAME = re.compile("[a-z][a-z0-9-]{0,29}")

Secret = Annotated[str, msgspec.Meta(pattern="^[!-~]([ -~]*[!-~])?\\Z")]
"""Never empty: anybody who knows that it is could sign webhooks with it, and so book without paying."""


class AccountKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an account's requests and webhooks are signed with. `url`: of a stand-in for the gateway, in tests.

    `key_id`: Razorpay's, which names the account in requests and on its pages; Stripe has none.
    """

    secret: Secret
    webhook_secret: Secret
    key_id: str = ""
    url: str = ""

    def __repr__(self) -> str:
        """Show no secret."""
        return f"AccountKeys(key_id={self.key_id!r})"


def is_account_name(name: str) -> bool:
    """Return whether an account may have this name."""
    return _NAME.fullmatch(name) is not None and name != "sandbox"


def account_keys(text: str) -> dict[str, AccountKeys]:
    """Read `{"account": {"secret": …, "webhook_secret": …}, …}`. Raises ValueError, which shows no secret."""
    try:
        keys = msgspec.json.decode(text, type=dict[str, AccountKeys])
    except (msgspec.MsgspecError, UnicodeError) as error:
        # What msgspec says of a wrong value has its place and kind, and not the value; but a name, which may be a
        # secret in the wrong place, it says.
        said = re.sub("unknown field `.*`", "unknown field", str(error), flags=re.DOTALL)
        example = '{"account": {"secret": "…", "webhook_secret": "…"}}'
        raise ValueError(f"must be JSON like {example}, each secret of letters, digits and signs: {said}.") from None
    if not all(map(is_account_name, keys)):
        raise ValueError(
            "names an account wrongly: a name has small letters, digits and hyphens, up to 30, and is not sandbox."
        )
    return keys
