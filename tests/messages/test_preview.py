"""The preview is the mail itself, and leaves no trace."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import Engine
from support.newsletter.press import SILENCE, PlannedTransport, Press, dump_tables, plain_text
from support.web.papers import FRIDAY, make_announcement, upvoted
from support.web.rendering import watch_rendering

from service.messages.preview import MailPreview, preview_digest
from service.platform.caches import clear_caches
from service.sending.deliver import deliver, resolve

ANNE = "anne@example.org"


def preview(press: Press, subscriber_id: int) -> MailPreview:
    return preview_digest(press.sessions, press.settings, subscriber_id, FRIDAY, press.clock())


def test_a_preview_writes_nothing(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    press.add_papers(1, 2)
    before = dump_tables(press.sessions)
    shown = preview(press, anne)
    assert dump_tables(press.sessions) == before
    assert shown.payload is not None
    assert (shown.edition_on, shown.paper_count, shown.reason) == (FRIDAY, 2, "")
    assert "Parsing number 2" in plain_text(shown.payload)


def test_a_mail_is_written_when_all_that_it_says_is_read(press: Press, engine: Engine) -> None:
    (anne,) = press.add_subscribers(ANNE)
    press.add_papers(1, 2)
    with watch_rendering(engine) as watch:
        assert preview(press, anne).payload is not None
        previewed = len(watch.rendered)
        # A renderer that has written a digest like this one fills its skeleton without a template.
        clear_caches()
        press.publish()
        deliver(press.sender(PlannedTransport()))
    assert 0 < previewed < len(watch.rendered)
    assert watch.faults == []


def test_a_preview_of_a_published_digest_is_the_mail_that_goes_out(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    press.add_papers(1, 2)
    press.publish()
    before = dump_tables(press.sessions)
    shown = preview(press, anne)
    assert dump_tables(press.sessions) == before
    transport = PlannedTransport()
    deliver(press.sender(transport))
    assert transport.sent[0].payload == shown.payload


def test_a_preview_before_publishing_does_not_change_what_is_published(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    press.add_papers(1)
    shown = preview(press, anne)
    press.publish()
    transport = PlannedTransport()
    deliver(press.sender(transport))
    assert shown.payload is not None
    assert (
        plain_text(shown.payload).splitlines()[:8]
        == (plain_text(transport.sent[0].payload).splitlines()[:8])
    )


def test_a_preview_before_publishing_is_the_digest_that_is_published(press: Press) -> None:
    """Neither the papers' trends nor what they are like is known before somebody prepares."""
    told = [
        make_announcement(n, f"Splatting number {n}", signals=upvoted(n * 7 % 5)) for n in range(9)
    ]
    (anne,) = press.add_subscribers(
        ANNE, topics=['like:"splatting of a number"', "trend>90", "study"]
    )
    press.add_papers(told=[*told, make_announcement(20, "Quite Another Thing")])
    shown = preview(press, anne)
    press.publish()
    transport = PlannedTransport()
    deliver(press.sender(transport))
    assert shown.payload is not None
    sent = plain_text(transport.sent[0].payload)
    assert without_links(plain_text(shown.payload)) == without_links(sent)
    # Without any of it there would be nothing under these two.
    assert [title for title in ("splatting of a number", "trend>90") if title in sent] == [
        "splatting of a number",
        "trend>90",
    ]


def without_links(mail: str) -> str:
    """Signed links name the delivery, which no preview can know."""
    return re.sub(r"http\S+", "", mail)


def test_a_reader_who_joined_after_the_edition_sees_what_it_would_have_been(press: Press) -> None:
    press.add_papers(1)
    press.publish()
    (anne,) = press.add_subscribers(ANNE)
    before = dump_tables(press.sessions)
    assert preview(press, anne).paper_count == 1
    assert dump_tables(press.sessions) == before


def test_no_mail_is_previewed_where_nothing_matched(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["quasars"])
    press.add_papers(1)
    assert preview(press, anne) == MailPreview(FRIDAY, None, reason="empty")


def test_a_preview_that_cannot_be_made_leaves_nothing_either(press: Press) -> None:
    (anne,) = press.add_subscribers("an..ne@example.org")
    press.add_papers(1)
    before = dump_tables(press.sessions)
    with pytest.raises(ValueError, match="no plain ASCII part"):
        preview(press, anne)
    assert dump_tables(press.sessions) == before


def test_a_preview_carries_doubtful_papers_without_using_them_up(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    thursday = FRIDAY - timedelta(days=1)
    press.add_papers(1, on=thursday)
    first = press.publish(thursday)
    deliver(press.sender(PlannedTransport(lambda _: SILENCE)))
    resolve(press.sessions, first, "carry", press.clock())
    before = dump_tables(press.sessions)
    assert [preview(press, anne).paper_count for _ in range(2)] == [1, 1]
    assert dump_tables(press.sessions) == before
    assert press.states(press.publish()) == {"queued": 1}
