"""All routes of an application, also those of included routers, which FastAPI keeps apart."""

from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.routing import APIRoute


def list_routes(app: FastAPI) -> list[APIRoute]:
    """Return every route with an endpoint of ours. Fails where there are hardly any."""
    found = list(_walk(app))
    assert len(found) > 40
    return found


def _walk(app: FastAPI) -> Iterator[APIRoute]:
    for each in app.routes:
        router = getattr(each, "original_router", None)
        routes = [each] if router is None else router.routes
        yield from (route for route in routes if isinstance(route, APIRoute))
