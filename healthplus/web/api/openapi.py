"""The API's description of itself."""

from __future__ import annotations

from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from healthplus.web.api.keys import SECURITY_SCHEMES
from healthplus.web.http.description import DescribedJson, operation_id


def openapi_config() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="HealthPlus",
        version="1",
        description="Doctor and lab appointments that are never double-booked, in order of arrival.",
        # Not a folder: Litestar answers with a page of its own for whatever is not found below.
        path="/api/v1/openapi.json",
        # The renderers that show pages load their scripts from elsewhere.
        render_plugins=[DescribedJson(path="/")],
        use_handler_docstrings=True,
        operation_id_creator=operation_id,
        components=Components(
            security_schemes={"token": SecurityScheme(type="http", scheme="bearer"), **SECURITY_SCHEMES}
        ),
    )
