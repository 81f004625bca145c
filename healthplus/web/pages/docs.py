"""The API's pages for developers, made from its own description: all operations, each alone, and a first booking."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any, NamedTuple

from litestar import Controller, Response, get
from litestar.params import FromPath

from healthplus.errors import NotFound
from healthplus.web.http.description import Document, Operation, described, operations
from healthplus.web.pages.first_booking import STEPS
from healthplus.web.pages.rendering import page
from healthplus.web.services import AnyRequest

_REF = "#/components/schemas/"
_DEPTH_MAX = 3


class Field(NamedTuple):
    """A field of a document: its type in words, and the fields of the document that it holds."""

    name: str
    type: str
    text: str
    values: list[str]
    is_required: bool
    fields: list[Field]


class DocsController(Controller):
    path = "/docs"

    @get("/")
    async def all_operations(self, request: AnyRequest) -> Response[str]:
        by_tag = groupby(sorted(operations(described(request.app)), key=_tag), _tag)
        return page(
            request,
            "docs/index.html",
            groups=[(tag, list(group)) for tag, group in by_tag],
            openapi_url="/api/v1/openapi.json",
        )

    @get("/first-booking")
    async def first_booking(self, request: AnyRequest) -> Response[str]:
        return page(request, "docs/first_booking.html", steps=STEPS, key_header=_key_header(described(request.app)))

    @get("/{name:str}")
    async def operation(self, request: AnyRequest, name: FromPath[str]) -> Response[str]:
        document = described(request.app)
        found = next((one for one in operations(document) if one.described["operationId"] == name), None)
        if found is None:
            raise NotFound
        schemas = document["components"]["schemas"]
        body = _json_of(found.described.get("requestBody", {}))
        answers = [
            (status, answer, _json_of(answer))
            for status, answer in sorted(found.described["responses"].items())
            if status[0] == "2"
        ]
        return page(
            request,
            "docs/operation.html",
            operation=found,
            example=_curl(found, body, _key_header(document)),
            body=body,
            body_fields=_fields(body.get("schema", {}), schemas),
            answers=[
                (
                    status,
                    answer["description"],
                    _pretty(content.get("example")),
                    _fields(content.get("schema", {}), schemas),
                )
                for status, answer, content in answers
            ],
            problems=[
                (status, answer["description"])
                for status, answer in sorted(found.described["responses"].items())
                if status[0] != "2"
            ],
        )


def _tag(operation: Operation) -> str:
    return str(operation.described["tags"][0])


def _json_of(body: Document) -> Document:
    """Return the part of a request's or an answer's content that is JSON; nothing where none is."""
    return next((content for media, content in body.get("content", {}).items() if "json" in media), {})


def _pretty(example: Any) -> str:
    return "" if example is None else json.dumps(example, ensure_ascii=False, indent=2)


def _key_header(document: Document) -> str:
    """Return the header that a developer's key is sent in."""
    schemes = document["components"]["securitySchemes"].values()
    return next(str(one["name"]) for one in schemes if one.get("in") == "header")


def _curl(operation: Operation, body: Document, key_header: str) -> str:
    """Return the operation as a command for a shell, with the examples of what it must be given."""
    path, query = operation.path, []
    for parameter in operation.described.get("parameters", ()):
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(parameter.get("example", "…")))
        elif parameter["in"] == "query" and parameter.get("required"):
            query.append(f"{parameter['name']}={parameter.get('example', '…')}")
    lines = [f'curl -X {operation.method} "$SITE{path}{"?" + "&".join(query) if query else ""}"']
    needed = {name for one in operation.described.get("security", ()) for name in one}
    if needed - {"token"}:
        lines.append(f'-H "{key_header}: $KEY"')
    if "token" in needed:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    if any(one["name"] == "Idempotency-Key" for one in operation.described.get("parameters", ())):
        lines.append('-H "Idempotency-Key: $(date +%s%N)"')
    if body:
        lines.append('-H "Content-Type: application/json"')
        lines.append(f"-d '{json.dumps(body['example'], ensure_ascii=False)}'")
    return " \\\n  ".join(lines)


def _fields(schema: Document, schemas: Document, depth: int = 1) -> list[Field]:
    """Return the fields of the document that a schema holds, alone, in a list or as one of several."""
    name = _document_of(schema)
    if name is None or depth > _DEPTH_MAX:
        return []
    described = schemas[name]
    required = described.get("required", ())
    return [
        Field(
            field,
            _type_of(one),
            one.get("description", ""),
            [str(value) for kind in one.get("oneOf", [one]) for value in kind.get("enum", ())],
            field in required,
            _fields(one, schemas, depth + 1),
        )
        for field, one in described.get("properties", {}).items()
    ]


def _document_of(schema: Document) -> str | None:
    for one in schema.get("oneOf", [schema]):
        inner = one.get("items", one)
        if "$ref" in inner:
            return str(inner["$ref"].removeprefix(_REF))
    return None


def _type_of(schema: Document) -> str:
    """Return the type in words, as in `list of string, or null`."""
    kinds = []
    for one in schema.get("oneOf", [schema]):
        if "$ref" in one:
            kinds.append(one["$ref"].removeprefix(_REF))
        elif one.get("type") == "array":
            kinds.append(f"list of {_type_of(one.get('items', {}))}")
        else:
            kinds.append({"date-time": "date and time"}.get(one.get("format", ""), str(one.get("type", "anything"))))
    return ", or ".join(kinds)
