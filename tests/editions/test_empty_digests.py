"""Empty digests: a short mail where nothing matched, for subscribers who want it."""

from support.newsletter.press import PlannedTransport, Press, plain_text, read_mail
from support.web.papers import FRIDAY, make_announcement

from service.deliveries.domain.recipients import Cadence
from service.sending.deliver import deliver

ANNE, BERT = "anne@example.org", "bert@example.org"


def sent(press: Press) -> dict[str, tuple[str, str]]:
    """Send all due mails and return them: address -> subject and text."""
    transport = PlannedTransport()
    deliver(press.sender(transport))
    return {
        one.recipient: (
            str(read_mail(one.payload)["Subject"]),
            " ".join(plain_text(one.payload).split()),
        )
        for one in transport.sent
    }


def test_an_empty_digest_is_sent_only_to_subscribers_who_want_it(press: Press) -> None:
    anne, bert = press.add_subscribers(ANNE, BERT, topics=["no-such-word"])
    press.change(anne, has_empty_digests=True)
    press.add_papers(1)
    edition = press.publish()
    assert press.states(edition) == {"queued": 1, "skipped: empty": 1}
    mails = sent(press)
    assert list(mails) == [ANNE]
    subject, text = mails[ANNE]
    assert subject.startswith("No new papers")
    assert subject.endswith("Fri 18 Sep")
    assert "You asked for a mail even when nothing is new." in text
    assert "/preferences/" in text
    assert press.states(edition) == {"sent": 1, "skipped: empty": 1}
    assert press.balance(edition).closes
    assert bert != anne


def test_an_edition_that_was_not_complete_never_says_that_there_was_nothing(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["no-such-word"])
    press.change(anne, has_empty_digests=True)
    press.add_papers(1)
    edition = press.edition(press.publish())
    assert edition.coverage["is_complete"] is False
    subject, text = sent(press)[ANNE]
    assert subject.startswith("No new papers so far")
    assert "so far: some papers had not arrived when this was sent." in text
    assert "Nothing new matches your topics today." not in text


def test_an_empty_digest_is_sent_once_and_hides_nothing_from_the_next(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["parsing"], cadence=Cadence.DAILY)
    press.change(anne, has_empty_digests=True)
    press.add_papers(announcements=[make_announcement(9, "Of other things")])
    press.publish()
    assert len(sent(press)) == 1
    assert sent(press) == {}
    press.add_papers(1, on=FRIDAY)
    press.clock.forward(days=3)
    press.publish(press.clock().date())
    assert "Parsing number 1" in sent(press)[ANNE][1]


def test_with_papers_it_is_the_usual_digest(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["parsing"])
    press.change(anne, has_empty_digests=True)
    press.add_papers(1)
    press.publish()
    subject, text = sent(press)[ANNE]
    assert subject == "1 new on Parsing · Fri 18 Sep"
    assert "You asked for a mail" not in text
