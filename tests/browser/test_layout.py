"""How pages look in Chromium: ranks, topic fields, contrast in the light and in the dark."""

from collections.abc import Iterator
from datetime import datetime
from email.message import EmailMessage
from smtplib import SMTP
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from support.web.papers import make_announcement, store_papers
from support.web.server import serve
from support.web.site import EnqueuedTasks

from service.platform.database.engine import make_sessions
from service.platform.dev_mailbox import Mailbox
from service.platform.settings.settings import Settings
from service.web.app import create_app

pytestmark = [pytest.mark.browser, pytest.mark.settings(smtp_url=())]

Scheme = Literal["light", "dark"]


@pytest.fixture
def site(settings: Settings, engine: Engine, session: Session, now: datetime) -> Iterator[str]:
    # The word is in the abstracts, so that previews mark it in an excerpt below each title.
    papers = [
        make_announcement(n, f"Parsing {n}", abstract=f"We study cats of kind {n}. It works.")
        for n in range(1, 131)
    ]
    store_papers(session, papers)
    app = create_app(settings, make_sessions(engine), enqueue=EnqueuedTasks(), clock=lambda: now)
    with serve(app) as address:
        yield address


# The distances between the text of each rank and its paper, in pixels.
GAPS = """() => [...document.querySelectorAll('.paper')].map(paper => {
  const text = document.createRange();
  text.selectNodeContents(paper.querySelector('.rank'));
  return paper.querySelector('article').getBoundingClientRect().left
    - text.getBoundingClientRect().right;
})"""
LEFTS = """() => [...document.querySelectorAll('.paper article')].map(
  article => article.getBoundingClientRect().left)"""


@pytest.mark.parametrize("width", [375, 1280])
def test_ranks_of_three_digits_do_not_touch_their_papers(
    browser: Browser, site: str, width: int
) -> None:
    context = browser.new_context(base_url=site, viewport={"width": width, "height": 800})
    page = context.new_page()
    page.goto("/?page=3")
    expect(page.locator(".rank").last).to_have_text("120")
    assert min(page.evaluate(GAPS)) >= 6
    assert len({round(left) for left in page.evaluate(LEFTS)}) == 1
    context.close()


@pytest.mark.parametrize("width", [375, 1280])
def test_every_topic_field_of_the_form_is_as_wide_as_the_address_field(
    browser: Browser, site: str, width: int
) -> None:
    context = browser.new_context(base_url=site, viewport={"width": width, "height": 800})
    page = context.new_page()
    page.goto("/")
    page.get_by_text("More topics").click()
    fields = [page.get_by_label("Email"), *page.locator("input.topic:visible").all()]
    assert len(fields) == 5
    boxes = [field.bounding_box() for field in fields]
    assert len({(box["x"], box["width"]) for box in boxes if box}) == 1
    expect(page.get_by_role("button", name="Preview")).to_be_visible()
    context.close()


def _find_serious(page: Page) -> list[tuple[str, str]]:
    answer = Axe().run(page).response
    assert answer["passes"]
    return [
        (violation["id"], violation["nodes"][0]["html"][:120])
        for violation in answer["violations"]
        if violation["impact"] in {"serious", "critical"}
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_these_pages(
    browser: Browser, site: str, settings: Settings, scheme: Scheme
) -> None:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Papers", "a@example.org", "b@example.org"
    message.set_content("https://example.org/\n")
    message.add_alternative("<!doctype html><html lang=en><title>Papers</title>", subtype="html")
    with (
        Mailbox(settings.data_dir / "mailbox").start() as mailbox,
        SMTP("127.0.0.1", mailbox.port) as smtp,
    ):
        smtp.send_message(message)
    context = browser.new_context(base_url=site, color_scheme=scheme)
    page = context.new_page()
    found = {}
    for path in ("/", "/search?q=cats", "/topics/preview?q=cats", "/privacy", "/mailbox"):
        page.goto(path)
        found[path] = _find_serious(page)
    page.get_by_role("link", name="Papers").click()
    page.get_by_text("Text", exact=True).click()
    found["message"] = _find_serious(page)
    page.goto("/")
    page.locator("#topic-0").fill("cats")
    expect(page.locator("#live .examples span mark").first).to_have_text("cats")
    found["live preview"] = _find_serious(page)
    context.close()
    assert {path: bad for path, bad in found.items() if bad} == {}
