"""The database's logins for staff: one for each role, which may run that role's functions and has no right on a table.

The login of patients is the role that the product works as. Theirs are named after it: `healthplus_desk` beside
`healthplus_app`.
"""

from __future__ import annotations

STAFF_ROLES = ("desk", "practitioner", "ward", "administrator")
"""As in the type staff.role."""


def login_of(app_role: str, staff_role: str) -> str:
    """Return the name of the login of a role of the staff."""
    return f"{app_role.removesuffix('_app')}_{staff_role}"


def as_login(dsn: str, login: str) -> str:
    """Return the DSN with which another role connects to the same database, without a password."""
    scheme, _, rest = dsn.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{login}@{authority.rpartition('@')[2]}{slash}{path}"
