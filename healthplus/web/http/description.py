"""What the API's description says besides what its code does: what each field means, and an example of each operation.

The texts are in fields.toml. Examples are put together from those of their fields, so a new field needs one line.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from litestar import Litestar, Request
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.plugins import JsonRenderPlugin

FIELDS: dict[str, Any] = tomllib.loads(Path(__file__).with_name("fields.toml").read_text("utf-8"))
_PARAMETERS: dict[str, list[Any]] = FIELDS.pop("parameters")
VALUES: dict[str, list[str]] = FIELDS.pop("values")
_METHODS = ("get", "post", "put", "patch", "delete")
_NOUNS = {
    "Holds": "Hold", "Appointments": "Appointment", "Ratings": "Rating", "Reviews": "Review", "Waits": "Wait",
    "MyWaits": "MyWait", "Persons": "Person", "Me": "Me", "Notifications": "Notifications",
}  # fmt: skip
"""What the functions of a controller are about, where their names do not say it."""
_REF = "#/components/schemas/"

Document = dict[str, Any]
"""An OpenAPI description, or a part of it."""


class Operation(NamedTuple):
    """An operation of the description, and where it is."""

    method: str
    path: str
    described: Document


class DescribedJson(JsonRenderPlugin):
    """Publishes the description with what fields.toml says of it."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: Document) -> bytes:  # noqa: ARG002 - as the framework has it
        return super().render(request, described(request.app))


def operation_id(handler: HTTPRouteHandler, _method: Any, _path: Any) -> str:
    """Return a name that is one operation's alone, by its function and what it is about, as in `readHold`."""
    controller, _, function = handler.fn.__qualname__.partition(".")
    first, *rest = function.split("_")
    noun = _NOUNS.get(controller.removesuffix("Controller"), "")
    is_clear = not noun or noun.lower() in function or (rest and function != "give_reason")
    return first + "".join(map(str.capitalize, rest)) + ("" if is_clear else ("Of" if rest else "") + noun)


def operations(document: Document) -> Iterator[Operation]:
    """Yield the operations of a description, as it orders them."""
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield Operation(method.upper(), path, item[method])


def described(app: Litestar) -> Document:
    """Return an app's description as it is published; it is put together once."""
    source = app.openapi_schema
    kept: tuple[Any, Document] | None = app.state.get("api_description")
    if kept is None or kept[0] is not source:
        kept = source, complete(source.to_schema())
        app.state["api_description"] = kept
    return kept[1]


def complete(document: Document) -> Document:
    """Return a description with summaries, with what each field and parameter means, and with examples."""
    document = copy.deepcopy(document)
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        for field, described in schema.get("properties", {}).items():
            text, *_ = _said(name, field)
            described.setdefault("description", text)
            values = VALUES.get(f"{name}.{field}", VALUES.get(field))
            if values:
                _limit(described, values)
    for operation in operations(document):
        _complete_operation(operation, schemas)
    return document


def _complete_operation(operation: Operation, schemas: Document) -> None:
    described = operation.described
    text = described.get("description", "")
    described["summary"] = re.split(r"(?<=[.;])\s", text, maxsplit=1)[0].rstrip(".;")
    for parameter in described.get("parameters", ()):
        name = parameter["name"]
        if values := VALUES.get(f"{described['operationId']}.{name}"):
            _limit(parameter["schema"], values)
        said = _PARAMETERS.get(f"{operation.method} {operation.path} {name}", _PARAMETERS.get(name))
        if said:
            parameter["description"] = parameter.get("description") or said[0]
            if said[1:]:
                parameter["example"] = said[1]
    for body in (described.get("requestBody", {}), *described["responses"].values()):
        for media, content in body.get("content", {}).items():
            if "json" in media and content.get("schema"):
                content["example"] = example_of(content["schema"], schemas)


def _said(schema: str, field: str) -> list[Any]:
    return FIELDS.get(f"{schema}.{field}") or FIELDS.get(field) or [""]


def _limit(described: Document, values: list[str]) -> None:
    """Say which texts a field may be, wherever it may be a text."""
    for one in described.get("oneOf", [described]):
        if one.get("type") == "string":
            one.setdefault("enum", list(values))


def example_of(schema: Document, schemas: Document, *, field: str = "", owner: str = "") -> Any:
    """Return an example of a schema, put together from those of its fields."""
    _, *example = _said(owner, field)
    if example:
        return example[0]
    kinds = [one for one in schema.get("oneOf", [schema]) if one.get("type") != "null"]
    if "$ref" in kinds[0]:
        document = kinds[0]["$ref"].removeprefix(_REF)
        inner = schemas[document].get("properties", {})
        return {key: example_of(value, schemas, field=key, owner=document) for key, value in inner.items()}
    if kinds[0].get("type") == "array":
        items = kinds[0].get("items", {})
        return [example_of(items, schemas)] if "$ref" in items else []
    return {} if kinds[0].get("type") == "object" else None
