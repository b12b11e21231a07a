"""Saved papers in a real browser: save with a tag, find it, export it, open the private feed, revoke it."""

from datetime import datetime
from typing import Literal

import feedparser
import pytest
from axe_playwright_python.sync_playwright import Axe
from bibtexparser.entrypoint import parse_string
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine
from support.newsletter.press import PlannedTransport, Press, make_press
from support.web.papers import FRIDAY, make_announcement

from service.messages.signed_links import signed_url
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Purpose
from service.sending.deliver import deliver
from service.subscribers.store.models import Subscriber

pytestmark = pytest.mark.browser

Scheme = Literal["light", "dark"]


@pytest.fixture
def press(settings: Settings, engine: Engine, now: datetime) -> Press:
    return make_press(settings, engine, now)


@pytest.fixture
def links(press: Press) -> dict[Purpose, str]:
    """Return the reader's links of a digest that was sent."""
    papers = [
        make_announcement(1, "Cats Learn to Prompt", comment="Accepted at CatConf 2026"),
        make_announcement(2, "Cats That Sleep"),
    ]
    press.add_papers(announcements=papers)
    (number,) = press.add_subscribers("reader@example.org", topics=("cats",))
    press.publish(FRIDAY)
    deliver(press.sender(PlannedTransport()))
    with press.sessions() as session:
        reader = session.get_one(Subscriber, number)
        return {
            purpose: path_of(signed_url(press.settings, purpose, reader, press.clock()), press)
            for purpose in (Purpose.CHANGE, Purpose.PREFERENCES)
        }


def path_of(url: str, press: Press) -> str:
    """Return the path of an address of this site, which listens on another port than it says."""
    return url.removeprefix(press.settings.base_url)


def find_serious(page: Page) -> list[tuple[str, str]]:
    return [
        (violation["id"], violation["nodes"][0]["html"][:120])
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in {"serious", "critical"}
    ]


def test_a_paper_is_saved_found_exported_and_the_feed_read_and_revoked_without_javascript(
    browser: Browser, site: str, press: Press, links: dict[Purpose, str]
) -> None:
    context = browser.new_context(
        base_url=site, java_script_enabled=False, viewport={"width": 375, "height": 800}
    )
    page = context.new_page()
    page.goto(f"{links[Purpose.CHANGE]}?keep=1")
    page.get_by_label("Tags").fill("To Read, #cats")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Saved")

    page.goto(links[Purpose.PREFERENCES])
    page.get_by_role("link", name="Your papers").click()
    page.get_by_role("link", name="Edit tags and note: Cats Learn to Prompt").click()
    page.get_by_label("Note").fill("Prompts of cats.\nSee page 3.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Saved.")
    page.get_by_role("link", name="Your papers").click()
    page.get_by_label("arXiv id, DOI").fill("2609.00002")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status")).to_have_text("Saved: Cats That Sleep")

    page.get_by_label("Search titles").fill("page 3")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".paper h2")).to_have_text(["Cats Learn to Prompt"])
    page.get_by_role("link", name="all 2 saved papers").click()
    page.get_by_role("list", name="Tags", exact=True).get_by_role("link", name="to read").click()
    expect(page.locator(".paper h2")).to_have_text(["Cats Learn to Prompt"])
    with page.expect_download() as download:
        page.get_by_role("link", name="BibTeX").click()
    (entry,) = parse_string(download.value.path().read_text(encoding="utf-8")).entries
    assert (entry.key, entry["keywords"]) == ("lovelace2026cats", "cats, to read")

    page.get_by_role("button", name="Make my private feed").click()
    address = path_of(page.get_by_label("Address of your feed").input_value(), press)
    feed = feedparser.parse(context.request.get(address).body())
    assert [entry.title for entry in feed.entries] == ["Friday 18 September 2026: 2 papers"]
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("status")).to_contain_text("the old one has ended")
    assert context.request.get(address).status == 410
    renewed = path_of(page.get_by_label("Address of your feed").input_value(), press)
    assert context.request.get(renewed).status == 200
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_papers_fit_a_phone_and_axe_finds_nothing_serious(
    browser: Browser, site: str, links: dict[Purpose, str], scheme: Scheme
) -> None:
    context = browser.new_context(
        base_url=site, color_scheme=scheme, viewport={"width": 375, "height": 800}
    )
    page = context.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    kept = f"{links[Purpose.PREFERENCES]}/kept"
    page.goto(f"{links[Purpose.CHANGE]}?keep=1")
    page.get_by_label("Tags").fill("reading list, a-very-long-tag-without-any-blank-in-it")
    page.get_by_role("button", name="Save").click()
    page.goto(f"{kept}/1")
    page.get_by_label("Note").fill("x" * 200)
    page.get_by_role("button", name="Save").click()
    page.goto(kept)
    page.get_by_role("button", name="Make my private feed").click()
    found = {}
    for path in (kept, f"{kept}/1", "/papers/arxiv:2609.00001"):
        requests.clear()
        page.goto(path)
        for summary in page.locator(".pass-on summary").all():
            summary.click()
        assert len(requests) <= 5
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, path
        found[path] = find_serious(page)
    context.close()
    assert {path: bad for path, bad in found.items() if bad} == {}
