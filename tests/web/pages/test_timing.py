"""When papers come, as the pages say it: on the form, after the sign-up, in the preferences."""

import re
from datetime import UTC, datetime

import httpx2
import pytest
from sqlalchemy.orm import Session
from support.newsletter.press import PlannedTransport, Press, plain_text
from support.web.site import Subscribers, count_rows

from service.deliveries.domain.recipients import Timing
from service.platform.signing.tokens import Purpose
from service.presentation.arrivals import ANY_EXAMPLE
from service.sending.deliver import deliver

IN_TOKYO = {"email": "reader@example.org", "timezone": "Tokyo"}
LATE = "are complete on Tuesday at about 14:30, after your hour, so they reach you on Wednesday"
AT_HOUR = "reach you on Wednesday at 07:00; as soon as they are complete, that would be on Tuesday"
AT_ONCE = "reach you on Tuesday at about 14:30; at your hour, that would be on Wednesday at 07:00."


@pytest.fixture
def now() -> datetime:
    """Sunday noon in London: Monday's papers are complete on Monday at 14:30 in Tokyo."""
    return datetime(2026, 11, 29, 12, tzinfo=UTC)


def confirm_by_mail(web: httpx2.Client, press: Press) -> str:
    transport = PlannedTransport()
    deliver(press.sender(transport))
    found = re.search(
        r"http://127.0.0.1:8000(/confirm/\S+)", plain_text(transport.sent[-1].payload)
    )
    assert found
    return web.post(found[1]).text


def test_a_sign_up_on_sunday_in_tokyo_is_promised_tuesday_and_learns_why(
    web: httpx2.Client, press: Press
) -> None:
    sent = web.post("/subscribe", data=IN_TOKYO).text
    first = "digest comes on <strong>Tuesday 1 December 2026 at 07:00</strong>"
    assert first in sent
    assert LATE in sent
    confirmed = confirm_by_mail(web, press)
    assert f"Your first {first}." in confirmed
    assert "every day at 07:00, Tokyo time" in confirmed
    assert LATE in confirmed
    link = re.search(r'<a href="http://[^/]+(/preferences/[^"]+)#schedule">', confirmed)
    assert link
    assert '<h2 id="schedule">' in web.get(link[1]).text


def test_the_page_after_the_sign_up_is_the_same_for_an_address_that_is_known(
    web: httpx2.Client, subscribers: Subscribers
) -> None:
    unknown = web.post("/subscribe", data={**IN_TOKYO, "email": "new@example.org"}).text
    subscribers.add("reader@example.org")
    assert web.post("/subscribe", data=IN_TOKYO).text == unknown


def test_as_soon_as_the_day_is_complete_is_monday_and_needs_no_reason(
    web: httpx2.Client, press: Press
) -> None:
    web.post("/subscribe", data={**IN_TOKYO, "timing": "when_complete"})
    confirmed = confirm_by_mail(web, press)
    assert "<strong>Monday 30 November 2026 at about 14:30</strong>" in confirmed
    assert "every day, as soon as a day’s papers are complete" in confirmed
    assert "after your hour" not in confirmed


def test_a_sign_up_in_berlin_reads_of_the_day_only(web: httpx2.Client) -> None:
    sent = web.post("/subscribe", data={**IN_TOKYO, "timezone": "Berlin"}).text
    assert "<strong>Monday 30 November 2026 at 07:00</strong>" in sent
    assert "after your hour" not in sent


def test_the_form_asks_and_keeps_the_answer_of_a_faulty_one(web: httpx2.Client) -> None:
    front = web.get("/").text
    assert '<option value="at_hour" selected>at the delivery time</option>' in front
    assert ANY_EXAMPLE in front
    posted = {**IN_TOKYO, "email": "no address", "timing": "when_complete"}
    wrong = web.post("/subscribe", data=posted)
    assert wrong.status_code == 422
    assert '<option value="when_complete" selected>' in wrong.text
    assert AT_ONCE in wrong.text
    preview = web.post("/topics/preview", data={**posted, "topic": "cats"}).text
    assert '<option value="when_complete" selected>' in preview
    assert AT_ONCE in preview


def test_the_preferences_say_what_the_schedule_means_and_change_the_timing(
    web: httpx2.Client, subscribers: Subscribers
) -> None:
    subscriber = subscribers.add("reader@example.org")
    path = f"/preferences/{subscribers.token(Purpose.PREFERENCES, subscriber.id)}"
    assert "reach you on Tuesday at 07:00" in web.get(path).text
    assert AT_HOUR in web.post(path, data={"timezone": "Asia/Tokyo"}).text
    changed = web.post(path, data={"timing": "when_complete"}).text
    assert AT_ONCE in changed
    assert "Papers come every day, as soon as a day’s papers are complete." in changed
    fresh = subscribers.reread(subscriber)
    assert fresh
    assert fresh.timing is Timing.WHEN_COMPLETE
    wrong = web.post(path, data={"timing": "soon"})
    assert wrong.status_code == 422
    assert 'id="timing-fault" role="alert">Choose at_hour or when_complete.' in wrong.text
    assert ANY_EXAMPLE in wrong.text
    weekly = web.post(path, data={"cadence": "weekly"}).text
    assert "on the Monday after them at 07:00, whichever you choose." in weekly


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        ({"hour": "7", "timezone": "Tokyo", "timing": "at_hour"}, AT_HOUR),
        ({"hour": "7", "timezone": "Asia/Tokyo", "timing": "when_complete"}, AT_ONCE),
        # Where none is written the operator's zone counts, UTC.
        ({"hour": "6", "timezone": "", "timing": "at_hour"}, "reach you on Tuesday at 06:00;"),
        ({"hour": "7", "timezone": "Nowhere", "timing": "at_hour"}, ANY_EXAMPLE),
        ({"hour": "x" * 5000, "timezone": "\x00", "timing": "<b>"}, ANY_EXAMPLE),
        ({}, ANY_EXAMPLE),
    ],
)
def test_the_script_of_the_form_asks_for_the_sentence(
    web: httpx2.Client, session: Session, chosen: dict[str, str], text: str
) -> None:
    before = count_rows(session)
    answer = web.get("/schedule/example", params={"cadence": "daily", **chosen})
    assert answer.status_code == 200
    assert text in answer.json()["example"]
    assert count_rows(session) == before
