"""The whole walk of a reader, by clicks alone: from the front page to the third digest, and out."""

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FrameLocator, Page, expect
from sqlalchemy import Engine, select
from support.newsletter.press import Press, Turnable, make_press
from support.web.framed_mail import click_out, open_mail, send_all
from support.web.papers import FRIDAY, THURSDAY
from support.web.server import serve
from support.web.site import settling_tasks

from service.deliveries.domain.recipients import Cadence, SubscriberState
from service.messages.signed_links import signed_url
from service.platform.database.engine import make_sessions
from service.platform.dev_mailbox import Mailbox
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Purpose
from service.subscribers.store.models import Subscriber
from service.web.app import create_app

PASSWORD = "a long password of the operator's"

pytestmark = [pytest.mark.browser, pytest.mark.settings(smtp_url=(), admin_password=PASSWORD)]

READER = "reader@example.org"
MOST_TABS = 5


@pytest.fixture
def press(settings: Settings, engine: Engine, now: datetime) -> Iterator[Press]:
    """An installation whose mails reach its mailbox, with links to its running site."""
    clock = Turnable(now)
    tasks = settling_tasks(engine, settings, clock)
    app = create_app(settings, make_sessions(engine), enqueue=tasks, clock=clock)
    with Mailbox(settings.data_dir / "mailbox").start() as mailbox, serve(app) as address:
        relay = f"smtp://127.0.0.1:{mailbox.port}?starttls=off"
        here = {"base_url": address, "mailbox_url": relay}
        press = make_press(settings.model_copy(update=here), engine, now)
        press.clock = clock
        yield press


@pytest.fixture(params=[375, 1280])
def width(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def page(
    browser: Browser, press: Press, width: int, request: pytest.FixtureRequest
) -> Iterator[Page]:
    # As tall as a mail: headless Chromium can lose a click right after it scrolled a sandboxed frame.
    context = browser.new_context(
        base_url=press.settings.base_url,
        java_script_enabled=request.param,
        viewport={"width": width, "height": 9000},
    )
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()


def next_mail(page: Page, press: Press, subject: str) -> FrameLocator:
    """Send what is due and open the newest mail with this subject."""
    send_all(press)
    return open_mail(page, subject)


def publish_day(press: Press, on: date, *numbers: int) -> None:
    press.clock.now = datetime.combine(on, press.clock.now.timetz())
    press.add_papers(*numbers, on=on)
    press.publish(on)


def stored(press: Press) -> Subscriber:
    with press.sessions() as session:
        return session.scalars(select(Subscriber)).one()


def sign_up(page: Page) -> None:
    page.goto("/")
    field = page.get_by_label("Email")
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if field.evaluate("node => node === document.activeElement"):
            break
    page.keyboard.type(READER)
    page.get_by_role("textbox", name=re.compile("^Topics")).fill("parsing")
    field.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox")


def test_a_reader_signs_up_reads_three_days_pauses_finds_the_link_and_leaves(
    page: Page, press: Press
) -> None:
    press.clock.now = datetime.combine(THURSDAY, press.clock.now.timetz())
    sign_up(page)
    tab = click_out(
        page, next_mail(page, press, "Confirm").get_by_role("link", name="Confirm").first
    )
    tab.get_by_role("button", name="Yes, send me papers").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("You are subscribed")
    assert stored(press).state is SubscriberState.ACTIVE
    send_all(press)

    for number, on in enumerate((THURSDAY, FRIDAY, FRIDAY + timedelta(days=3)), 1):
        publish_day(press, on, 2 * number, 2 * number + 1)
        mail = next_mail(page, press, "2 new on")
        expect(mail.get_by_role("heading", name=f"Parsing number {2 * number}")).to_be_visible()
    copy = click_out(page, mail.get_by_role("link", name="View in browser").first)
    expect(copy.get_by_role("heading", name="Parsing number 6")).to_be_visible()
    more = click_out(page, mail.get_by_role("link", name="More").first)
    more.get_by_role("link", name="Similar papers").click()
    expect(more.get_by_role("heading", level=1)).to_contain_text("Parsing number")
    saved = click_out(page, mail.get_by_role("link", name="Save").first)
    saved.get_by_role("button", name="Save").click()

    paused = click_out(page, mail.get_by_role("link", name="Pause").first)
    paused.get_by_role("button", name="Pause", exact=True).click()
    expect(paused.get_by_role("status")).to_contain_text("Paused")
    assert stored(press).state is SubscriberState.PAUSED

    page.goto("/")
    page.get_by_role("link", name="Send me my link").first.click()
    page.get_by_label("Email").fill(READER)
    page.get_by_label("Email").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox")
    mine = click_out(
        page, next_mail(page, press, "link").get_by_role("link", name="preferences").first
    )
    mine.get_by_role("button", name="Resume now").click()
    assert stored(press).state is SubscriberState.ACTIVE

    leaving = click_out(
        page, next_mail(page, press, "2 new on").get_by_role("link", name="Unsubscribe").first
    )
    leaving.get_by_role("button", name="Weekly instead").click()
    expect(leaving.get_by_role("status")).to_contain_text("Papers come every Monday")
    assert stored(press).cadence is Cadence.WEEKLY

    leaving = click_out(
        page, next_mail(page, press, "2 new on").get_by_role("link", name="Unsubscribe").first
    )
    leaving.get_by_role("button", name="Unsubscribe").click()
    expect(leaving.locator("main")).to_contain_text("You will get no more mail from us.")
    assert stored(press).state is SubscriberState.UNSUBSCRIBED
    leaving.get_by_role("button", name="Undo").click()
    expect(leaving.get_by_role("heading", level=1)).to_have_text("Welcome back")
    assert stored(press).state is SubscriberState.ACTIVE


PATHS = (
    "/", "/daily/2026-09-18", "/daily/2026-09-19",
    "/monthly/2026-09?sort=relevance", "/calendar", "/search", "/search?q=parsing", "/topics",
    "/topics/preview", "/topics/preview?q=parsing", "/status", "/link", "/privacy", "/mailbox",
    "/papers/arxiv:2609.00001", "/nowhere",
)  # fmt: skip


OPERATOR_PATHS = ("/admin", "/admin/subscribers", "/admin/subscribers/new", "/admin/editions/1")


def personal_paths(press: Press) -> list[str]:
    """Return the pages behind the links of a mail, of every kind."""
    base, now = press.settings.base_url, press.clock()
    subscriber = stored(press)
    links = [
        signed_url(press.settings, purpose, subscriber, now).removeprefix(base)
        for purpose in (Purpose.CONFIRM, Purpose.PREFERENCES, Purpose.UNSUBSCRIBE)
    ]
    change = signed_url(press.settings, Purpose.CHANGE, subscriber, now).removeprefix(base)
    reader = f"/admin/subscribers/{subscriber.id}"
    operator = [reader, f"{reader}/edit", f"{reader}/preview", *OPERATOR_PATHS]
    return [
        *links,
        *operator,
        f"{links[1]}/kept",
        f"{change}?mute=number",
        f"{change}?less=1",
        f"{change}?more=1",
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(
    browser: Browser, press: Press, width: int, scheme: Literal["light", "dark"]
) -> None:
    press.add_subscribers(READER, topics=["parsing"])
    press.add_papers(1, 2)
    press.publish()
    send_all(press)
    context = browser.new_context(
        base_url=press.settings.base_url,
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        bypass_csp=True,
        http_credentials={"username": "ada", "password": PASSWORD},
    )
    page = context.new_page()
    found = {}
    for path in [*PATHS, *personal_paths(press)]:
        page.goto(path)
        assert page.get_by_role("main").count() == 1, path
        result = Axe().run(page).response
        serious = [v["id"] for v in result["violations"] if v["impact"] in ("serious", "critical")]
        if serious:
            found[path] = serious
    context.close()
    assert found == {}
