"""A subscriber renames a topic in the preferences, also without JavaScript and on a phone."""

from datetime import datetime

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from support.newsletter.press import Turnable
from support.web.server import serve
from support.web.site import Subscribers

from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Purpose
from service.web.app import create_app

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("has_script", [True, False])
def test_a_topic_is_renamed_with_enter_and_gets_its_derived_name_back(
    *,
    browser: Browser,
    settings: Settings,
    engine: Engine,
    session: Session,
    now: datetime,
    has_script: bool,
) -> None:
    subscribers = Subscribers(session, settings, Turnable(now))
    subscriber = subscribers.add("reader@example.org", '"prompt tuning" OR agents', "cats")
    preferences = f"/preferences/{subscribers.token(Purpose.PREFERENCES, subscriber.id)}"
    app = create_app(settings, make_sessions(engine), enqueue=lambda *_: None, clock=lambda: now)
    with serve(app) as address:
        context = browser.new_context(
            base_url=address, java_script_enabled=has_script, viewport={"width": 375, "height": 800}
        )
        page = context.new_page()
        page.goto(preferences)
        name = page.get_by_label("Name of topic 1", exact=True)
        expect(name).to_have_value("")
        expect(name).to_have_attribute("placeholder", "Prompt tuning, agents")
        name.fill("My thesis")
        name.press("Enter")
        expect(page.get_by_role("status").first).to_contain_text("Saved.")
        expect(name).to_have_value("My thesis")
        # The name and the topic take the whole width, one above the other.
        boxes = [
            page.get_by_label(label, exact=True).bounding_box()
            for label in ("Name of topic 2", "Topic 2")
        ]
        assert boxes[0]
        assert boxes[1]
        assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]
        assert boxes[0]["x"] == boxes[1]["x"]
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        name.fill("")
        page.get_by_label("Topic 1", exact=True).fill("robots")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(name).to_have_attribute("placeholder", "Robots")
        context.close()
