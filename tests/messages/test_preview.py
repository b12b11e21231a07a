"""A preview equals the real mail and writes nothing."""

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
    assert (shown.paper_count, shown.reason) == (2, "")
    assert "Parsing number 2" in plain_text(shown.payload)


def test_a_mail_is_rendered_outside_of_any_transaction(press: Press, engine: Engine) -> None:
    (anne,) = press.add_subscribers(ANNE)
    press.add_papers(1, 2)
    with watch_rendering(engine) as watch:
        assert preview(press, anne).payload is not None
        previewed = len(watch.rendered)
        # Without this, publishing would reuse the skeleton and render no template.
        clear_caches()
        press.publish()
        deliver(press.sender(PlannedTransport()))
    assert 0 < previewed < len(watch.rendered)
    assert watch.faults == []


def test_a_preview_of_a_published_digest_equals_the_sent_mail(press: Press) -> None:
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


def test_a_preview_before_publishing_equals_the_published_digest(press: Press) -> None:
    """Trends and `like:` matches are known only after the edition is prepared."""
    papers = [
        make_announcement(n, f"Splatting number {n}", signals=upvoted(n * 7 % 5)) for n in range(9)
    ]
    (anne,) = press.add_subscribers(
        ANNE, topics=['like:"splatting of a number"', "trend>90", "study"]
    )
    press.add_papers(announcements=[*papers, make_announcement(20, "Quite Another Thing")])
    shown = preview(press, anne)
    press.publish()
    transport = PlannedTransport()
    deliver(press.sender(transport))
    assert shown.payload is not None
    sent = plain_text(transport.sent[0].payload)
    assert without_links(plain_text(shown.payload)) == without_links(sent)
    # Both topics have papers only if the edition was prepared.
    names = ("Splatting of a number", "Trending above 90%")
    assert [name for name in names if name in sent] == [*names]


def without_links(mail: str) -> str:
    """Remove signed links: they contain the delivery id, which a preview does not know."""
    return re.sub(r"http\S+", "", mail)


def test_a_later_subscriber_gets_a_preview_of_an_earlier_edition(press: Press) -> None:
    press.add_papers(1)
    press.publish()
    (anne,) = press.add_subscribers(ANNE)
    before = dump_tables(press.sessions)
    assert preview(press, anne).paper_count == 1
    assert dump_tables(press.sessions) == before


def test_a_preview_without_matches_has_no_mail(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["quasars"])
    press.add_papers(1)
    assert preview(press, anne) == MailPreview(None, reason="empty")


def test_a_preview_that_fails_writes_nothing(press: Press) -> None:
    (anne,) = press.add_subscribers("an..ne@example.org")
    press.add_papers(1)
    before = dump_tables(press.sessions)
    with pytest.raises(ValueError, match="no plain ASCII part"):
        preview(press, anne)
    assert dump_tables(press.sessions) == before


def test_a_preview_carries_papers_over_without_consuming_them(press: Press) -> None:
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
