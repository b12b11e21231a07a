"""Under a flood from many addresses an honest visitor signs up, with and without a script."""

from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine
from support.newsletter.press import Press
from support.smtp.smtp_sink import SmtpSink
from support.web.framed_mail import send_all
from support.web.server import serve
from support.web.site import settling_tasks

from service.subscribers.store.models import MailRequest
from service.web.app import create_app
from service.web.core.mail_gate import BUDGET

pytestmark = [pytest.mark.browser, pytest.mark.settings(trusted_proxies=("127.0.0.1",))]

# Notes what the page shows while its script works, for the page after it.
WATCH = """
new MutationObserver(() => {
  const bar = document.querySelector("progress");
  if (!bar || !bar.checkVisibility()) return;
  const seen = JSON.parse(sessionStorage.seen || '{"progress": []}');
  seen.sentence = document.querySelector("[role=status]").innerText;
  seen.button = document.querySelector("main button").checkVisibility();
  seen.progress.push(bar.value);
  sessionStorage.seen = JSON.stringify(seen);
}).observe(document, { subtree: true, childList: true, attributes: true });
"""
EMAIL = "honest@uni.example"


@pytest.fixture
def site(press: Press, engine: Engine) -> Iterator[str]:
    """The site, whose budget of the hour was used up by a flood that still goes on."""
    tasks = settling_tasks(engine, press.settings, press.clock)
    app = create_app(press.settings, press.sessions, enqueue=tasks, clock=press.clock)
    mailed = {"email": "", "domain": "flood.example", "page": "", "locale": ""}
    times = {"created_at": press.clock(), "settled_at": press.clock()}
    with press.sessions.begin() as session:
        session.add_all([MailRequest(**mailed, **times) for _ in range(BUDGET)])
    with serve(app) as address:
        flood(address)
        yield address


def flood(site: str) -> None:
    with httpx2.Client(base_url=site, timeout=20) as client:
        for number in range(40):
            headers = {"X-Forwarded-For": f"10.0.{number}.7"}
            data = {"email": f"b{number}@flood.example"}
            assert client.post("/subscribe", data=data, headers=headers).status_code == 429


def fill_in(page: Page, press: Press) -> None:
    page.goto("/")
    press.clock.forward(seconds=5)
    page.get_by_label("Email").fill(EMAIL)
    page.locator("#topic-0").fill("parsing")
    page.get_by_label("Email").press("Enter")


def assert_mailed(press: Press, sink: SmtpSink) -> None:
    send_all(press)
    (received,) = sink.messages
    assert received.envelope.rcpt_tos == [EMAIL]
    assert "confirm your" in str(received.message["subject"])


@pytest.mark.parametrize("width", [375, 1280])
def test_a_visitor_with_a_script_proves_work_and_gets_the_mail(
    browser: Browser, site: str, press: Press, smtp_sink: SmtpSink, width: int
) -> None:
    context = browser.new_context(base_url=site, viewport={"width": width, "height": 800})
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.add_init_script(WATCH)
    fill_in(page, press)
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("Check your inbox", timeout=120_000)
    seen = page.evaluate("() => JSON.parse(sessionStorage.seen)")
    assert "Your browser works on a small sum" in seen["sentence"]
    assert seen["button"] is False
    assert seen["progress"] == sorted(seen["progress"])
    assert len(seen["progress"]) > 5
    # The answer's status, 429, is all that the console complains about.
    assert all("429" in fault for fault in faults), faults
    assert_mailed(press, smtp_sink)
    context.close()


def test_a_visitor_without_a_script_waits_and_gets_the_mail(
    browser: Browser, site: str, press: Press, smtp_sink: SmtpSink
) -> None:
    context = browser.new_context(base_url=site, java_script_enabled=False)
    page = context.new_page()
    fill_in(page, press)
    expect(page.locator("main")).to_contain_text("Please wait 30 seconds, then press the button")
    expect(page.get_by_role("progressbar")).to_be_hidden()
    press.clock.forward(seconds=31)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox")
    assert_mailed(press, smtp_sink)
    context.close()
