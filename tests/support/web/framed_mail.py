"""Mails in the development mailbox: sent, opened and clicked as a person does."""

from concurrent.futures import ThreadPoolExecutor

from playwright.sync_api import FrameLocator, Locator, Page

from service.sending.deliver import deliver
from support.newsletter.press import Press
from support.smtp.smtp_sink import wait_until


def send_all(press: Press) -> None:
    """Send in a thread of its own, because Playwright's event loop runs in this one."""
    with ThreadPoolExecutor(1) as worker:
        worker.submit(_send_all, press).result()


def _send_all(press: Press) -> None:
    sender = press.sender()
    deliver(sender)
    sender.transport.close()


def open_mail(page: Page, subject: str) -> FrameLocator:
    """Open the newest mail whose subject contains a text, by clicks; return its frame."""
    page.goto("/")
    page.get_by_role("link", name="Development mailbox").click()
    page.get_by_role("link", name=subject).first.click()
    return page.frame_locator("iframe.mail")


def click_out(page: Page, link: Locator) -> Page:
    """Click a link once; return the tab that it opened, which must not know the mailbox."""
    # Chromium routes the mouse to a sandboxed frame only a moment after the frame was drawn; a
    # person sees by the pointer that it is on a link.
    wait_until(lambda: is_under_the_mouse(link))
    with page.expect_popup() as opened:
        link.click()
    opened.value.wait_for_load_state()
    assert opened.value.evaluate("window.opener") is None
    return opened.value


def is_under_the_mouse(link: Locator) -> bool:
    link.hover()
    return bool(link.evaluate("link => link.matches(':hover')"))
