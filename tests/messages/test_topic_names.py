"""Mails call topics by their names; a composed mail keeps the headings it was composed with."""

from email.message import EmailMessage

from support.newsletter.press import PlannedTransport, Press, plain_text, read_mail

from service.operations.explain import explain_date
from service.sending.deliver import deliver
from service.subscribers.domain.sign_up import SignUpForm
from service.subscribers.lifecycle import update_preferences
from service.subscribers.store.models import Subscriber
from service.subscribers.validate import validate_preferences

ANNE = "anne@example.org"
QUERY = '"parsing number" OR "continual learning"'
NAME = "Parsing number, continual learning"


def send(press: Press) -> tuple[EmailMessage, list[str]]:
    transport = PlannedTransport()
    deliver(press.sender(transport))
    (sent,) = transport.sent
    return read_mail(sent.payload), plain_text(sent.payload).splitlines()


def rename(press: Press, subscriber_id: int, name: str) -> None:
    with press.sessions.begin() as session:
        chosen = validate_preferences(session, SignUpForm(topics=(QUERY,), names=(name,)))
        subscriber = session.get_one(Subscriber, subscriber_id)
        update_preferences(session, subscriber, chosen, press.clock())


def test_heading_subject_footer_and_story_use_the_name(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=[QUERY])
    press.add_papers(1)
    edition = press.publish()
    message, lines = send(press)
    assert str(message["Subject"]).startswith(f"1 new on {NAME} ·")
    assert NAME in lines
    flowing = "".join(line if line.endswith(" ") else f"{line}\n" for line in lines)
    assert f"with topic “{NAME}”" in flowing
    assert '"parsing number"' not in flowing
    with press.sessions.begin() as session:
        subscriber = session.get_one(Subscriber, anne)
        story = explain_date(session, subscriber, press.clock().date())
    assert edition
    assert (story.topics, story.topic_names) == ((QUERY,), (NAME,))
    assert {paper.topic for each in story.deliveries for paper in each.papers} == {NAME}


def test_a_new_name_does_not_change_a_composed_mail_but_the_next_one(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=[QUERY])
    press.add_papers(1)
    press.publish()
    rename(press, anne, 'My "best" thesis')
    message, lines = send(press)
    assert str(message["Subject"]).startswith(f"1 new on {NAME} ·")
    assert NAME in lines
    press.clock.forward(days=3)
    press.add_papers(2, on=press.clock().date())
    press.publish(press.clock().date())
    message, lines = send(press)
    assert str(message["Subject"]).startswith('1 new on My "best" thesis ·')
    assert 'My "best" thesis' in lines
    assert any("“My 'best' thesis”" in line for line in lines)
