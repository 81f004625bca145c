"""What the database says when it does not let somebody do what they ask for, as our errors."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from healthplus.database import PostgresError
from healthplus.errors import Forbidden, HealthPlusError, LogInNeeded, ProofDue, ScreenLocked

logger = logging.getLogger(__name__)

_NOT_THIS_LOGIN = "42501"

_REFUSALS: dict[str | None, type[HealthPlusError]] = {
    "HP401": LogInNeeded,
    "HP403": Forbidden,
    "HP423": ScreenLocked,
    "HP428": ProofDue,
    _NOT_THIS_LOGIN: Forbidden,
}
"""What staff.own_session, staff.authorise and staff.require_proof raise; and where the login may not run a function."""


@contextlib.contextmanager
def refusals_as_ours() -> Iterator[None]:
    """Raise LogInNeeded, ScreenLocked, Forbidden or ProofDue where a function has said so."""
    try:
        yield
    except PostgresError as error:
        refusal = _REFUSALS.get(error.sqlstate)
        if refusal is None:
            raise
        if error.sqlstate == _NOT_THIS_LOGIN:
            logger.warning("a page asks for what its own right does not give: %s", error)
        raise refusal from None
