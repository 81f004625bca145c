"""The header with which a changing request is made once, however often it is sent."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from litestar.params import HeaderParameter

IdempotencyKey: TypeAlias = Annotated[
    str,
    HeaderParameter(
        name="Idempotency-Key",
        pattern="^[ -~]{1,255}$",
        description="A text of your own, new for each new request: a repeat gives the first result for 24 hours.",
    ),
]
