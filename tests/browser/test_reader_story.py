"""A reader's whole story in a real browser, from the sign-up to the erasure, with and without JavaScript."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.message import EmailMessage

import feedparser
import pytest
from bibtexparser.entrypoint import parse_string
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine, func, select
from support.newsletter.press import PlannedTransport, Press, make_press, read_mail
from support.web.papers import FRIDAY, make_announcement
from support.web.server import serve
from support.web.site import EnqueuedTasks, settling_tasks

from service.deliveries.domain.recipients import Cadence
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.sending.deliver import deliver
from service.similarity.embed_papers import learn_meanings
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import get_topics
from service.web.app import create_app

pytestmark = [pytest.mark.browser, pytest.mark.settings(embedder="wordllama")]

CATS = [f"Sleeping cats in long winters, part {n}" for n in "abcde"]


@pytest.fixture
def press(settings: Settings, engine: Engine, now: datetime) -> Press:
    return make_press(settings, engine, now)


@pytest.fixture
def site(press: Press, engine: Engine) -> Iterator[str]:
    tasks: EnqueuedTasks = settling_tasks(engine, press.settings, press.clock)
    app = create_app(press.settings, make_sessions(engine), enqueue=tasks, clock=press.clock)
    with serve(app) as address:
        yield address


def post(press: Press) -> list[EmailMessage]:
    """Send what is due and return the mails, oldest first."""
    transport = PlannedTransport()
    deliver(press.sender(transport))
    return [read_mail(envelope.payload) for envelope in transport.sent]


def link_in(mail: EmailMessage, press: Press, pattern: str) -> str:
    """Return the path of a link in the mail's text, as a reader would open it."""
    body = mail.get_body(("html",))
    assert body is not None
    base = re.escape(press.settings.base_url)
    found = re.search(rf'href="{base}({pattern})"', body.get_content().replace("&amp;", "&"))
    assert found, pattern
    return found[1]


def read_reader(press: Press) -> Subscriber:
    with press.sessions() as session:
        return session.execute(select(Subscriber)).scalar_one()


def sign_up(page: Page, press: Press) -> None:
    page.goto("/")
    page.get_by_label("Email").fill("reader@example.org")
    choose(page, "Subscribe")
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox")
    (confirmation,) = post(press)
    page.goto(link_in(confirmation, press, '/confirm/[^"?]+'))
    choose(page, "Yes, send me papers")
    expect(page.get_by_role("heading", level=1)).to_have_text("You are subscribed")


def start_from_a_file(page: Page, press: Press) -> None:
    # The address is the site's own, which listens on another port here.
    start = page.get_by_role("link", name="start from papers you have").get_attribute("href")
    assert start
    page.goto(start.removeprefix(press.settings.base_url))
    expect(page.get_by_role("heading", level=1)).to_have_text("Start from papers you have")
    entries = [f"@article{{k{n}, title = {{{title}}}}}" for n, title in enumerate(CATS)]
    page.get_by_label("or paste it").fill("\n".join(entries))
    choose(page, "Propose topics")
    expect(page.get_by_text("5 references in your BibTeX: 5 are known here.")).to_be_visible()
    choose(page, "Save the ticked topics")
    expect(page.get_by_role("heading", level=1)).to_have_text("Topics saved")
    reader = read_reader(press).id
    with press.sessions() as session:
        (topic, _), *_ = get_topics(session, [reader])[reader]
    assert topic.startswith("like:2609.0000")


def read_three_days(press: Press) -> EmailMessage:
    """Let Friday, Monday and Tuesday pass; return the last of their digests."""
    press.clock.now = press.clock().replace(hour=5, minute=0)
    digests = []
    for number, days in enumerate((0, 3, 1)):
        press.clock.forward(days=days)
        on = press.clock().date()
        title = f"Sleeping cats in long winters, volume {number}"
        press.add_papers(on=on, announcements=[make_announcement(10 + number, title)])
        learn_meanings(press.sessions, press.settings)
        press.publish(on)
        digests += [mail for mail in post(press) if mail["Message-ID"].startswith("<digest.")]
    assert len(digests) == 3
    return digests[-1]


def take_part(page: Page, press: Press, digest: EmailMessage, preferences: str) -> None:
    page.goto(link_in(digest, press, r"/change/[^\"]+\?more=\d+[^\"]*"))
    page.get_by_role("link", name="Vote").click()
    choose(page, "Vote")
    expect(page.get_by_text("The paper has 1 vote now.")).to_be_visible()
    page.goto(preferences)
    page.get_by_role("link", name="Votes and submissions").click()
    page.get_by_label("arXiv id, DOI or link").fill("2609.00077")
    choose(page, "Submit")
    expect(page.get_by_text("arxiv:2609.00077")).to_be_visible()


def save_and_export(page: Page, press: Press, digest: EmailMessage, preferences: str) -> None:
    page.goto(link_in(digest, press, r"/change/[^\"]+\?keep=\d+[^\"]*"))
    page.get_by_label("Tags").fill("To Read")
    choose(page, "Save")
    expect(page.get_by_role("heading", level=1)).to_have_text("Saved")
    page.goto(preferences)
    page.get_by_role("link", name="Your papers").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="BibTeX").click()
    (entry,) = parse_string(download.value.path().read_text(encoding="utf-8")).entries
    assert entry["keywords"] == "to read"
    choose(page, "Make my private feed")
    address = page.get_by_label("Address of your feed").input_value()
    answer = page.context.request.get(address.removeprefix(press.settings.base_url))
    assert len(feedparser.parse(answer.body()).entries) == 3


def slow_down_and_leave(page: Page, press: Press, preferences: str) -> None:
    page.goto(preferences)
    page.get_by_label("How often").select_option(label="Once a week, on Thursdays")
    choose(page, "Save")
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    assert read_reader(press).cadence is Cadence("weekly-thursday")
    page.goto(preferences)
    choose(page, "Erase everything")
    choose(page, "Erase everything")
    expect(page.get_by_role("heading", level=1)).to_have_text("Erased")
    with press.sessions() as session:
        assert session.execute(select(func.count()).select_from(Subscriber)).scalar_one() == 0


def choose(page: Page, text: str) -> None:
    page.get_by_role("button", name=text, exact=True).click()


@pytest.mark.parametrize("runs_scripts", [True, False], ids=["scripts", "plain"])
@pytest.mark.parametrize("width", [375, 1280], ids=["phone", "desk"])
def test_a_reader_comes_reads_takes_part_and_leaves(
    browser: Browser, site: str, press: Press, *, width: int, runs_scripts: bool
) -> None:
    context = browser.new_context(
        base_url=site, java_script_enabled=runs_scripts, viewport={"width": width, "height": 800}
    )
    page = context.new_page()
    before = [make_announcement(n, title) for n, title in enumerate(CATS, 1)]
    press.add_papers(on=FRIDAY - timedelta(days=1), announcements=before)
    learn_meanings(press.sessions, press.settings)
    sign_up(page, press)
    start_from_a_file(page, press)
    digest = read_three_days(press)
    preferences = link_in(digest, press, r"/preferences/[^\"?]+")
    take_part(page, press, digest, preferences)
    save_and_export(page, press, digest, preferences)
    slow_down_and_leave(page, press, preferences)
    context.close()
