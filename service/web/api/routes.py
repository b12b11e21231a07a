"""The routes of the API, made from the table of operations, and what all their answers share.

GET answers have an ETag and are 304 for who has them; lists have `Link` headers (RFC 8288); what a
key opens is `private, no-store`; every failure is a problem (RFC 9457).
"""

import inspect
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response
from fastapi.params import Depends as Dependency
from fastapi.routing import APIRoute
from pydantic import BaseModel

from service.web.api.auth import check_api_key
from service.web.api.models import Listed
from service.web.api.operations import OPERATIONS, ROOT, Operation, Part
from service.web.core.admission import costly
from service.web.core.conditional import has_etag, make_etag
from service.web.core.problems import MEDIA_TYPE, PROBLEMS, ApiProblem

_PUBLIC: Final = "public, max-age=60"
_PRIVATE: Final = "private, no-store"
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_SCHEMA = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}


class ApiRoute(APIRoute):
    """A route whose GET answers are conditional."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_conditional(request: Request) -> Response:
            response = await handle(request)
            response.headers["X-Robots-Tag"] = "noindex"
            if request.method != "GET" or response.status_code != 200:
                return response
            etag = make_etag(bytes(response.body))
            response.headers["ETag"] = etag
            if not has_etag(request, etag):
                return response
            kept = ("etag", "cache-control", "link", "x-robots-tag")
            headers = {name: response.headers[name] for name in kept if name in response.headers}
            return Response(status_code=304, headers=headers)

        return handle_conditional


router = APIRouter(route_class=ApiRoute)


def require_json(request: Request) -> None:
    """Raise a 415 for a body that is not called JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiProblem(415)


def add_route(operation: Operation) -> None:
    """Add the route of one operation."""
    # A key has slashes: `arxiv:hep-th/9901001`.
    path = operation.path.replace("{key}", "{key:path}")
    router.add_api_route(
        f"{ROOT}{path}",
        _make_endpoint(operation),
        methods=[operation.method],
        response_model=operation.answer,
        status_code=operation.status,
        responses=_document_answers(operation),
        dependencies=_list_dependencies(operation),
        operation_id=operation.run.__name__,
        summary=operation.summary,
        tags=[operation.part.value],
    )


def _list_dependencies(operation: Operation) -> list[Dependency]:
    return [
        *([Depends(check_api_key)] if operation.part is Part.OPERATOR else []),
        *(costly(operation.cost) if operation.cost else []),
        *([Depends(require_json)] if operation.method in _WITH_BODY else []),
    ]


def _make_endpoint(operation: Operation) -> Callable[..., BaseModel | None]:
    """Return the function of an operation with headers set on the answer."""
    cache = _PUBLIC if operation.part is Part.PUBLIC else _PRIVATE

    own = inspect.signature(operation.run)
    takes_request = "request" in own.parameters

    @wraps(operation.run)
    def endpoint(request: Request, response: Response, **values: object) -> BaseModel | None:
        answer = operation.run(**values, **({"request": request} if takes_request else {}))
        response.headers["Cache-Control"] = cache if operation.method == "GET" else "no-store"
        if isinstance(answer, Listed):
            _link(request, response, answer)
        return answer

    # FastAPI reads parameters from here: those of the operation, and the two of its own.
    added = {
        name: inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation)
        for name, annotation in (("request", Request), ("response", Response))
    }
    given = {
        name: each.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, each in own.parameters.items()
    }
    signature = own.replace(parameters=list({**given, **added}.values()))
    endpoint.__signature__ = signature  # type: ignore[attr-defined]
    return endpoint


def _link(request: Request, response: Response, answer: Listed) -> None:
    """Set the addresses of the neighbours of a page, in its body and in the header `Link`."""
    names = {"next": "next", "previous": "prev"}
    links = []
    for name, changed in answer.neighbours().items():
        query = {**request.query_params, **{key: str(value) for key, value in changed.items()}}
        address = f"{request.url.path}?{urlencode(query)}"
        setattr(answer, name, address)
        links.append(f'<{address}>; rel="{names[name]}"')
    if links:
        response.headers["Link"] = ", ".join(links)


def _document_answers(operation: Operation) -> dict[int | str, dict[str, Any]]:
    has_body = operation.method in _WITH_BODY
    statuses = {
        *operation.problems,
        *((400, 408, 413, 415) if has_body else ()),
        *((429, 503) if operation.cost else ()),
        *(422, 431, 500, 503),
    }
    documented: dict[int | str, dict[str, Any]] = {
        status: {"description": PROBLEMS[status][0], "content": _SCHEMA}
        for status in sorted(statuses)
    }
    if operation.method == "GET":
        documented[200] = {"headers": _describe_headers(operation)}
        documented[304] = {"description": "Not modified: the client has this answer already"}
    return documented


def _describe_headers(operation: Operation) -> dict[str, Any]:
    described = {"ETag": {"schema": {"type": "string"}, "description": "For If-None-Match"}}
    if operation.answer and issubclass(operation.answer, Listed):
        described["Link"] = {
            "schema": {"type": "string"},
            "description": "The next and the previous page",
        }
    return described


for _operation in OPERATIONS:
    add_route(_operation)
