"""The product's settings: one frozen object, read once from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

from healthplus.errors import BadInput

# Where a field's variable is not simply HEALTHPLUS_ and its name.
_VARIABLES = {"database_url": "DATABASE_URL", "data_folder": "HEALTHPLUS_DATA"}


def _default_data_folder() -> Path:
    # As root the server runs under another account, which often cannot enter the folder the product was started in
    # (/root, say); /var/lib can always be entered. The name keeps two checkouts apart.
    if os.geteuid() == 0:
        return Path("/var/lib/healthplus", str(Path.cwd()).strip("/").replace("/", "-") or "root")
    return Path("healthplus-data").absolute()


@dataclass(frozen=True)
class Settings:
    """Each field is read from HEALTHPLUS_<NAME>, except DATABASE_URL and HEALTHPLUS_DATA.

    Without `database_url` an embedded server is run on `data_folder`.
    `processes` are app processes; each keeps between `pool_size_min` and `pool_size_max` database connections.
    The sandbox flags replace the payment gateway, or SMS and e-mail, by stand-ins that show what would have happened.
    """

    database_url: str | None
    data_folder: Path
    host: str = "127.0.0.1"
    port: int = 8000
    processes: int = 2
    pool_size_min: int = 2
    pool_size_max: int = 10
    # Off unless asked for: a stand-in shows sign-in codes to whoever looks.
    sandbox_payments: bool = False
    sandbox_notices: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the settings; an absent or empty variable means the default.

        Raises BadInput, naming the variable, when a value does not parse.
        """
        values: dict[str, object] = {"database_url": None, "data_folder": _default_data_folder()}
        for field in fields(cls):
            variable = _variable(field.name)
            if text := environment.get(variable):
                values[field.name] = _parse(variable, text, str(field.type))
        return cls(**values)  # type: ignore[arg-type]

    def as_environment(self) -> dict[str, str]:
        """Give the variables from which another process reads these same settings."""
        return {_variable(f.name): _format(getattr(self, f.name)) for f in fields(self)}


def _variable(name: str) -> str:
    return _VARIABLES.get(name, f"HEALTHPLUS_{name.upper()}")


def _parse(variable: str, text: str, kind: str) -> object:
    if kind == "int":
        if not text.isdecimal():
            raise BadInput(f"{variable} must be a whole number, not {text!r}.")
        return int(text)
    if kind == "bool":
        if text not in ("0", "1"):
            raise BadInput(f"{variable} must be 1 (on) or 0 (off), not {text!r}.")
        return text == "1"
    return Path(text).absolute() if kind == "Path" else text


def _format(value: object) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, bool) else str(value)
