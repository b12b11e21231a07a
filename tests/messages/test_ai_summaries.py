"""A summary that a machine wrote says so wherever it is shown; reader and operator can hide it."""

from dataclasses import replace
from email import message_from_bytes, policy

import pytest
from support.newsletter.press import PlannedTransport, Press
from support.web.papers import make_announcement, upvoted

from service.sending.deliver import deliver
from service.subscribers.store.models import Subscriber

ANNE, BERT = "anne@example.org", "bert@example.org"
PAPER = make_announcement(
    1,
    "Parsing with care",
    abstract="The abstract of the authors.",
    signals=replace(upvoted(3), summary="A model wrote this."),
)


def send_parts(press: Press) -> dict[str, tuple[str, str]]:
    """Publish and send; return the HTML and the text of each mail by address."""
    transport = PlannedTransport()
    press.publish()
    deliver(press.sender(transport))
    mails = {}
    for envelope in transport.sent:
        message = message_from_bytes(envelope.payload, policy=policy.default)
        parts = [message.get_body((kind,)) for kind in ("html", "plain")]
        html, text = (part.get_content() for part in parts if part)
        mails[str(message["To"])] = (html, " ".join(text.split()))
    return mails


def test_a_mail_marks_the_summary_unless_the_subscriber_hides_it(press: Press) -> None:
    _, bert = press.add_subscribers(ANNE, BERT, topics=["parsing"])
    with press.sessions.begin() as session:
        session.get_one(Subscriber, bert).has_ai_summaries = False
    press.add_papers(announcements=[PAPER])
    mails = send_parts(press)
    assert "<b>AI summary:</b> A model wrote this." in mails[ANNE][0]
    assert "AI summary: A model wrote this." in mails[ANNE][1]
    for part in mails[BERT]:
        assert "The abstract of the authors." in part
        assert "A model wrote this." not in part


@pytest.mark.settings(ai_summaries=False)
def test_no_mail_has_the_summary_where_the_operator_hides_it(press: Press) -> None:
    press.add_subscribers(ANNE, topics=["parsing"])
    press.add_papers(announcements=[PAPER])
    ((html, text),) = send_parts(press).values()
    assert ("AI summary" in html, "The abstract of the authors." in text) == (False, True)
