"""Mails of the development mailbox in Chromium: each of their links works by a plain click."""

from collections.abc import Iterator
from datetime import datetime
from email.message import EmailMessage
from smtplib import SMTP

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from support.newsletter.press import Press, Turnable, make_press
from support.smtp.smtp_sink import wait_until
from support.web.framed_mail import click_out, is_under_the_mouse, open_mail, send_all
from support.web.server import serve
from support.web.site import EnqueuedTasks, Subscribers

from service.platform.database.engine import make_sessions
from service.platform.dev_mailbox import Mailbox
from service.platform.settings.settings import Settings
from service.web.app import create_app

pytestmark = [pytest.mark.browser, pytest.mark.settings(smtp_url=())]

READER = "reader@example.org"


@pytest.fixture
def mailbox(settings: Settings) -> Iterator[Mailbox]:
    with Mailbox(settings.data_dir / "mailbox").start() as mailbox:
        yield mailbox


@pytest.fixture
def press(settings: Settings, engine: Engine, now: datetime, mailbox: Mailbox) -> Iterator[Press]:
    """An installation whose mails reach the mailbox, with links to its running site."""
    app = create_app(settings, make_sessions(engine), enqueue=EnqueuedTasks(), clock=lambda: now)
    relay = f"smtp://127.0.0.1:{mailbox.port}?starttls=off"
    with serve(app) as address:
        here = {"base_url": address, "mailbox_url": relay}
        yield make_press(settings.model_copy(update=here), engine, now)


@pytest.fixture(params=[375, 1280])
def page(browser: Browser, press: Press, request: pytest.FixtureRequest) -> Iterator[Page]:
    # The window is as tall as a mail: headless Chromium can lose a click right after it scrolled a
    # sandboxed frame.
    context = browser.new_context(
        base_url=press.settings.base_url, viewport={"width": request.param, "height": 9000}
    )
    yield context.new_page()
    context.close()


def send_digest(press: Press) -> None:
    press.add_subscribers(READER)
    press.add_papers(*range(1, 11))
    press.publish()
    send_all(press)


@pytest.mark.parametrize(
    ("link", "heading"),
    [
        ("Change topics", "Your preferences"),
        ("Pause", "Your preferences"),
        ("Unsubscribe", "Unsubscribe"),
        ("coverage of every day", "Did we get every paper?"),
    ],
)
def test_links_of_a_digest_open_outside_the_frame(
    page: Page, press: Press, link: str, heading: str
) -> None:
    send_digest(press)
    mail = open_mail(page, "10 new on")
    opened = click_out(page, mail.get_by_role("link", name=link, exact=True))
    expect(opened.get_by_role("heading", level=1)).to_contain_text(heading)
    # Scripts of ours run there: a tab that inherited the sandbox would have none.
    assert opened.evaluate("window.origin") == press.settings.base_url


def test_links_of_a_paper_open_outside_the_frame(page: Page, press: Press) -> None:
    send_digest(press)
    mail = open_mail(page, "10 new on")
    saved = click_out(page, mail.get_by_role("link", name="Save", exact=True).first)
    expect(saved.get_by_role("button", name="Save")).to_be_visible()
    more = click_out(page, mail.get_by_role("link", name="More", exact=True).first)
    more.get_by_role("link", name="Similar papers").click()
    expect(more.get_by_role("heading", level=1)).to_contain_text("Parsing number")


def test_a_digest_viewed_in_the_browser_has_links_that_work(page: Page, press: Press) -> None:
    send_digest(press)
    mail = open_mail(page, "10 new on")
    copy = click_out(page, mail.get_by_role("link", name="View in browser"))
    assert "/editions/" in copy.url
    copy.get_by_role("link", name="Change topics").click()
    expect(copy.get_by_role("heading", level=1)).to_have_text("Your preferences")
    copy.go_back()
    copy.get_by_role("link", name="More", exact=True).first.click()
    copy.get_by_role("link", name="Similar papers").click()
    expect(copy.get_by_role("heading", level=1)).to_contain_text("Parsing number")


def test_a_reader_confirms_by_a_click_in_the_mailbox(
    page: Page, press: Press, session: Session
) -> None:
    Subscribers(session, press.settings, Turnable(press.clock())).add(READER, is_confirmed=False)
    send_all(press)
    mail = open_mail(page, "Please confirm")
    opened = click_out(page, mail.get_by_role("link", name="Yes, send me papers"))
    opened.get_by_role("button", name="Yes, send me papers").click()
    expect(opened.get_by_role("heading", level=1)).to_have_text("You are subscribed")


def test_addresses_in_the_text_part_are_links(page: Page, press: Press) -> None:
    send_digest(press)
    open_mail(page, "10 new on")
    page.get_by_text("Text", exact=True).click()
    text = page.locator("details[open] pre")
    addresses = text.get_by_role("link")
    assert addresses.count() > 40
    line = page.locator("pre", has_text="Unsubscribe: http").first.inner_text()
    address = line.partition("Unsubscribe: ")[2].split()[0]
    opened = click_out(page, text.get_by_role("link", name=address, exact=True))
    assert opened.url == address
    expect(opened.get_by_role("heading", level=1)).to_contain_text("Unsubscribe")


def test_the_html_part_alone_has_links_that_work(page: Page, press: Press) -> None:
    send_digest(press)
    open_mail(page, "10 new on")
    page.get_by_role("link", name="HTML only").click()
    opened = click_out(page, page.get_by_role("link", name="Unsubscribe"))
    expect(opened.get_by_role("heading", level=1)).to_contain_text("Unsubscribe")


HOSTILE = """<!doctype html><title>mail</title><script>document.title = "ran"</script>
<p><a href="/status" onclick="document.title = 'ran'">ordinary</a>
<p><a href="javascript:document.title='ran'">script</a>
<p><a href="/status" rel="opener" target="_blank">opener</a>
<form action="/subscribe" method="post"><button>send</button></form>
<img src=x onerror="document.title='ran'">"""


def test_scripts_of_a_mail_never_run(page: Page, press: Press, mailbox: Mailbox) -> None:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Hostile", "a@example.org", READER
    message.set_content("javascript:alert(1) data:text/html,x <b> http://127.0.0.1/x\n")
    message.add_alternative(HOSTILE.replace('"/', f'"{press.settings.base_url}/'), subtype="html")
    with SMTP("127.0.0.1", mailbox.port) as smtp:
        smtp.send_message(message)

    mail = open_mail(page, "Hostile")
    opened = click_out(page, mail.get_by_role("link", name="ordinary"))
    expect(opened.get_by_role("heading", level=1)).to_contain_text("Did we get every paper?")
    click_out(page, mail.get_by_role("link", name="opener"))
    for target in (mail.get_by_role("link", name="script"), mail.get_by_role("button")):
        wait_until(lambda target=target: is_under_the_mouse(target))  # type: ignore[misc]
        target.click()
    assert page.frames[1].title() == "mail"
    assert all(tab.title() != "ran" for tab in page.context.pages)
    page.get_by_text("Text", exact=True).click()
    expect(page.locator("details[open] pre a")).to_have_attribute("href", "http://127.0.0.1/x")
    expect(page.locator("details[open] pre a")).to_have_attribute("rel", "noopener")


def test_a_mail_of_text_alone_shows_its_text(page: Page, mailbox: Mailbox) -> None:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Plain", "a@example.org", READER
    message.set_content("Nothing but text.\n")
    with SMTP("127.0.0.1", mailbox.port) as smtp:
        smtp.send_message(message)
    open_mail(page, "Plain")
    expect(page.get_by_text("Nothing but text.").first).to_be_visible()
    expect(page.locator("iframe")).to_have_count(0)
