"""The reader's measure in real mails: capped, monthly, and with papers that waited."""

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import select
from support.newsletter.press import PlannedTransport, Press, plain_text, read_mail
from support.web.papers import make_announcement

from service.deliveries.domain.recipients import Cadence
from service.editions.store.edition_papers import get_edition_papers
from service.papers.store.models import Paper
from service.papers.store.read import find_paper
from service.sending.deliver import deliver
from service.subscribers.domain.types import Feedback
from service.subscribers.feedback import rate_paper
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import replace_topics
from service.topics.store.models import Topic

ANNE = "anne@example.org"
MONDAY = date(2026, 9, 14)


def publish(
    press: Press, on: date, cadence: Cadence = Cadence.DAILY, **titles: str
) -> tuple[int, str, str]:
    """Publish an edition with new papers; return its number, and the mail's subject and text."""
    papers = [make_announcement(int(key[1:]), title) for key, title in titles.items()]
    press.add_papers(on=on, announcements=papers)
    press.clock.now = datetime(on.year, on.month, on.day, 10, tzinfo=UTC)
    number = press.publish(on, cadence)
    transport = PlannedTransport()
    deliver(press.sender(transport))
    for mail in transport.sent:
        text = " ".join(plain_text(mail.payload).split())
        return number, str(read_mail(mail.payload)["Subject"]), text
    return number, "", ""


def measure(press: Press, query: str, **values: object) -> None:
    with press.sessions.begin() as session:
        for topic in session.scalars(select(Topic).where(Topic.query == query)):
            for name, value in values.items():
                setattr(topic, name, value)


def test_a_weekly_topic_comes_on_its_weekday_within_that_days_digest(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=("parsing", "robots"))
    measure(press, "robots", is_weekly=True)
    press.change(anne, weekly_topics_on=3)
    _, subject, text = publish(press, MONDAY, p1="Parsing trees", p2="Robots walk")
    assert "1 new on Parsing" in subject
    assert "Robots walk" not in text
    assert "Waiting for a later digest: 1 paper on Robots, until Thursday 17 September." in text
    # Nothing else: no mail, and the papers wait on.
    assert publish(press, MONDAY + timedelta(days=1), p3="Robots run")[1:] == ("", "")
    publish(press, MONDAY + timedelta(days=2))
    number, subject, text = publish(press, MONDAY + timedelta(days=3), p4="Robots swim")
    assert "3 new on Robots" in subject
    assert text.index("Robots swim") < text.index("Robots walk")
    assert "Robots run" in text
    assert "Waiting" not in text
    with press.sessions() as session:
        assert len(get_edition_papers(session, number)) == 1
    assert publish(press, MONDAY + timedelta(days=4), p5="Parsing graphs")[2].count("Robots") == 1


def test_a_topic_that_needs_company_waits_and_a_deleted_one_gives_its_papers(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=("parsing", "robots"))
    measure(press, "robots", at_least=3)
    _, _, text = publish(press, MONDAY, p1="Parsing trees", p2="Robots walk")
    waits = "1 paper on Robots, until there are 3, at the latest Monday 12 October."
    assert f"Waiting for a later digest: {waits}" in text
    with press.sessions.begin() as session:
        replace_topics(session, anne, [("parsing", "parsing")], press.clock())
    text = publish(press, MONDAY + timedelta(days=1), p3="Parsing graphs")[2]
    assert "Papers that waited" in text
    assert "Robots walk" in text
    assert "Robots" not in publish(press, MONDAY + timedelta(days=2), p4="Parsing tables")[2]


def test_a_mail_has_at_most_the_papers_that_its_reader_wants_and_names_the_others(
    press: Press,
) -> None:
    (anne,) = press.add_subscribers(ANNE)
    press.change(anne, max_papers=2)
    titles = {f"p{n}": f"Parsing number {n}" for n in range(1, 6)}
    number, subject, text = publish(press, MONDAY, Cadence.DAILY, **titles)
    assert len(press.row(number).paper_ids) == 2
    assert "5 new" in subject
    assert "And 3 more papers. See them all in your browser:" in text


def test_a_month_reads_as_one_and_changes_of_cadence_lose_and_double_nothing(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, cadence=Cadence.MONTHLY, hour=7)
    publish(press, MONDAY, p1="Parsing one")
    publish(press, MONDAY + timedelta(days=1), p2="Parsing two")
    first = date(2026, 10, 1)
    _, subject, text = publish(press, first, Cadence.MONTHLY)
    assert "2 new on" in subject
    assert "Tuesday 1 September 2026 to Wednesday 30 September 2026 · 2 papers for you" in text
    assert "It comes once a month." in text
    publish(press, first, Cadence.DAILY, p3="Parsing three")
    press.change(anne, cadence=Cadence.DAILY)
    text = publish(press, first + timedelta(days=1), p4="Parsing four")[2]
    assert ("Parsing three" in text, "Parsing four" in text, "Parsing two" in text) == (
        True, True, False,
    )  # fmt: skip
    with press.sessions() as session:
        assert session.get_one(Subscriber, anne).gap_since is None


def test_papers_that_waited_stand_among_the_new_ones_by_the_same_order(press: Press) -> None:
    """A weekly topic reads as a week does: a cap leaves out the worst of it, not the oldest."""
    learns, plain = press.add_subscribers(ANNE, "bert@example.org", topics=("robots",))
    for reader in (learns, plain):
        press.change(reader, weekly_topics_on=3, max_papers=4)
    measure(press, "robots", is_weekly=True)
    saved = [
        make_announcement(n, f"Splatting {n}", abstract="Gaussian splatting of scenes")
        for n in (1, 2)
    ]
    press.add_papers(on=MONDAY, announcements=saved)
    publish(press, MONDAY, p3="Robots walk", p4="Robots run", p5="Robots splatting scenes")
    with press.sessions.begin() as session:
        for key in ("arxiv:2609.00001", "arxiv:2609.00002"):
            paper = find_paper(session, key)
            assert paper
            row = session.get_one(Subscriber, learns)
            rate_paper(session, row, paper.id, Feedback.KEPT, press.clock())
    thursday = MONDAY + timedelta(days=3)
    quiet = make_announcement(8, "Machines that swim", abstract="We build robots.")
    press.add_papers(on=thursday, announcements=[quiet])
    number, _, _ = publish(press, thursday, p9="Robots swim")
    orders = {
        row.subscriber_id: [titles[i] for i in row.paper_ids]
        for titles in [titles_of(press)]
        for row in press.rows(number)
    }
    # By title, then the newest; what matches in its abstract alone is cut, though it is of today.
    assert orders[plain] == [
        "Robots swim", "Robots splatting scenes", "Robots run", "Robots walk",
    ]  # fmt: skip
    assert orders[learns][0] == "Robots splatting scenes"
    assert {*orders[learns]} == {*orders[plain]}


def titles_of(press: Press) -> dict[int, str]:
    with press.sessions() as session:
        return {paper.id: paper.title for paper in session.scalars(select(Paper))}
