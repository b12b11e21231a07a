"""Every failure under /api/ is a problem by RFC 9457, whatever failed."""

import json

import httpx2
from fastapi import FastAPI
from support.web.routes import list_routes

from service.web.api.operations import OPERATIONS

SIGN_UP = "/api/v1/subscriptions"
JSON = {"content-type": "application/json"}


FAILURES = [
    ("GET", "/api/nothing", b"", {}, 404),
    ("GET", "/api/v2/days/latest", b"", {}, 404),
    ("DELETE", "/api/v1/search", b"", {}, 405),
    ("GET", "/api/v1/search", b"", {}, 422),
    ("GET", "/api/v1/search?q=%00", b"", {}, 422),
    ("GET", "/api/v1/search?q=cats&page=51", b"", {}, 422),
    ("POST", SIGN_UP, b"{", JSON, 400),
    ("POST", SIGN_UP, b'{"email": "\\ud800", "\\udfff": 1}', JSON, 422),
    ("POST", SIGN_UP, b"[" * 100_000, JSON, 400),
    ("POST", SIGN_UP, b"email=a@example.org", {}, 415),
    ("POST", SIGN_UP, b" " * 500_000, JSON, 413),
    ("GET", "/api/v1/search?q=cats", b"", {"x-long": "x" * 17_000}, 431),
    ("GET", "/api/v1/me", b"", {}, 401),
    ("GET", "/api/v1/operator/status", b"", {}, 401),
]


def test_each_failure_is_a_problem(web: httpx2.Client) -> None:
    page = web.get("/api").text
    for method, path, content, headers, status in FAILURES:
        answer = web.request(method, path, content=content, headers=headers)
        assert answer.status_code == status, path
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        body = json.loads(answer.content)
        assert (body["status"], body["type"]) == (status, f"/api#problem-{status}")
        assert body["title"]
        assert body["detail"]
        assert ("www-authenticate" in answer.headers) is (status == 401)
        # What its type points to is on the page.
        assert f'id="problem-{status}"' in page


def test_the_page_and_the_document_have_every_operation(web: httpx2.Client, app: FastAPI) -> None:
    page, document = web.get("/api").text, web.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    routes = [each for each in list_routes(app) if each.path.startswith("/api/v1/")]
    assert len(routes) == len(OPERATIONS)
    for operation in OPERATIONS:
        path = f"/api/v1{operation.path}"
        described = document["paths"][path][operation.method.lower()]
        assert described["summary"].endswith(operation.summary)
        assert f"{operation.method} {path}" in page
