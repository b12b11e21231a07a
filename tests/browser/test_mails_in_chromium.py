"""Mails in Chromium: no serious finding of axe-core, and none wider than its window."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from support.mail.mail_states import State, every_state, render_state

from service.messages.rendering.renderer import Renderer

pytestmark = pytest.mark.browser

STATES = every_state()
SERIOUS = {"serious", "critical"}
# Less than serious to axe, but screen readers jump to landmarks.
LANDMARKS = {"landmark-one-main", "region"}


@pytest.fixture(scope="module")
def mails() -> Renderer:
    return Renderer()


def open_window(browser: Browser, scheme: str, width: int) -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    # Block all requests: a mail must not depend on external resources.
    context.route("**/*", lambda route: route.abort())
    return context.new_page()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.timeout(600)
def test_axe_finds_nothing_serious_in_any_mail(
    browser: Browser, mails: Renderer, scheme: str
) -> None:
    found = {}
    page = open_window(browser, scheme, 600)
    for state in STATES:
        page.set_content(render_state(mails, state).html)
        answer = Axe().run(page).response
        bad = [
            (violation["id"], [node["html"][:120] for node in violation["nodes"]][:3])
            for violation in answer["violations"]
            if violation["impact"] in SERIOUS or violation["id"] in LANDMARKS
        ]
        assert answer["passes"]
        if bad:
            found[state.name] = bad
    page.context.close()
    assert found == {}


@pytest.mark.parametrize("width", [320, 600, 1280])
def test_no_mail_is_wider_than_its_window(browser: Browser, mails: Renderer, width: int) -> None:
    page = open_window(browser, "light", width)
    too_wide = [state.name for state in STATES if _width(page, mails, state) > width]
    page.context.close()
    assert too_wide == []


def test_text_at_200_percent_still_fits(browser: Browser, mails: Renderer) -> None:
    """WCAG 1.4.4 and 1.4.10: at 200 % a window of 1280 pixels is one of 640, at 400 % of 320."""
    page = open_window(browser, "light", 640)
    too_wide = [state.name for state in STATES if _width(page, mails, state, zoom=2) > 640]
    page.context.close()
    assert too_wide == []


def _width(page: Page, mails: Renderer, state: State, zoom: int = 1) -> int:
    page.set_content(render_state(mails, state).html)
    page.add_style_tag(content=f"html{{zoom:{zoom}}}")
    return int(page.evaluate("document.documentElement.scrollWidth"))
