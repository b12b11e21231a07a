"""Every page that a secret opens says that nobody may keep, index or pass on its address."""

import inspect
from collections.abc import Iterator

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from sqlalchemy import Engine
from support.newsletter.press import Turnable
from support.web.routes import list_routes
from support.web.server import serve
from support.web.site import EnqueuedTasks

from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Purpose
from service.web.api.auth import check_api_key, read_digest_link, read_link
from service.web.app import create_app
from service.web.core.signed_links import open_link, open_old_link
from service.web.operator.auth import check_monitor, check_operator
from service.web.operator.dev_mailbox import require_development

PASSWORD = "a long password of the operator"
PRIVATE = {"cache-control": "no-store", "x-robots-tag": "noindex", "referrer-policy": "no-referrer"}
_GUARDS = {
    check_operator, check_monitor, require_development, read_link, read_digest_link, check_api_key,
}  # fmt: skip
_SECRETS = {"token", "old", "link", "secret"}
# The token of these forms opens nothing: it says that the form was fetched (`Purpose.FORM`).
_PUBLIC_FORMS = {"/", "/subscribe"}


def secret_routes(app: FastAPI) -> dict[str, APIRoute]:
    """Return the routes with a token in their address or form, and those for the operator."""
    return {
        f"{'/'.join(sorted(route.methods or ()))} {route.path}": route
        for route in list_routes(app)
        if route.path not in _PUBLIC_FORMS and takes_secret(route)
    }


def takes_secret(route: APIRoute) -> bool:
    fields = [
        *route.dependant.path_params,
        *route.dependant.query_params,
        *route.dependant.body_params,
    ]
    reads_link = {open_link.__name__, open_old_link.__name__}
    return (
        bool(_SECRETS & {field.name for field in fields})
        or bool(_GUARDS & {each.call for each in dependants(route.dependant)})
        or bool(reads_link & {*inspect.unwrap(route.endpoint).__code__.co_names})
    )


def dependants(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for each in dependant.dependencies:
        yield from dependants(each)


def unprotected(client: httpx2.Client, app: FastAPI) -> list[str]:
    """Return the secret routes of which any answer lacks one of the headers."""
    lacking = []
    for name, route in secret_routes(app).items():
        path = route.path.replace(":path}", "}").format_map(_Filled())
        # What fails must be as private as what works: a wrong token stands in the address, too.
        answers = [client.request(method, path) for method in ("GET", "HEAD", "POST", "DELETE")]
        answers.append(httpx2.get(f"{client.base_url}{path}"))
        if any(_is_open(answer) for answer in answers):
            lacking.append(name)
    return lacking


def _is_open(answer: httpx2.Response) -> bool:
    stored = answer.headers.get("cache-control", "").removeprefix("private, ") != "no-store"
    return stored or bool(PRIVATE.items() - {**answer.headers, "cache-control": "no-store"}.items())


class _Filled(dict[str, str]):
    """A value for every parameter of a path."""

    def __missing__(self, name: str) -> str:
        return "1" if name.endswith("_id") else "not-a-real-one"


@pytest.fixture
def app(settings: Settings, engine: Engine, clock: Turnable, enqueued: EnqueuedTasks) -> FastAPI:
    here = settings.model_copy(update={"smtp_url": (), "admin_password": PASSWORD})
    return create_app(here, make_sessions(engine), enqueue=enqueued, clock=clock)


def test_every_page_that_a_secret_opens_is_private(web: httpx2.Client, app: FastAPI) -> None:
    web.auth = httpx2.BasicAuth("me", PASSWORD)
    routes = secret_routes(app)
    folders = {name.partition(" ")[2].split("/")[1] for name in routes}
    links = {purpose.value for purpose in Purpose} - {"form", "wait", "operator", "edition"}
    assert {*links, "editions", "admin", "metrics", "mailbox", "link", "api"} == folders
    assert len(routes) > 30
    assert unprotected(web, app) == []


@pytest.mark.parametrize("path", ["/gift/{token}", "/gift/{link}", "/gift", "/operators"])
def test_a_new_page_that_takes_a_secret_is_found_without_the_headers(
    app: FastAPI, path: str
) -> None:
    app.include_router(_new_pages())
    with serve(app) as address, httpx2.Client(base_url=address) as client:
        assert f"GET {path}" in unprotected(client, app)


def _new_pages() -> APIRouter:
    router = APIRouter()

    def show_by_token(token: str) -> str:
        return token

    def show_by_link(link: str) -> str:
        return link

    router.get("/gift/{token}")(show_by_token)
    router.get("/gift")(show_by_token)
    router.get("/gift/{link}")(show_by_link)
    router.get("/operators")(check_operator)
    return router


def test_public_pages_may_be_indexed(web: httpx2.Client) -> None:
    for path in ("/", "/search", "/topics", "/privacy", "/status"):
        assert "x-robots-tag" not in web.get(path).headers, path
