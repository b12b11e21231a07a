"""Pages are compressed; answers with secrets, and tiny ones, are not."""

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy.orm import Session
from support.web.papers import make_announcement, store_papers
from support.web.site import Subscribers

from service.messages.signed_links import _PATHS
from service.platform.signing.tokens import Purpose
from service.web.core.middleware import TOKEN_PATHS

GZIP = {"Accept-Encoding": "gzip"}


def read_raw(web: httpx2.Client, path: str, **headers: str) -> tuple[httpx2.Response, bytes]:
    """Return a response and its body as it was on the wire."""
    with web.stream("GET", path, headers=headers or GZIP) as answer:
        return answer, b"".join(answer.iter_raw())


@pytest.mark.parametrize("path", ["/", "/search?q=cats", "/feeds/daily.atom", "/feeds/daily.rss"])
def test_a_page_is_a_third_of_its_size_on_the_wire(
    web: httpx2.Client, session: Session, path: str
) -> None:
    store_papers(session, [make_announcement(n, f"Cats {n}") for n in range(1, 20)])
    answer, raw = read_raw(web, path)
    plain, whole = read_raw(web, path, **{"Accept-Encoding": "identity"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert int(answer.headers["content-length"]) == len(raw) < len(whole) / 3
    assert "content-encoding" not in plain.headers
    assert web.get(path, headers=GZIP).content == web.get(path).content == whole


def test_the_style_sheet_is_compressed(web: httpx2.Client) -> None:
    path = web.get("/").text.partition('rel="stylesheet" href="')[2].partition('"')[0]
    answer, raw = read_raw(web, path)
    assert answer.headers["content-encoding"] == "gzip"
    assert len(raw) < 8_000


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/robots.txt", "/favicon.ico"])
def test_tiny_answers_and_pictures_are_not_compressed(web: httpx2.Client, path: str) -> None:
    answer, _ = read_raw(web, path)
    assert answer.status_code == 200
    assert "content-encoding" not in answer.headers


@pytest.mark.settings(admin_password="a long password of the operator")
def test_answers_with_secrets_are_not_compressed(
    app: FastAPI, web: httpx2.Client, subscribers: Subscribers
) -> None:
    subscriber = subscribers.add("reader@example.org", "cats")
    for purpose in (Purpose.PREFERENCES, Purpose.UNSUBSCRIBE, Purpose.CONFIRM, Purpose.NEVER):
        path = f"/{purpose}/{subscribers.token(purpose, subscriber.id)}"
        answer, raw = read_raw(web, path)
        assert answer.status_code == 200
        assert "content-encoding" not in answer.headers
        assert len(raw) > 1_400, path
    web.auth = httpx2.BasicAuth("me", "a long password of the operator")
    answer, raw = read_raw(web, "/admin")
    assert answer.status_code == 200
    assert "content-encoding" not in answer.headers
    assert len(raw) > 1_400


def test_every_path_with_a_signed_token_counts_as_secret() -> None:
    assert {f"/{path}/" for path in _PATHS.values()} == {*TOKEN_PATHS}


def test_head_has_the_headers_of_the_compressed_page(web: httpx2.Client) -> None:
    answer = web.head("/", headers=GZIP)
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.content == b""


def test_browsers_find_an_icon_where_they_look_first(web: httpx2.Client) -> None:
    answer = web.get("/favicon.ico")
    assert answer.headers["content-type"] == "image/x-icon"
    assert answer.content.startswith(b"\x00\x00\x01\x00\x03\x00")
    assert "max-age" in answer.headers["cache-control"]
