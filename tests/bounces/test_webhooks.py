"""Fetching certificates for webhooks: small responses, no redirects."""

import inspect
from collections.abc import Callable

import pytest
from support.servers.loopback_http import LoopbackHttp

from service.bounces.inbound.webhook_signatures import WebhookForged
from service.bounces.webhooks import fetch_from_amazon


@pytest.fixture
def fetch() -> Callable[[str], bytes]:
    """Return the function without its cache, which would outlive a test."""
    fetch: Callable[[str], bytes] = inspect.unwrap(fetch_from_amazon)
    return fetch


def test_a_small_response_is_fetched_whole(
    fetch: Callable[[str], bytes], loopback_http: LoopbackHttp
) -> None:
    loopback_http.routes["/cert.pem"] = (200, {}, b"a certificate")
    assert fetch(f"{loopback_http.url}/cert.pem") == b"a certificate"


def test_a_large_missing_or_redirected_response_is_refused(
    fetch: Callable[[str], bytes], loopback_http: LoopbackHttp
) -> None:
    loopback_http.routes["/large"] = (200, {}, b"x" * 30_000)
    loopback_http.routes["/moved"] = (302, {"Location": "/large"}, b"")
    for path in ("/large", "/moved", "/gone"):
        with pytest.raises(WebhookForged):
            fetch(f"{loopback_http.url}{path}")
    assert [request.path for request in loopback_http.requests] == ["/large", "/moved", "/gone"]


def test_a_host_that_does_not_answer_is_refused(fetch: Callable[[str], bytes]) -> None:
    with pytest.raises(WebhookForged, match="cannot be fetched"):
        fetch("http://127.0.0.1:1/cert.pem")
