"""Votes, a submission, a pick and a note in a real browser, without JavaScript."""

import base64
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect
from support.newsletter.press import PlannedTransport, Press, read_mail
from support.web.papers import make_announcement

from service.messages.signed_links import signed_url
from service.platform.signing.tokens import Purpose
from service.sending.deliver import deliver
from service.subscribers.store.models import Subscriber

PASSWORD = "a long password of the operator's"
SIZES: tuple[tuple[int, Literal["light", "dark"]], ...] = ((375, "dark"), (1280, "light"))

pytestmark = [pytest.mark.browser, pytest.mark.settings(admin_password=PASSWORD)]


def open_context(browser: Browser, site: str, *, runs_scripts: bool) -> BrowserContext:
    given = base64.b64encode(f"ada:{PASSWORD}".encode()).decode()
    return browser.new_context(
        base_url=site,
        java_script_enabled=runs_scripts,
        extra_http_headers={"Authorization": f"Basic {given}"},
    )


def find_faults(page: Page) -> list[str]:
    """Return what axe finds serious at both sizes, and whether the page is wider than a phone."""
    faults = []
    for width, scheme in SIZES:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        if page.evaluate("document.documentElement.scrollWidth") > width:
            faults.append(f"wider than {width}")
        violations = Axe().run(page).response["violations"]
        faults += [
            f"{one['id']} {one['nodes'][0]['html'][:120]}"
            for one in violations
            if one["impact"] in {"serious", "critical"}
        ]
    return faults


def test_a_reader_votes_and_submits_and_the_operator_picks_and_writes(
    press: Press, site: str, browser: Browser
) -> None:
    context = open_context(browser, site, runs_scripts=False)
    titles = ("Cats Learn to Prompt", "Cats That Sleep")
    press.add_papers(
        announcements=[make_announcement(n, title) for n, title in enumerate(titles, 1)]
    )
    (number,) = press.add_subscribers("reader@example.org", topics=("cats",))
    page = context.new_page()
    page.goto("/admin/community")
    page.get_by_label("arXiv id, DOI").fill("2609.00002")
    page.get_by_label("Why, in one sentence").fill("The calmest paper of the week.")
    page.get_by_role("button", name="Pick").click()
    page.get_by_label("Day of the edition").fill("2026-09-18")
    page.get_by_label("Note, in Markdown").fill(
        "Dear readers,\n\n* *two* papers\n* [more](https://example.org)"
    )
    page.get_by_role("button", name="Preview as page").click()
    expect(page.locator(".edition-note em")).to_have_text("two")
    page.get_by_role("button", name="Preview as mail").click()
    mail = page.frame_locator('iframe[name="note-mail"]')
    expect(mail.get_by_text("Dear readers,")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("The note of 2026-09-18 is saved.")

    press.publish()
    transport = PlannedTransport()
    deliver(press.sender(transport))
    body = read_mail(transport.sent[0].payload).get_body(("html",))
    assert body is not None
    assert "<em>two</em>" in body.get_content()
    press.clock.forward(hours=24)
    with press.sessions() as session:
        reader = session.get_one(Subscriber, number)
        change, preferences = (
            signed_url(press.settings, purpose, reader, press.clock()).removeprefix(
                press.settings.base_url
            )
            for purpose in (Purpose.CHANGE, Purpose.PREFERENCES)
        )
    page.goto(f"{change}?more=1")
    page.get_by_role("link", name="Vote").click()
    page.get_by_role("button", name="Vote").click()
    expect(page.get_by_text("The paper has 1 vote now.")).to_be_visible()
    page.goto(preferences)
    page.get_by_role("link", name="Votes and submissions").click()
    page.get_by_label("arXiv id, DOI or link").fill("2609.00077")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("arxiv:2609.00077")).to_be_visible()
    page.goto("/daily/2026-09-18")
    expect(page.get_by_text("The calmest paper of the week.")).to_be_visible()
    expect(page.locator(".meta").get_by_text("1 vote")).to_be_visible()
    expect(page.locator(".edition-note")).to_contain_text("Dear readers,")
    context.close()

    context = open_context(browser, site, runs_scripts=True)
    page = context.new_page()
    paths = (
        "/admin/community",
        f"{change}?vote=1",
        f"{preferences}/community",
        "/daily/2026-09-18",
        "/papers/arxiv:2609.00002",
    )
    for path in paths:
        page.goto(path)
        assert find_faults(page) == [], path
    context.close()
