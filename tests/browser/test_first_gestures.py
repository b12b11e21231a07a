"""The first things a person does: press Enter, keep the time zone, get less mail."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from support.newsletter.press import Turnable
from support.web.papers import make_announcement, store_papers
from support.web.server import serve
from support.web.site import EnqueuedTasks, Subscribers

from service.deliveries.domain.recipients import Cadence, SubscriberState
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Purpose
from service.subscribers.store.models import Subscriber
from service.web.app import create_app

pytestmark = pytest.mark.browser


@pytest.fixture
def site(
    settings: Settings, engine: Engine, session: Session, now: datetime, tmp_path: Path
) -> Iterator[str]:
    store_papers(session, [make_announcement(n, f"Cats {n}") for n in range(1, 4)])
    session.commit()
    local = settings.model_copy(update={"smtp_url": (), "data_dir": tmp_path})
    app = create_app(local, make_sessions(engine), enqueue=EnqueuedTasks(), clock=lambda: now)
    with serve(app) as address:
        yield address


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def page(browser: Browser, site: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(base_url=site, java_script_enabled=request.param)
    yield context.new_page()
    context.close()


def test_enter_in_the_address_field_subscribes(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Email").fill("reader@example.org")
    page.get_by_label("Email").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox")


def test_the_time_zone_comes_from_the_browser(
    browser: Browser, site: str, session: Session
) -> None:
    context = browser.new_context(base_url=site, timezone_id="Asia/Tokyo")
    page = context.new_page()
    page.goto("/")
    expect(page.locator("details.when summary")).to_contain_text("Daily, 07:00 Tokyo time")
    page.get_by_label("Email").fill("reader@example.org")
    page.get_by_label("Email").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox")
    session.rollback()
    assert session.scalars(select(Subscriber)).one().timezone == "Asia/Tokyo"
    context.close()


def test_the_unsubscribe_page_offers_less_mail_first(
    page: Page, settings: Settings, session: Session, now: datetime
) -> None:
    subscribers = Subscribers(session, settings, Turnable(now))
    subscriber = subscribers.add("reader@example.org", "cats")
    link = f"/unsubscribe/{subscribers.token(Purpose.UNSUBSCRIBE, subscriber.id)}"

    page.goto(link)
    expect(page.locator("main")).to_contain_text("r***@example.org")
    page.get_by_role("button", name="Weekly instead").click()
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    again = subscribers.reread(subscriber)
    assert again is not None
    assert again.cadence is Cadence.WEEKLY

    page.goto(link)
    expect(page.get_by_role("button", name="Weekly instead")).to_have_count(0)
    page.get_by_role("button", name="Pause for four weeks").click()
    expect(page.get_by_role("status")).to_contain_text("Paused.")

    page.goto(link)
    page.get_by_role("button", name="Unsubscribe").click()
    page.goto(link)
    expect(page.get_by_role("heading", level=1)).to_have_text("You are already unsubscribed")
    page.get_by_role("button", name="Subscribe again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Welcome back")
    again = subscribers.reread(subscriber)
    assert again is not None
    assert again.state in {SubscriberState.ACTIVE, SubscriberState.PAUSED}
