"""The API's own description: OpenAPI 3.1 at `/openapi.json`, and the page `/api` for people."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse

from service.messages.contexts.base import BRAND
from service.web.api.models import ProblemDetails
from service.web.api.operations import OPERATIONS, ROOT, Operation, Part
from service.web.core.context import Context
from service.web.core.problems import PROBLEMS

# Of the API, not of the program: it grows with every addition.
VERSION: Final = "1.0.0"
_DESCRIPTION: Final = (
    "Days, papers, search and previews for everybody; settings, digests and saved papers for their "
    "reader; editions and subscribers for the operator. The page /api explains it."
)
_PARTS: Final = {
    Part.PUBLIC: ("For everybody", "No key is needed."),
    Part.SUBSCRIBER: (
        "For a reader",
        "With the last part of your link to the preferences, or for digests alone with that of your private feed.",
    ),
    Part.OPERATOR: ("For the operator", "With the key that the setting PAPERBOY_API_KEY has."),
}

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class ParameterLine:
    """One parameter: its name, where it stands, and what it means."""

    name: str
    place: str
    text: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class OperationLine:
    """One operation on the page."""

    method: str
    path: str
    summary: str
    parameters: tuple[ParameterLine, ...]
    body: tuple[str, ...]
    statuses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PartLine:
    """A part of the API with its operations."""

    name: str
    title: str
    text: str
    operations: tuple[OperationLine, ...]


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, made once."""
    if not app.openapi_schema:
        document = get_openapi(
            title=BRAND,
            version=VERSION,
            description=_DESCRIPTION,
            routes=app.routes,
            tags=[{"name": part.value, "description": text} for part, (_, text) in _PARTS.items()],
        )
        schemas = document["components"]["schemas"]
        problem = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= problem.pop("$defs")
        schemas["ProblemDetails"] = problem
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        app.openapi_schema = document
    return app.openapi_schema


@router.get("/api")
def show_api(context: Context, request: Request) -> HTMLResponse:
    """Explain the API to people."""
    document = describe(request.app)
    parts = tuple(
        PartLine(part.value, title, text, tuple(_iterate_lines(document, part)))
        for part, (title, text) in _PARTS.items()
    )
    return context.pages.show(
        "api.html", parts=parts, problems=PROBLEMS, base=context.settings.base_url
    )


def _iterate_lines(document: dict[str, Any], part: Part) -> Iterator[OperationLine]:
    for operation in OPERATIONS:
        if operation.part is part:
            described = document["paths"][f"{ROOT}{operation.path}"][operation.method.lower()]
            yield _to_line(document, operation, described)


def _to_line(
    document: dict[str, Any], operation: Operation, described: dict[str, Any]
) -> OperationLine:
    parameters = tuple(
        ParameterLine(
            each["name"], each["in"], each.get("description", ""), each.get("required", False)
        )
        for each in described.get("parameters", ())
    )
    body: tuple[str, ...] = ()
    if "requestBody" in described:
        content = described["requestBody"]["content"]["application/json"]["schema"]
        schema = document["components"]["schemas"][content["$ref"].rpartition("/")[2]]
        body = tuple(schema["properties"])
    return OperationLine(
        operation.method,
        f"{ROOT}{operation.path}",
        operation.summary,
        parameters,
        body,
        tuple(sorted(described["responses"])),
    )
