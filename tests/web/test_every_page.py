"""Rules for every page: security headers, a valid outline, no traceback, working links."""

import re
import socket
import time
from collections.abc import Iterator
from html.parser import HTMLParser

import httpx2
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from support.newsletter.press import Turnable
from support.web.papers import make_announcement, store_papers
from support.web.server import serve
from support.web.site import EnqueuedTasks, Subscribers

from service.platform.database.engine import make_engine, make_sessions
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Purpose
from service.topics.store.topics import list_topics
from service.web.app import create_app

TOKEN_PURPOSES = {
    "confirm": Purpose.CONFIRM,
    "unsubscribe": Purpose.UNSUBSCRIBE,
    "preferences": Purpose.PREFERENCES,
    "never": Purpose.NEVER,
    "change": Purpose.CHANGE,
}


@pytest.fixture
def pages(
    web: httpx2.Client, session: Session, subscribers: Subscribers
) -> dict[str, httpx2.Response]:
    """Return one response of each kind of page."""
    store_papers(session, [make_announcement(1, "Cats")])
    subscriber = subscribers.add("reader@example.org", "cats")
    tokens = {
        name: subscribers.token(purpose, subscriber.id) for name, purpose in TOKEN_PURPOSES.items()
    }
    paths = [
        "/",
        "/daily/2026-09-12",
        "/weekly/2026-W38?sort=trend",
        "/monthly/2026-09?q=cats",
        "/calendar",
        "/calendar/2026-08",
        "/papers/arxiv:2609.00001",
        "/papers/nothing",
        "/search",
        "/search?q=cats",
        "/search?q=)",
        "/topics",
        "/topics/preview?q=cats",
        "/privacy",
        "/api",
        "/nowhere",
        "/link",
        "/confirm/broken",
        *(f"/{name}/{token}" for name, token in tokens.items()),
    ]
    answers = {path: web.get(path) for path in paths}
    preferences = f"/preferences/{tokens['preferences']}"
    change = f"/change/{tokens['change']}"
    topic = {"topic": str(list_topics(session, subscriber.id)[0].id), "mute": "dogs"}
    answers["mute"] = web.get(change, params=topic)
    answers["muted"] = web.post(change, data=topic)
    answers["refused change"] = web.get(change, params={**topic, "mute": "the"})
    answers["less"] = web.get(change, params={"less": "1"})
    answers["saved"] = web.post(change, data={"keep": "1"})
    web.post(f"{preferences}/kept/1", data={"tags": "cats, to read", "note": "Mine"})
    web.post(f"{preferences}/feed", data={"action": "make"})
    answers["kept"] = web.get(f"{preferences}/kept")
    answers["not added"] = web.post(f"{preferences}/kept/add", data={"address": "nothing"})
    answers["tags and note"] = web.get(f"{preferences}/kept/1")
    answers["refused tags"] = web.post(f"{preferences}/kept/1", data={"tags": "x" * 41})
    answers["preferences"] = web.get(preferences)
    answers["sent"] = web.post("/subscribe", data={"email": "new@example.org"})
    answers["refused"] = web.post("/subscribe", data={"email": "new"})
    answers["link sent"] = web.post("/link", data={"email": "new@example.org"})
    answers["link refused"] = web.post("/link", data={"email": "new"})
    answers["erase"] = web.post(preferences, data={"action": "erase"})
    answers["paused"] = web.post(preferences, data={"action": "pause"})
    answers["confirmed"] = web.post(f"/confirm/{tokens['confirm']}")
    answers["unsubscribed"] = web.post(f"/unsubscribe/{tokens['unsubscribe']}")
    return answers


class Outline(HTMLParser):
    """Collects the tags, ids, labels and fields of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.labelled: set[str] = set()
        self.fields: list[dict[str, str | None]] = []
        self.inline: list[str] = []
        self.references: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.ids += [value for value in [given.get("id")] if value]
        self.references += (given.get("aria-describedby") or "").split()
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        if tag == "label":
            self.labelled.add(given.get("for") or "")
        if tag in {"input", "select", "textarea"} and given.get("type") != "hidden":
            self.fields.append(given)


def test_every_page_has_a_valid_outline(pages: dict[str, httpx2.Response]) -> None:
    for path, answer in pages.items():
        text = answer.text
        outline = Outline(text)
        assert text.startswith('<!doctype html>\n<html lang="en">'), path
        assert outline.tags.count("h1") == 1, path
        assert re.search(r"<title>[^<]+ · Paperboy</title>", text), path
        assert '<a class="skip" href="#' in text, path
        assert len(outline.ids) == len({*outline.ids}), path
        assert {*outline.references} <= {*outline.ids}, path


def test_every_field_has_an_accessible_name(pages: dict[str, httpx2.Response]) -> None:
    for path, answer in pages.items():
        outline = Outline(answer.text)
        for field in outline.fields:
            is_named = field.get("id") in outline.labelled or field.get("aria-label")
            assert is_named, (path, field)


def test_no_page_has_a_script_but_our_own_file_or_inline_styles(
    pages: dict[str, httpx2.Response],
) -> None:
    ours = re.compile(r'<script src="/static/[0-9a-f]{12}/preview\.js" defer></script>')
    for path, answer in pages.items():
        outline = Outline(answer.text)
        assert outline.tags.count("script") == len(ours.findall(answer.text)) <= 1, path
        assert "style" not in outline.tags, path
        assert not outline.inline, path


def test_every_page_has_security_headers(pages: dict[str, httpx2.Response]) -> None:
    for path, answer in pages.items():
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy, path
        assert "frame-ancestors 'none'" in policy, path
        assert "unsafe-" not in policy, path
        assert "script-src 'self'" in policy, path
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert "set-cookie" not in answer.headers, path


def test_pages_at_signed_urls_are_private(pages: dict[str, httpx2.Response]) -> None:
    private = [p for p in pages if p.startswith(tuple(f"/{name}/" for name in TOKEN_PURPOSES))]
    assert len(private) == 6
    for path in [*private, "erase", "paused", "confirmed", "unsubscribed", "muted", "kept"]:
        headers = pages[path].headers
        assert headers["cache-control"] == "no-store", path
        assert headers["x-robots-tag"] == "noindex", path
        assert headers["referrer-policy"] == "no-referrer", path


def test_every_internal_link_works(web: httpx2.Client, pages: dict[str, httpx2.Response]) -> None:
    found = {href for page in pages.values() for href in re.findall(r'href="(/[^"#]*)', page.text)}
    assert len(found) > 15
    for href in sorted(found):
        answer = web.get(href.replace("&amp;", "&"))
        assert answer.status_code == 200, href


def test_the_style_sheet_is_immutable_at_a_url_with_its_content_hash(web: httpx2.Client) -> None:
    found = re.search(r'href="(/static/[0-9a-f]{12}/site\.css)"', web.get("/").text)
    assert found
    answer = web.get(found[1])
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    assert web.get("/static/000000000000/site.css").status_code == 404
    assert web.get(found[1].replace("site.css", "..%2fapp.py")).status_code == 404


def test_404_and_405_have_pages(web: httpx2.Client) -> None:
    unknown = web.get("/nowhere")
    assert unknown.status_code == 404
    assert "There is no such page" in unknown.text
    wrong = web.get("/subscribe")
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "POST"
    assert "Method not allowed" in wrong.text
    # A redirect of a URL with a trailing slash would break one-click (RFC 8058).
    assert web.post("/unsubscribe/x/", follow_redirects=False).status_code == 404


def test_head_is_answered_like_get_without_a_body(web: httpx2.Client) -> None:
    for path, status in (("/", 200), ("/healthz", 200), ("/nowhere", 404)):
        answer = web.head(path)
        assert answer.status_code == status
        assert answer.content == b""


def test_a_body_larger_than_any_form_is_refused(web: httpx2.Client) -> None:
    answer = web.post("/subscribe", data={"email": "a@example.org", "topic": "x" * 500_000})
    assert answer.status_code == 413
    assert "a file of references has at most 2 MB." in answer.text


@pytest.mark.parametrize("token", ["x", "a.b.c", "%00", "%F0%9F%93%B0", "Wzld.x" * 400])
def test_a_damaged_link_has_a_page_with_advice(web: httpx2.Client, token: str) -> None:
    for name in (*TOKEN_PURPOSES, "editions"):
        answer = web.get(f"/{name}/{token}")
        assert answer.status_code == 404, name
        assert "have a new link sent" in answer.text, name


@pytest.fixture
def broken(settings: Settings, clock: Turnable, enqueued: EnqueuedTasks) -> Iterator[httpx2.Client]:
    """A site whose database and broker are unavailable."""
    settings = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    engine = make_engine("postgresql://nobody@127.0.0.1:1/nothing")
    app = create_app(settings, make_sessions(engine), enqueue=enqueued, clock=clock)
    with serve(app) as address, httpx2.Client(base_url=address, timeout=20) as client:
        yield client
    engine.dispose()


def test_a_crash_is_a_plain_answer_without_a_traceback(broken: httpx2.Client) -> None:
    answer = broken.get("/")
    assert answer.status_code == 500
    assert "try again in a minute" in answer.text
    assert "Traceback" not in answer.text
    assert "127.0.0.1" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_liveness_does_not_depend_on_database_and_broker(broken: httpx2.Client) -> None:
    assert broken.get("/healthz").json() == {"status": "ok"}
    answer = broken.get("/readyz")
    assert answer.status_code == 503
    body = answer.json()
    assert body["status"] == "unavailable"
    assert body["database"] == "OperationalError"
    assert body["broker"] == "ConnectionError"


def test_a_hanging_database_is_reported_after_two_seconds(
    settings: Settings, clock: Turnable, enqueued: EnqueuedTasks
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        engine = make_engine(f"postgresql://nobody@127.0.0.1:{mute.getsockname()[1]}/nothing")
        app = create_app(settings, make_sessions(engine), enqueue=enqueued, clock=clock)
        with serve(app) as address:
            began = time.monotonic()
            answer = httpx2.get(f"{address}/readyz", timeout=20)
            assert time.monotonic() - began < 4
    engine.dispose()
    assert answer.status_code == 503
    assert answer.json()["database"] == "no answer within 2 seconds"
    assert answer.json()["broker"] == "ok"


def test_a_file_in_place_of_a_text_is_an_error_page(web: httpx2.Client) -> None:
    answer = web.post("/subscribe", files={"email": ("a.txt", b"a@example.org")})
    assert answer.status_code == 422
    assert "We could not read the request" in answer.text


def test_a_site_is_ready_when_database_and_broker_answer(web: httpx2.Client) -> None:
    answer = web.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "database": "ok", "broker": "ok"}


def test_robots_txt_disallows_signed_urls(web: httpx2.Client) -> None:
    text = web.get("/robots.txt").text
    for path in (*(f"/{name}/" for name in TOKEN_PURPOSES), "/editions/"):
        assert f"Disallow: {path}\n" in text


def test_sign_ups_work_while_the_broker_is_unavailable(
    settings: Settings, engine: Engine, clock: Turnable, enqueued: EnqueuedTasks
) -> None:
    settings = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    app = create_app(settings, make_sessions(engine), enqueue=enqueued, clock=clock)
    with serve(app) as address, httpx2.Client(base_url=address, timeout=20) as client:
        forms = [{"email": f"reader{n}@example.org"} for n in range(31)]
        codes = [client.post("/subscribe", data=form).status_code for form in forms]
    assert codes == [200] * 30 + [429]


def test_the_openapi_schema_lists_no_pages(web: httpx2.Client) -> None:
    schema = web.get("/openapi.json").json()
    assert schema["info"]["title"] == "Paperboy"
    assert {path.split("/")[1] for path in schema["paths"]} == {"api"}
    assert web.get("/docs").status_code == 404
