"""The operator's note: fixed when the edition is opened, the same in all its mails, off when off."""

from datetime import timedelta

import pytest
from support.newsletter.press import PlannedTransport, Press, plain_text, read_mail
from support.web.papers import FRIDAY

from service.deliveries.domain.recipients import Cadence
from service.editions.notes import LONGEST, NoteRefused, list_notes, put_note
from service.papers.picks import PickRefused, pick_paper
from service.platform.database.engine import transaction
from service.sending.deliver import deliver

NOTE = "Dear readers,\n\n* a **new** list <b>x</b>\n* [read](https://example.org/)\n"


def put(press: Press, text: str, *cadences: Cadence, **settings: bool) -> None:
    here = press.settings.model_copy(update=settings)
    with transaction(press.sessions) as session:
        put_note(session, here, cadences or (Cadence.DAILY,), FRIDAY, text, press.clock())


def mails(press: Press, **settings: bool) -> list[bytes]:
    transport = PlannedTransport()
    deliver(press.sender(transport, **settings))
    return [envelope.payload for envelope in transport.sent]


def html_of(payload: bytes) -> str:
    body = read_mail(payload).get_body(("html",))
    assert body is not None
    return str(body.get_content())


def test_a_note_is_at_the_head_of_every_mail_of_its_edition_and_then_fixed(press: Press) -> None:
    paper_id = press.add_papers(1)["arxiv:2609.00001"]
    press.add_subscribers("a@example.org")
    press.add_subscribers("b@example.org", topics=("parsing",))
    press.add_subscribers("c@example.org", cadence=Cadence.WEEKDAYS)
    put(press, "First draft", Cadence.DAILY, Cadence.WEEKLY)
    put(press, NOTE)
    with transaction(press.sessions) as session:
        pick_paper(session, press.settings, paper_id, "Read <this>.", press.clock())
    edition = press.publish()
    press.publish(cadence=Cadence.WEEKDAYS)
    with pytest.raises(NoteRefused, match="was opened at"):
        put(press, "Another")
    put(press, NOTE)
    put(press, "On Friday", Cadence.WEEKLY)
    assert press.edition(edition).note == NOTE.strip()
    sent = mails(press)
    assert len(sent) == 3
    with_note = [html for html in map(html_of, sent) if "Dear readers," in html]
    assert len(with_note) == 2
    for html in with_note:
        assert "<strong>new</strong>" in html
        assert "&lt;b&gt;x&lt;/b&gt;" in html
    assert all("Read &lt;this&gt;." in html for html in map(html_of, sent))
    texts = [plain_text(payload) for payload in sent]
    assert sum("* a **new** list" in text for text in texts) == 2
    assert all("choice: Read <this>." in text for text in texts)
    with press.sessions() as session:
        listed = list_notes(session, FRIDAY - timedelta(days=1))
    assert [(one.cadence, one.is_opened) for one in listed] == [
        (Cadence.DAILY, True),
        (Cadence.WEEKLY, False),
    ]


def test_what_is_switched_off_is_in_no_mail(press: Press) -> None:
    paper_id = press.add_papers(1)["arxiv:2609.00001"]
    press.add_subscribers("a@example.org")
    put(press, NOTE)
    with transaction(press.sessions) as session:
        pick_paper(session, press.settings, paper_id, "Read this.", press.clock())
    press.publish()
    (mail,) = mails(press, edition_notes=False, picks=False)
    assert "Dear readers" not in html_of(mail)
    assert "choice" not in html_of(mail)
    with pytest.raises(NoteRefused, match="at most"):
        put(press, "x" * (LONGEST + 1), Cadence.WEEKLY)
    with pytest.raises(NoteRefused, match="switched off"):
        put(press, "x", Cadence.WEEKLY, edition_notes=False)
    with transaction(press.sessions) as session:
        for text, paper, off in (
            ("", 1, False),
            ("x" * 201, 1, False),
            ("x", None, False),
            ("x", 1, True),
        ):
            here = press.settings.model_copy(update={"picks": not off})
            with pytest.raises(PickRefused):
                pick_paper(session, here, paper, text, press.clock())
