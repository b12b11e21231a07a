"""The links of a mail in a real browser, also on a small phone: one press each, and undo."""

from datetime import datetime

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from support.newsletter.press import Turnable
from support.web.papers import make_announcement, store_papers
from support.web.server import serve
from support.web.site import Subscribers

from service.messages.signed_links import follow_url, keep_url, less_url, more_url, mute_url
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Purpose
from service.topics.store.topics import list_topics
from service.web.app import create_app

pytestmark = pytest.mark.browser

NAME = "Retrieval-augmented generation, agents…"
TOPIC = '"retrieval-augmented generation" OR agents OR "tool use" OR ti:planning'


@pytest.mark.parametrize(("width", "has_script"), [(320, False), (375, True), (1280, False)])
def test_each_link_needs_one_press_and_no_page_scrolls_sideways(
    *,
    browser: Browser,
    settings: Settings,
    engine: Engine,
    session: Session,
    now: datetime,
    width: int,
    has_script: bool,
) -> None:
    titles = [f"A Survey of Agents, Part {n}" for n in (1, 2)] + [f"Agents {n}" for n in range(4)]
    announcements = [make_announcement(n, title) for n, title in enumerate(titles, 1)]
    paper = min(store_papers(session, announcements).values())
    subscribers = Subscribers(session, settings, Turnable(now))
    subscriber = subscribers.add("reader@example.org", TOPIC)
    topic = list_topics(session, subscriber.id)[0].id
    base = f"/change/{subscribers.token(Purpose.CHANGE, subscriber.id)}"
    preferences = f"/preferences/{subscribers.token(Purpose.PREFERENCES, subscriber.id)}"
    session.commit()
    app = create_app(settings, make_sessions(engine), enqueue=lambda *_: None, clock=lambda: now)
    with serve(app) as address:
        context = browser.new_context(
            base_url=address,
            java_script_enabled=has_script,
            viewport={"width": width, "height": 800},
        )
        page = context.new_page()
        heading = page.get_by_role("heading", level=1)

        def press(name: str, result: str) -> None:
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.get_by_role("button", name=name, exact=True).click()
            expect(heading).to_have_text(result)
            assert page.evaluate("document.documentElement.scrollWidth") <= width

        page.goto(mute_url(base, topic, "survey"))
        expect(page.get_by_text(f"Your topic “{NAME}” will leave out")).to_be_visible()
        press("Mute", "“survey” is muted")
        press("Undo", "Undone")
        page.goto(follow_url(base, "Ada Lovelace"))
        press("Follow", "You follow Ada Lovelace")
        page.goto(f"{more_url(base, paper)}&topic={topic}")
        expect(page.get_by_role("link", name="Follow Ada Lovelace")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.get_by_role("link", name="Less like this").click()
        page.get_by_role("link", name="ti:Survey").click()
        press("Mute", "ti:Survey is muted")
        page.goto(keep_url(base, paper))
        press("Save", "Saved")
        page.goto(less_url(base, paper))
        expect(heading).to_have_text("You saved this paper")
        page.get_by_role("link", name="Keep it saved").click()
        expect(heading).to_have_text("Saved")
        page.goto(less_url(base, paper))
        press("Less like this instead", "Noted")
        press("Undo", "Undone")
        page.goto(mute_url(base, topic, "agents", paper))
        expect(heading).to_have_text(f"“agents” cannot be muted in “{NAME}”")
        page.goto(preferences)
        press("Undo: ti:Survey", "Undone")
        page.goto(f"{preferences}/kept")
        expect(page.get_by_role("listitem")).to_have_count(1)
        press("Remove: A Survey of Agents, Part 1", "Your papers")
        expect(page.get_by_role("status")).to_have_text("Removed from your saved papers.")
        context.close()
