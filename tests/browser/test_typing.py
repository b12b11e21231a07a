"""Typing a topic in a real browser: live preview, and use by keyboard alone."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from support.newsletter.press import Turnable
from support.web.papers import make_announcement, store_papers
from support.web.server import serve
from support.web.site import EnqueuedTasks, Subscribers

from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Purpose
from service.web.app import create_app

pytestmark = pytest.mark.browser

Scheme = Literal["light", "dark"]


@pytest.fixture
def site(settings: Settings, engine: Engine, session: Session, now: datetime) -> Iterator[str]:
    announcements = [
        make_announcement(n, f"Cats {n}", categories=("cs.CL", "cs.CV") if n % 2 else ("cs.CL",))
        for n in range(1, 41)
    ]
    store_papers(session, announcements)
    app = create_app(settings, make_sessions(engine), enqueue=EnqueuedTasks(), clock=lambda: now)
    with serve(app) as address:
        yield address


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    """A page that fails its test on any console message or script error."""
    context = browser.new_context(base_url=site)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda event: complaints.append(event.text) if event.type != "log" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


def test_typing_shows_a_preview_without_sending_the_form(page: Page) -> None:
    page.goto("/")
    page.locator("#topic-0").press_sequentially("cats", delay=20)
    live = page.locator("#live")
    expect(live).to_contain_text("about 40 papers a day, 40 papers in the last 30 days")
    expect(live.get_by_role("img")).to_have_accessible_name(
        "40 papers from Thu 20 Aug to Fri 18 Sep; most on Fri 18 Sep: 40."
    )
    expect(live.locator(".examples li")).to_have_count(10)
    expect(live.locator("mark").first).to_have_text("Cats")
    expect(page.locator("#live-summary")).to_contain_text("about 40 papers a day.")
    assert page.url.endswith("/")


def test_an_error_is_shown_while_typing_and_goes_when_corrected(page: Page) -> None:
    page.goto("/")
    topic = page.locator("#topic-0")
    topic.fill("cats titel:x")
    expect(page.locator("#live-fault")).to_contain_text("Did you mean ti:?")
    expect(topic).to_have_attribute("aria-invalid", "true")
    topic.fill("cats ti:cats")
    expect(page.locator("#live-fault")).to_be_empty()
    expect(topic).not_to_have_attribute("aria-invalid", "true")
    topic.fill("")
    expect(page.locator("#live")).to_be_empty()


def test_only_the_last_of_many_requests_is_shown(page: Page) -> None:
    """A late response must not overwrite that to a later request (race)."""
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url) if "live" in request.url else None)
    page.goto("/")
    topic = page.locator("#topic-0")
    topic.press_sequentially("cats cats cats", delay=5)
    expect(page.locator("#live")).to_contain_text("40 papers")
    assert len(urls) <= 3
    topic.fill("unicorns")
    expect(page.locator("#live")).to_contain_text("no papers yet")


def test_a_suggestion_can_be_chosen_with_the_keyboard(page: Page) -> None:
    page.goto("/")
    page.locator("#topic-0").focus()
    page.keyboard.type("cats")
    suggestion = page.get_by_role("button", name="only in cs.CV")
    expect(suggestion).to_be_visible()
    for _ in range(12):
        page.keyboard.press("Tab")
        if suggestion.evaluate("node => node === document.activeElement"):
            break
    page.keyboard.press("Enter")
    topic = page.locator("#topic-0")
    expect(topic).to_have_value("cats cat:cs.CV")
    expect(topic).to_be_focused()
    expect(page.locator("#live")).to_contain_text("20 papers in the last 30 days")
    assert page.url.endswith("/")
    # Enter in a topic opens the preview page.
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("About 20 papers a day")


def test_preferences_preview_each_topic_while_typing(
    page: Page, session: Session, settings: Settings, now: datetime
) -> None:
    subscribers = Subscribers(session, settings, Turnable(now))
    subscriber = subscribers.add("reader@example.org", "dogs")
    page.goto(f"/preferences/{subscribers.token(Purpose.PREFERENCES, subscriber.id)}")
    page.get_by_label("Topic 2", exact=True).fill("cats cat:cs.CV")
    expect(page.locator("#live")).to_contain_text("20 papers")
    page.get_by_label("Topic 1", exact=True).fill("cats )")
    expect(page.locator("#live-fault")).to_contain_text("never opened")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault_in_the_form_with_a_preview(
    browser: Browser, site: str, scheme: Scheme
) -> None:
    # axe runs as an injected script, which our content security policy refuses.
    context = browser.new_context(base_url=site, bypass_csp=True, color_scheme=scheme)
    page = context.new_page()
    for path in ("/", "/topics/preview?q=cats", "/topics/preview?q=catz", "/search?q=cats"):
        page.goto(path)
        if path == "/":
            page.locator("#topic-0").fill("cats")
            expect(page.locator(".suggestion").first).to_be_visible()
        for summary in page.locator("details > summary").all():
            if summary.is_visible():
                summary.click()
        found = Axe().run(page).response["violations"]
        faults = [
            (each["id"], [node["html"][:120] for node in each["nodes"]][:3]) for each in found
        ]
        assert faults == [], json.dumps([path, faults], indent=1)
    context.close()


def test_ready_made_topics_and_suggestions_work_without_javascript(
    browser: Browser, site: str
) -> None:
    context = browser.new_context(base_url=site, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    page.get_by_text("Or tick ready-made topics").click()
    page.get_by_text("Vision and graphics", exact=True).click()
    page.get_by_label("Image generation").check()
    page.get_by_label("Email").fill("new@example.org")
    page.get_by_role("button", name="Subscribe").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox")
    page.goto("/topics/preview?q=cats")
    page.get_by_role("button", name="only in cs.CV").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("About 20 papers a day")
    context.close()
