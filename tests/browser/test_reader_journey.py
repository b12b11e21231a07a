"""From sign-up to unsubscribe in a real browser without JavaScript; layout and contrast."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from support.web.papers import make_announcement, store_papers, upvoted
from support.web.server import serve
from support.web.site import settling_tasks

from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.models import Delivery
from service.messages.signed_links import signed_url
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Purpose
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import get_topics
from service.web.app import create_app

pytestmark = pytest.mark.browser

Scheme = Literal["light", "dark"]


@pytest.fixture
def site(settings: Settings, engine: Engine, session: Session, now: datetime) -> Iterator[str]:
    announcements = [
        make_announcement(1, "Cats Learn to Prompt", signals=upvoted(31)),
        make_announcement(2, "A Very Long Title about " + "Reinforcement " * 12 + "of Dogs"),
    ]
    store_papers(session, announcements)
    tasks = settling_tasks(engine, settings, lambda: now)
    app = create_app(settings, make_sessions(engine), enqueue=tasks, clock=lambda: now)
    with serve(app) as address:
        yield address


def open_page(browser: Browser, site: str, width: int = 1280) -> Page:
    context = browser.new_context(
        base_url=site, java_script_enabled=False, viewport={"width": width, "height": 800}
    )
    return context.new_page()


def read_subscriber(session: Session) -> Subscriber:
    session.rollback()
    session.expunge_all()
    return session.execute(select(Subscriber)).scalar_one()


def link_in_mail(settings: Settings, session: Session, purpose: Purpose) -> str:
    """Return the path of a link in the confirmation mail."""
    confirmations = select(Delivery).where(Delivery.kind == DeliveryKind.CONFIRMATION)
    holder = read_subscriber(session)
    mail = session.execute(confirmations).scalar_one()
    url = signed_url(settings, purpose, holder, mail.created_at)
    return url.removeprefix(settings.base_url)


def test_a_reader_signs_up_confirms_changes_leaves_and_returns_without_javascript(
    browser: Browser, site: str, settings: Settings, session: Session
) -> None:
    page = open_page(browser, site)
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Friday 18 September 2026")
    page.get_by_label("Email").fill("reader@example.org")
    page.get_by_label(re.compile("^Topics")).fill("cats")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("About 1 paper a day")
    expect(page.get_by_label("Email")).to_have_value("reader@example.org")
    assert "reader" not in page.url
    page.get_by_text("change").click()
    page.get_by_label("Delivery time").select_option("6")
    page.get_by_role("button", name="Subscribe").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox")

    page.goto(link_in_mail(settings, session, Purpose.CONFIRM))
    assert read_subscriber(session).state is SubscriberState.PENDING
    page.get_by_role("button", name="Yes, send me papers").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are subscribed")
    subscriber = read_subscriber(session)
    assert (subscriber.state, subscriber.hour) == (SubscriberState.ACTIVE, 6)

    page.goto(link_in_mail(settings, session, Purpose.PREFERENCES))
    page.get_by_label("Topic 2", exact=True).fill("dogs )")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("was never opened")
    page.get_by_label("Topic 2", exact=True).fill('"reinforcement learning"')
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    subscriber = read_subscriber(session)
    texts = [text for text, _ in get_topics(session, [subscriber.id])[subscriber.id]]
    assert texts == ["cats", '"reinforcement learning"']

    page.goto(link_in_mail(settings, session, Purpose.UNSUBSCRIBE))
    page.get_by_role("button", name="Unsubscribe").click()
    expect(page.locator("main")).to_contain_text("You will get no more mail from us.")
    assert read_subscriber(session).state is SubscriberState.UNSUBSCRIBED
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Welcome back")
    assert read_subscriber(session).state is SubscriberState.ACTIVE
    page.context.close()


PATHS = (
    "/",
    "/link",
    "/search?q=cats",
    "/search?q=%22cats",
    "/topics",
    "/papers/arxiv:2609.00002",
    "/privacy",
    "/api",
)


@pytest.mark.parametrize("width", [320, 640, 1280])
def test_no_page_scrolls_sideways(browser: Browser, site: str, width: int) -> None:
    # 320 px is a small phone, and 1280 px at 400 % zoom (WCAG 1.4.10).
    context = browser.new_context(base_url=site, viewport={"width": width, "height": 800})
    page = context.new_page()
    for path in PATHS:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    context.close()


CONTRASTS = """() => {
  const channel = c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = rgb => 0.2126 * channel(rgb[0] / 255) + 0.7152 * channel(rgb[1] / 255)
    + 0.0722 * channel(rgb[2] / 255);
  const read = text => text.match(/[\\d.]+/g).map(Number);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const rgb = read(getComputedStyle(node).backgroundColor);
      if (rgb.length === 3 || rgb[3] === 1) return rgb;
    }
    return [255, 255, 255];
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text; text = texts.nextNode();) {
    const node = text.parentElement;
    if (!text.textContent.trim() || !node.checkVisibility()) continue;
    const [a, b] = [light(read(getComputedStyle(node).color)), light(behind(node))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), text.textContent.trim()]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_reaches_a_contrast_of_4_5(browser: Browser, site: str, scheme: Scheme) -> None:
    context = browser.new_context(base_url=site, color_scheme=scheme)
    page = context.new_page()
    for path in PATHS:
        page.goto(path)
        found = page.evaluate(CONTRASTS)
        assert len(found) > 10
        assert [pair for pair in found if pair[0] < 4.5] == [], path
    context.close()


def test_the_first_tab_skips_to_the_form_and_focus_is_seen(browser: Browser, site: str) -> None:
    context = browser.new_context(base_url=site)
    page = context.new_page()
    page.goto("/")
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    expect(focused).to_have_text("Skip to the sign-up form")
    expect(focused).to_be_in_viewport()
    assert focused.evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
    context.close()


def test_the_honeypot_is_invisible_and_not_focusable(browser: Browser, site: str) -> None:
    context = browser.new_context(base_url=site)
    page = context.new_page()
    page.goto("/")
    trap = page.locator("#homepage")
    expect(trap).not_to_be_in_viewport()
    expect(trap).to_have_attribute("tabindex", "-1")
    expect(trap).to_have_attribute("type", "text")
    context.close()
