"""Errors of the JSON API as problem details (RFC 9457). Every answer under `/api/` that fails is one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fastapi.responses import Response

from service.presentation.sanitize import clean

API_ROOT: Final = "/api/"
MEDIA_TYPE: Final = "application/problem+json"

# Status -> its title, and what it means where nothing more is known. `/api` lists them for people.
PROBLEMS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("Bad request", "The body could not be read as JSON."),
    401: ("Not authorized", "This needs a valid key in the header Authorization: Bearer."),
    404: ("Not found", "There is nothing at this address; /openapi.json lists all addresses."),
    405: ("Method not allowed", "This address does not accept that method; the header Allow names those it does."),
    408: ("Request timeout", "The request did not arrive whole in time."),
    409: ("Conflict", "The request does not fit what is stored."),
    413: ("Content too large", "The body is larger than any request here needs to be."),
    415: ("Unsupported media type", "The body must be JSON, with Content-Type: application/json."),
    422: ("Unprocessable content", "A value is not what this address expects; `errors` says which."),
    429: ("Too many requests", "That was a lot of work for your network; the header Retry-After says when to try again."),
    431: ("Request header fields too large", "The address or a header is too long."),
    500: ("Internal error", "Something went wrong on our side; please try again in a minute."),
    503: ("Not right now", "The service is busy; the header Retry-After says when to try again."),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one value. `position` is the place in its text, counted from 0, or None."""

    field: str
    detail: str
    position: int | None = None


class ApiProblem(Exception):
    """A request to the API that fails; `detail` is a sentence for its author, empty for the usual one."""

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or PROBLEMS[status][1])
        self.status = status
        self.errors = errors
        self.headers = dict(headers or {})
        if status == 401:
            self.headers.setdefault("WWW-Authenticate", 'Bearer realm="Paperboy"')


def is_api(path: str) -> bool:
    """Return whether errors at this path are problems, and not pages."""
    return path.startswith(API_ROOT)


def describe_problem(problem: ApiProblem) -> dict[str, object]:
    """Return the problem as the object that RFC 9457 defines, with `errors` where values are wrong."""
    described: dict[str, object] = {
        "type": f"/api#problem-{problem.status}",
        "title": PROBLEMS[problem.status][0],
        "status": problem.status,
        "detail": clean(str(problem)),
    }
    if problem.errors:
        described["errors"] = [
            {"field": clean(each.field), "detail": clean(each.detail)}
            | ({} if each.position is None else {"position": each.position})
            for each in problem.errors
        ]
    return described


def answer_problem(problem: ApiProblem) -> Response:
    """Return the problem as an answer that nobody may cache."""
    return Response(
        json.dumps(describe_problem(problem), ensure_ascii=False).encode(),
        problem.status,
        {"Cache-Control": "no-store", **problem.headers},
        MEDIA_TYPE,
    )
