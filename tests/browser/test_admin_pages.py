"""The operator's pages in a real browser, without JavaScript: no page scrolls sideways.

ADMIN_PICTURES names a folder for screenshots.
"""

import os
from datetime import datetime
from pathlib import Path

import pytest
import redis
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine
from support.newsletter.accounts_world import fill_accounts
from support.newsletter.press import make_press
from support.smtp.smtp_sink import wait_until
from support.web.framed_mail import is_under_the_mouse
from support.web.server import serve

from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.sending.restore_guard import refuse_restored
from service.sending.watermark_files import watermark_paths
from service.web.app import create_app

pytestmark = pytest.mark.browser

PASSWORD = "a long password of the operator's"


@pytest.mark.parametrize(("width", "scheme"), [(375, "dark"), (1280, "light")])
def test_a_doubt_is_resolved_in_two_presses_and_no_page_scrolls_sideways(
    *, browser: Browser, settings: Settings, engine: Engine, now: datetime, width: int, scheme: str
) -> None:
    here = settings.model_copy(update={"admin_password": PASSWORD})
    press = make_press(here, engine, now)
    edition_id = fill_accounts(press)
    app = create_app(here, make_sessions(engine), enqueue=lambda *_: None, clock=press.clock)
    with serve(app) as address:
        context = browser.new_context(
            base_url=address,
            java_script_enabled=False,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            http_credentials={"username": "operator", "password": PASSWORD},
        )
        page = context.new_page()
        expect_page(page, "/admin", "Operator")
        look(page, "admin", width, scheme)
        expect_page(page, f"/admin/editions/{edition_id}", "Daily edition of Tue 22 Sep")
        look(page, "edition", width, scheme)
        page.get_by_role("button", name="Carry papers over").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Are you sure?")
        look(page, "sure", width, scheme)
        page.get_by_role("button", name="Carry over").click()
        expect(page.get_by_role("status")).to_contain_text("its papers come again")
        assert press.states(edition_id)["in_doubt"] == 0
        page.goto("/admin")
        page.get_by_role("searchbox").fill("cleo@gmail.com")
        page.get_by_role("searchbox").press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("cleo@gmail.com")
        look(page, "reader", width, scheme)
        context.close()


@pytest.mark.parametrize(("width", "scheme"), [(375, "dark"), (1280, "light")])
def test_lost_marks_are_answered_with_the_time_in_two_presses(
    *, browser: Browser, settings: Settings, engine: Engine, now: datetime, width: int, scheme: str
) -> None:
    here = settings.model_copy(update={"admin_password": PASSWORD})
    press = make_press(here, engine, now)
    refuse_restored(press.sessions, here, press.clock())
    watermark_paths(here.data_dir)[0].unlink()
    with redis.Redis.from_url(here.redis_url) as client:
        client.flushdb()
    app = create_app(here, make_sessions(engine), enqueue=lambda *_: None, clock=press.clock)
    with serve(app) as address:
        context = browser.new_context(
            base_url=address,
            java_script_enabled=False,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            http_credentials={"username": "operator", "password": PASSWORD},
        )
        page = context.new_page()
        expect_page(page, "/admin", "Operator")
        look(page, "lost", width, scheme)
        page.get_by_label("When mail was last sent, in UTC").fill(f"{now:%Y-%m-%dT%H:%M}")
        page.get_by_role("button", name="Confirm restore").click()
        page.get_by_role("button", name="Yes, resume sending").click()
        expect(page.get_by_text("0 mails in doubt; sending resumes.")).to_be_visible()
        refuse_restored(press.sessions, here, press.clock())
        context.close()


def expect_page(page: Page, path: str, heading: str) -> None:
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)


def look(page: Page, name: str, width: int, scheme: str) -> None:
    page.wait_for_load_state("load")  # the style sheet with it
    assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    folder = os.environ.get("ADMIN_PICTURES")
    if folder:
        path = Path(folder) / f"{name}-{width}-{scheme}.png"
        page.screenshot(path=path, full_page=True)


def expect_preview(page: Page) -> None:
    """Check that the mail is shown, and that its links open outside the frame."""
    mail = page.frame_locator("iframe")
    expect(mail.locator("body")).to_contain_text("Parsing number 1")
    link = mail.get_by_role("link", name="Privacy")
    wait_until(lambda: is_under_the_mouse(link))
    with page.expect_popup():
        link.click()


@pytest.mark.parametrize(
    ("width", "scheme", "has_script"), [(375, "dark", False), (1280, "light", True)]
)
def test_the_operator_finds_edits_pauses_and_previews_a_reader_and_pauses_all_sending(
    *,
    browser: Browser,
    settings: Settings,
    engine: Engine,
    now: datetime,
    width: int,
    scheme: str,
    has_script: bool,
) -> None:
    here = settings.model_copy(update={"admin_password": PASSWORD})
    press = make_press(here, engine, now)
    press.add_papers(1, 2)
    press.add_subscribers("anne@example.org", "bert@example.org")
    press.add_subscribers("cleo@example.org", topics=("graph tree",))
    app = create_app(here, make_sessions(engine), enqueue=lambda *_: None, clock=press.clock)
    with serve(app) as address:
        context = browser.new_context(
            base_url=address,
            java_script_enabled=has_script,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            http_credentials={"username": "ada", "password": PASSWORD},
        )
        page = context.new_page()
        expect_page(page, "/admin", "Operator")
        look(page, "overview", width, scheme)
        page.get_by_role("link", name="Readers", exact=True).click()
        look(page, "list", width, scheme)
        page.get_by_role("searchbox").fill("ANN")
        page.get_by_role("searchbox").press("Enter")
        page.get_by_role("link", name="anne@example.org").click()
        heading = page.get_by_role("heading", level=1)
        expect(heading).to_have_text("anne@example.org")
        look(page, "subscriber", width, scheme)
        page.get_by_role("link", name="Edit").click()
        look(page, "edit", width, scheme)
        page.get_by_label("How often").select_option("weekdays")
        page.get_by_label("Time zone").fill("Berlin")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("status")).to_contain_text("Saved.")
        expect(page.locator("main")).to_contain_text(
            "edited (cadence daily → weekdays, time zone UTC → Europe/Berlin) by the operator ada"
        )
        page.get_by_role("link", name="Preview next digest").click()
        expect_preview(page)
        look(page, "preview", width, scheme)
        page.go_back()
        page.get_by_label("Pause until").fill("2026-10-01")
        page.get_by_role("button", name="Pause", exact=True).click()
        expect(page.locator("main")).to_contain_text("Paused until Thursday 1 October 2026")
        expect(page.locator("main")).to_contain_text(
            "paused until 2026-10-01 by the operator ada on /admin"
        )
        page.get_by_role("button", name="Resume").click()
        expect(page.get_by_role("status")).to_have_text("Resumed.")
        with page.expect_download() as download:
            page.get_by_role("link", name="Download data").click()
        assert download.value.suggested_filename.endswith(".json")
        page.get_by_role("link", name="Overview").click()
        page.get_by_role("button", name="Pause all sending").click()
        look(page, "pause-all", width, scheme)
        page.get_by_role("button", name="Pause all sending").click()
        page.get_by_role("link", name="Overview").click()
        expect(page.locator(".alarm")).to_contain_text("All sending is paused since")
        look(page, "paused-all", width, scheme)
        page.get_by_role("button", name="Resume sending").click()
        expect(page.get_by_role("status")).to_contain_text("Sending goes on")
        context.close()
