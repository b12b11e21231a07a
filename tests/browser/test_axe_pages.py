"""axe on the pages that no other test of a browser visits: light and dark, on a phone and on a desk."""

from datetime import datetime, timedelta
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from sqlalchemy import Engine
from support.newsletter.press import Press, make_press
from support.web.papers import make_announcement

from service.messages.signed_links import signed_url
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Purpose
from service.subscribers.store.models import Subscriber

PASSWORD = "a long password of the operator's"
TITLES = ("Cats Learn to Prompt", "Cats That Sleep", "Cats, Dogs and $10^{-16}$")
LOOKS: tuple[tuple[int, Literal["light", "dark"]], ...] = (
    (375, "light"), (375, "dark"), (1280, "light"), (1280, "dark"),
)  # fmt: skip

# Whether anything passed, and the serious violations with the first place of each.
RUN = """options => axe.run(options).then(found => [
  found.passes.length > 0,
  found.violations.filter(one => ["serious", "critical"].includes(one.impact))
    .map(one => one.id + " " + one.nodes[0].html.slice(0, 120)),
])"""

pytestmark = [pytest.mark.browser, pytest.mark.settings(admin_password=PASSWORD)]


@pytest.fixture
def press(settings: Settings, engine: Engine, now: datetime) -> Press:
    """An installation with papers, a pick, a note and votes switched on."""
    press = make_press(settings, engine, now)
    papers = [make_announcement(n, title) for n, title in enumerate(TITLES, 1)]
    press.add_papers(announcements=papers)
    return press


def personal_paths(press: Press) -> tuple[str, str]:
    """Return the paths of a reader's preferences and changes, a day after they confirmed."""
    (number,) = press.add_subscribers("reader@example.org", topics=("cats",))
    press.clock.now += timedelta(days=1)
    with press.sessions() as session:
        reader = session.get_one(Subscriber, number)
        preferences, change = (
            signed_url(press.settings, purpose, reader, press.clock())
            for purpose in (Purpose.PREFERENCES, Purpose.CHANGE)
        )
    base = press.settings.base_url
    return preferences.removeprefix(base), change.removeprefix(base)


def find_faults(page: Page) -> list[str]:
    """Return what axe finds serious in each look, and where a page is wider than its window."""
    faults = []
    page.evaluate(Axe().axe_script)
    for width, scheme in LOOKS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        if page.evaluate("document.documentElement.scrollWidth") > width:
            faults.append(f"wider than {width}")
        # Colours depend on the scheme, everything else on the width alone.
        rules = {"runOnly": ["color-contrast"]} if scheme == "dark" else {}
        passed, violations = page.evaluate(RUN, {"resultTypes": ["violations"], **rules})
        assert passed
        faults += [f"{scheme} {width}: {one}" for one in violations]
    return faults


def start_from(page: Page, preferences: str, text: str) -> None:
    page.goto(f"{preferences}/start")
    page.locator("#text").fill(text)
    page.get_by_role("button", name="Propose topics").click()


def test_axe_finds_nothing_serious_on_the_pages_of_a_reader_and_an_operator(
    browser: Browser, site: str, press: Press
) -> None:
    preferences, change = personal_paths(press)
    context = browser.new_context(
        base_url=site, bypass_csp=True, http_credentials={"username": "ada", "password": PASSWORD}
    )
    page = context.new_page()
    found: dict[str, list[str]] = {}

    def look(name: str) -> None:
        page.locator("details:not([open]) > summary").first.evaluate_all(
            "all => all.forEach(one => one.parentElement.open = true)"
        )
        found[name] = find_faults(page)

    for path in (
        "/api", "/weekly/2026-W38", "/monthly/2026-09?sort=votes", "/calendar/2026-09",
        f"{preferences}/start", f"{preferences}/community", f"{change}?vote=1", "/link?vote=arxiv:2609.00001",
    ):  # fmt: skip
        page.goto(path)
        look(path)
    start_from(page, preferences, "\n".join([*TITLES, "Nobody Knows This"]))
    look("proposal")
    start_from(page, preferences, "@")
    look("nothing to propose")
    page.goto(f"{preferences}/community")
    page.locator("#submit").fill("no paper")
    page.get_by_role("button", name="Submit").click()
    look("refused submission")
    page.goto(preferences)
    for cadence in page.locator("#cadence option").evaluate_all("all => all.map(o => o.value)"):
        page.goto(preferences)
        page.locator("#cadence").select_option(cadence)
        page.get_by_role("button", name="Save", exact=True).click()
        if cadence in {"weekdays", "weekly-thursday", "monthly"}:
            look(f"preferences, {cadence}")
        assert page.locator("#cadence").input_value() == cadence
    page.goto("/admin/community")
    page.get_by_label("arXiv id, DOI").fill("2609.00002")
    page.get_by_label("Why, in one sentence").fill("The calmest paper of the week.")
    page.get_by_role("button", name="Pick").click()
    page.locator("#text").fill("Dear readers,\n\n* *two* papers\n* [more](https://example.org)")
    page.get_by_role("button", name="Preview as page").click()
    page.locator("#text").wait_for()
    look("picks and notes")
    page.goto("/papers/arxiv:2609.00002")
    look("a picked paper")
    context.close()
    assert {name: faults for name, faults in found.items() if faults} == {}
