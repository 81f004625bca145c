"""Ids in the paths of the API and the pages."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from litestar.params import PathParameter

ID_MAX = 2**63 - 1
"""The database's largest."""

ProviderId: TypeAlias = Annotated[int, PathParameter(ge=1, le=ID_MAX, description="The provider's id.")]
ClinicId: TypeAlias = Annotated[int, PathParameter(ge=1, le=ID_MAX)]
PhotoHash: TypeAlias = Annotated[str, PathParameter(pattern="^[0-9a-f]{32}$")]
ShiftId: TypeAlias = Annotated[int, PathParameter(ge=1, le=ID_MAX)]
ServiceId: TypeAlias = Annotated[int, PathParameter(ge=1, le=ID_MAX)]
StaffId: TypeAlias = Annotated[int, PathParameter(ge=1, le=ID_MAX)]
BreachId: TypeAlias = Annotated[int, PathParameter(ge=1, le=ID_MAX)]
KeyId: TypeAlias = Annotated[int, PathParameter(ge=1, le=ID_MAX)]
"""Of the office's pages."""
