"""The first things a person does: press Enter, keep the time zone, get less mail."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from support.newsletter.press import Turnable
from support.web.papers import THURSDAY, make_announcement, store_papers
from support.web.server import serve
from support.web.site import Subscribers, settling_tasks

from service.deliveries.domain.recipients import Cadence, SubscriberState
from service.deliveries.store.models import Delivery
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
    store_papers(session, [make_announcement(4, "Dogs")], THURSDAY)
    session.commit()
    local = settings.model_copy(update={"smtp_url": (), "data_dir": tmp_path})
    tasks = settling_tasks(engine, local, lambda: now)
    app = create_app(local, make_sessions(engine), enqueue=tasks, clock=lambda: now)
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
    summary = page.locator("details.when summary")
    expect(summary).to_contain_text("Daily, 07:00 Tokyo time")
    expect(page.get_by_label("Time zone")).to_be_hidden()
    summary.click()
    page.get_by_label("Delivery time").select_option("6")
    page.get_by_label("How often").select_option("weekdays")
    expect(summary).to_contain_text("Weekdays, 06:00 Tokyo time")
    expect(page.get_by_role("heading", name="Tomorrow")).to_contain_text("at 06:00")
    page.get_by_label("Email").fill("reader@example.org")
    page.get_by_label("Email").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox")
    expect(page.locator("main")).to_contain_text("every weekday at 06:00, Tokyo time")
    session.rollback()
    assert session.scalars(select(Subscriber)).one().timezone == "Asia/Tokyo"
    context.close()


def test_a_zone_typed_before_an_error_stays(browser: Browser, site: str) -> None:
    context = browser.new_context(base_url=site, timezone_id="Asia/Tokyo")
    page = context.new_page()
    page.goto("/")
    page.locator("details.when summary").click()
    page.get_by_label("Time zone").fill("Lisbon")
    page.get_by_label("Email").fill("reader@localhost")
    page.get_by_label("Email").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Please check the form")
    expect(page.locator("details.when summary")).to_contain_text("Lisbon")
    context.close()


def test_without_javascript_the_form_asks_for_the_zone_and_takes_a_city(
    browser: Browser, site: str, session: Session
) -> None:
    context = browser.new_context(base_url=site, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    zone = page.get_by_label("Time zone")
    assert page.locator("#zones option").count() > 400
    zone.fill("Berln")
    page.get_by_label("Email").fill("reader@example.org")
    page.get_by_label("Email").press("Enter")
    expect(zone).to_be_focused()
    expect(zone).to_have_accessible_description(
        "No time zone is called 'Berln'. Did you mean Europe/Berlin or Europe/Zurich?"
    )
    expect(page.get_by_label("Email")).to_have_value("reader@example.org")
    zone.fill("munich")
    zone.press("Enter")
    expect(page.locator("main")).to_contain_text("every day at 07:00, Berlin time")
    session.rollback()
    assert session.scalars(select(Subscriber)).one().timezone == "Europe/Berlin"
    context.close()


@pytest.mark.parametrize("width", [375, 1280])
def test_five_tabs_at_most_lead_to_the_address_field(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the sign-up form")
    for _ in range(4):
        page.keyboard.press("Tab")
        if page.get_by_label("Email").evaluate("node => node === document.activeElement"):
            break
    expect(page.get_by_label("Email")).to_be_focused()

    page.goto("/")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Email")).to_be_focused()

    page.goto("/")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the papers")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.locator(":focus").evaluate("node => !!node.closest('#papers')")


@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("path", ["/", "/topics/preview?q=cats"])
def test_the_form_is_shown_where_the_focus_finds_it(page: Page, width: int, path: str) -> None:
    """Beside the papers on a wide page, above them on a narrow one, and first in both orders."""
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(path)
    form, papers = page.locator("aside").bounding_box(), page.locator(".list").bounding_box()
    assert form is not None
    assert papers is not None
    if width < 820:
        assert form["y"] + form["height"] <= papers["y"]
    else:
        assert form["y"] == papers["y"]
        assert form["x"] > papers["x"]


def test_all_errors_of_a_sign_up_are_beside_their_fields_and_the_first_has_the_focus(
    page: Page,
) -> None:
    page.goto("/")
    page.get_by_label("Email").fill("reader@localhost")
    page.locator("#topic-0").fill('"never closed')
    page.get_by_role("button", name="Subscribe").last.click()
    expect(page.get_by_label("Email")).to_be_focused()
    wrong = page.locator("[aria-invalid]")
    expect(wrong).to_have_count(2)
    assert described(page) == ["email-fault", "topic-fault-0"]
    expect(page.locator("main")).to_contain_text("2 fields below need a correction")
    expect(page.get_by_label("Email")).to_have_value("reader@localhost")
    expect(page.locator("#topic-0")).to_have_value('"never closed')


def described(page: Page) -> list[str]:
    """Return the ids of the errors of wrong fields; each must be shown below its own field."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("[aria-invalid][aria-describedby]")].map(field => {
          const error = document.getElementById(field.getAttribute("aria-describedby"));
          const above = field.getBoundingClientRect(), below = error.getBoundingClientRect();
          const isBelow = below.top >= above.bottom && below.left < above.right
            && below.right > above.left;
          return isBelow ? error.id : `${error.id} is elsewhere`;
        })"""
    )
    return found


@pytest.mark.parametrize("width", [375, 1280])
def test_all_errors_of_the_preferences_are_shown_at_once_and_nothing_is_saved_or_lost(
    page: Page, settings: Settings, session: Session, now: datetime, width: int
) -> None:
    subscribers = Subscribers(session, settings, Turnable(now))
    subscriber = subscribers.add("reader@example.org", "cats")
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"/preferences/{subscribers.token(Purpose.PREFERENCES, subscriber.id)}")
    page.get_by_label("Topic 1", exact=True).fill("cats )")
    page.get_by_label("Topic 2", exact=True).fill("dogs")
    page.get_by_label("How often").select_option("weekly")
    page.get_by_label("Delivery time").select_option("9")
    page.get_by_label("Time zone").fill("Atlantis City")
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_role("status")).to_contain_text("Nothing was saved: 2 fields below need")
    expect(page.get_by_label("Topic 1", exact=True)).to_be_focused()
    assert described(page) == ["topic-fault-0", "timezone-fault"]
    for label, value in {
        "Topic 1": "cats )",
        "Topic 2": "dogs",
        "How often": "weekly",
        "Delivery time": "9",
    }.items():
        expect(page.get_by_label(label, exact=True)).to_have_value(value)
    expect(page.get_by_label("Time zone")).to_have_value("Atlantis City")
    again = subscribers.reread(subscriber)
    assert again is not None
    assert (again.cadence, again.hour, again.timezone) == (Cadence.DAILY, 7, "Europe/Berlin")

    page.get_by_label("Topic 1", exact=True).fill("cats")
    page.get_by_label("Time zone").fill("tokyo")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("main")).to_contain_text("every Monday at 09:00, Tokyo time")

    page.get_by_label("New address").fill("reader@localhost")
    page.get_by_role("button", name="Send confirmation").click()
    expect(page.get_by_label("New address")).to_be_focused()
    expect(page.get_by_label("New address")).to_have_value("reader@localhost")
    assert described(page) == ["address-fault"]


def test_a_lost_link_comes_by_mail_from_the_footer_and_from_used_and_expired_links(
    page: Page, settings: Settings, session: Session, now: datetime
) -> None:
    subscribers = Subscribers(session, settings, Turnable(now - timedelta(days=8)))
    pending = subscribers.add("pending@example.org", is_confirmed=False)
    expired = f"/confirm/{subscribers.token(Purpose.CONFIRM, pending.id)}"
    active = subscribers.add("reader@example.org")
    used = f"/confirm/{subscribers.token(Purpose.CONFIRM, active.id)}"

    page.goto(used)
    expect(page.get_by_role("heading", level=1)).to_have_text("You are subscribed")
    expect(page.locator("main")).to_contain_text("every day at 07:00, Berlin time")
    page.get_by_role("button", name="Send me my link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox")

    page.goto(expired)
    expect(page.get_by_role("heading", level=1)).to_have_text("This link has expired")
    page.get_by_role("button", name="Send me a new link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox")

    page.goto("/")
    page.get_by_role("contentinfo").get_by_role("link", name="Send me my link").click()
    page.get_by_label("Email").fill("nobody@example.org")
    page.get_by_label("Email").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox")

    session.rollback()
    kinds = session.scalars(select(Delivery.kind).where(Delivery.created_at == now)).all()
    assert sorted(map(str, kinds)) == ["confirmation", "personal_link"]


def test_the_unsubscribe_page_offers_less_mail_first(
    page: Page, settings: Settings, session: Session, now: datetime
) -> None:
    subscribers = Subscribers(session, settings, Turnable(now))
    subscriber = subscribers.add("reader@example.org", "cats")
    link = f"/unsubscribe/{subscribers.token(Purpose.UNSUBSCRIBE, subscriber.id)}"

    page.goto(link)
    expect(page.locator("main")).to_contain_text("r***@example.org")
    page.get_by_role("button", name="Weekly instead").click()
    expect(page.get_by_role("status")).to_contain_text("Papers come every Monday")
    again = subscribers.reread(subscriber)
    assert again is not None
    assert again.cadence is Cadence.WEEKLY

    page.goto(link)
    expect(page.locator("main")).to_contain_text("every Monday at 07:00, Berlin time")
    expect(page.get_by_role("button", name="Weekly instead")).to_have_count(0)
    page.get_by_role("button", name="Pause for four weeks").click()
    expect(page.get_by_role("status")).to_contain_text("You get no digests until")

    page.goto(link)
    page.get_by_role("button", name="Unsubscribe").click()
    page.goto(link)
    expect(page.get_by_role("heading", level=1)).to_have_text("You are already unsubscribed")
    expect(page.locator("main")).to_contain_text("r***@example.org")
    page.get_by_role("button", name="Subscribe again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Welcome back")
    again = subscribers.reread(subscriber)
    assert again is not None
    assert again.state in {SubscriberState.ACTIVE, SubscriberState.PAUSED}
