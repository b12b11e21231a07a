"""A person chooses when papers come, and reads what the choice means for their hour and zone."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Page, Request, expect
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from support.newsletter.press import Turnable
from support.web.server import serve
from support.web.site import Subscribers, settling_tasks

from service.deliveries.domain.recipients import Timing
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Purpose
from service.subscribers.store.models import Subscriber
from service.web.app import create_app

pytestmark = pytest.mark.browser
SUNDAY = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture
def site(settings: Settings, engine: Engine) -> Iterator[str]:
    tasks = settling_tasks(engine, settings, lambda: SUNDAY)
    app = create_app(settings, make_sessions(engine), enqueue=tasks, clock=lambda: SUNDAY)
    with serve(app) as address:
        yield address


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def page(browser: Browser, site: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(
        base_url=site, java_script_enabled=request.param, timezone_id="Asia/Tokyo"
    )
    yield context.new_page()
    context.close()


def timing_of(session: Session) -> Timing:
    session.rollback()
    return session.scalars(select(Subscriber)).one().timing


def test_the_form_says_at_once_what_another_timing_or_hour_means(
    browser: Browser, site: str, session: Session
) -> None:
    context = browser.new_context(base_url=site, timezone_id="Asia/Tokyo")
    page, asked = context.new_page(), list[str]()

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    page.goto("/", wait_until="networkidle")
    assert not any("/schedule/" in url for url in asked), (
        "a visitor who changes nothing asks nothing"
    )
    page.locator("details.when summary").click()
    example = page.locator("#timing-example")
    expect(example).to_have_text(
        "Papers announced on Monday evening in New York reach you on Wednesday at 07:00; as soon as"
        " they are complete, that would be on Tuesday at about 14:30."
    )
    timing = page.get_by_label("Send each day’s papers")
    expect(timing).to_have_accessible_description(example.inner_text())
    summary, title = page.locator("details.when summary"), page.locator("#subscribe-title")
    expect(summary).to_contain_text("Daily, 07:00 Tokyo time")
    timing.select_option("as soon as they are complete")
    expect(example).to_contain_text("reach you on Tuesday at about 14:30; at your hour, that would")
    assert "Daily, as soon as they are complete · change" in summary.inner_text()
    assert title.inner_text().endswith("on your topics, as soon as they are complete")
    page.get_by_label("Delivery time").select_option("15")
    expect(example).to_contain_text("that would be on Tuesday at 15:00.")
    page.get_by_label("Time zone").fill("Berlin")
    page.get_by_label("Time zone").blur()
    expect(example).to_contain_text("reach you on Tuesday at about 06:30; at your hour")
    page.get_by_label("How often").select_option("weekly")
    expect(example).to_contain_text("on the Monday after them at 15:00, whichever you choose.")
    assert "Mondays, 15:00 Berlin" in summary.inner_text()
    page.get_by_label("How often").select_option("daily")
    page.get_by_label("Email").fill("reader@example.org")
    page.get_by_label("Email").press("Enter")
    expect(page.locator("main")).to_contain_text("Monday 30 November 2026 at about 06:30")
    assert timing_of(session) is Timing.WHEN_COMPLETE
    context.close()


def test_a_person_far_east_changes_the_timing_and_reads_when_papers_come(
    page: Page, session: Session, settings: Settings
) -> None:
    page.goto("/")
    zone = page.get_by_label("Time zone")
    if zone.is_visible():
        # Without a script the form asks for the zone, and says the rule in general.
        zone.fill("Tokyo")
        expect(page.locator("#timing-example")).to_contain_text("afternoon in East Asia")
    page.get_by_label("Email").fill("reader@example.org")
    page.get_by_label("Email").press("Enter")
    expect(page.locator("main")).to_contain_text("Tuesday 1 December 2026 at 07:00")
    expect(page.locator("main")).to_contain_text("complete on Tuesday at about 14:30, after your")
    session.rollback()
    subscriber = session.scalars(select(Subscriber)).one()
    links = Subscribers(session, settings, Turnable(SUNDAY))
    page.goto(f"/confirm/{links.token(Purpose.CONFIRM, subscriber.id)}")
    page.get_by_role("button", name="Yes, send me papers").click()
    expect(page.locator("main")).to_contain_text(
        "Your first digest comes on Tuesday 1 December 2026"
    )
    # The link has the address of the newsletter's settings, not that of this test's server.
    way = page.get_by_role("link", name="Get them as soon as they are complete")
    path = (way.get_attribute("href") or "").partition("/preferences/")[2]
    page.goto(f"/preferences/{path}")
    expect(page.get_by_role("heading", name="Schedule")).to_be_in_viewport()
    page.get_by_label("Send each day’s papers").select_option("as soon as they are complete")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#timing-example")).to_contain_text("reach you on Tuesday at about 14:30;")
    assert timing_of(session) is Timing.WHEN_COMPLETE
