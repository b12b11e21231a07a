"""*More* beside a paper in a mail: everything that can be done with the paper, and GET does none of it."""

import re
from datetime import datetime

import httpx2
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from support.newsletter.stored import changed_tables, read_tables
from support.web.papers import THURSDAY
from support.web.site import Subscribers
from support.web.topic_links import TITLES, press, texts_of, topics_of

from service.messages.signed_links import more_url
from service.papers.store.models import Signal
from service.platform.signing.tokens import Purpose
from service.subscribers.store.models import Subscriber


def ways(page: httpx2.Response) -> dict[str, str]:
    """Return the addresses of the page's choices by what they say, without tags."""
    found = re.findall(r'<li><a class="plain" href="([^"]+)">(.*?)</a>', page.text)
    return {re.sub("<[^>]+>", "", label): address.replace("&amp;", "&") for address, label in found}


def test_more_offers_all_that_a_card_has_no_room_for_and_changes_nothing(
    *,
    web: httpx2.Client,
    engine: Engine,
    session: Session,
    papers: dict[str, int],
    subscriber: Subscriber,
    base: str,
) -> None:
    topic, paper = topics_of(session, subscriber)[0].id, papers[TITLES[0]]
    session.rollback()
    before = read_tables(engine)
    page = web.get(f"{more_url(base, paper)}&topic={topic}")
    assert page.status_code == 200
    assert TITLES[0] in page.text
    offered = ways(page)
    assert {"Save", "Less like this", "Similar papers"} < offered.keys()
    authors = [label for label in offered if label.startswith("Follow ")]
    assert authors
    for address in offered.values():
        assert web.get(address).status_code == 200, address
    assert changed_tables(before, read_tables(engine)) == set()
    assert web.post(base, data={"more": str(paper)}).status_code == 404


def test_the_words_that_matched_come_first_among_those_to_mute(
    web: httpx2.Client, session: Session, papers: dict[str, int], subscribers: Subscribers
) -> None:
    subscriber = subscribers.add("many@example.org", "retrieval OR agents OR games")
    base = f"/change/{subscribers.token(Purpose.CHANGE, subscriber.id)}"
    topic = topics_of(session, subscriber)[0].id
    page = web.get(f"{more_url(base, papers['Games for Agents'])}&topic={topic}")
    mutes = {label: address for label, address in ways(page).items() if "mute=" in address}
    assert next(iter(mutes)) == "games"
    done = press(web, web.get(mutes["games"]))
    assert "“games” is muted" in done.text
    assert texts_of(session, subscriber) == ["(retrieval OR agents OR games) -games"]


def test_another_subscribers_topic_is_not_offered(
    web: httpx2.Client,
    session: Session,
    papers: dict[str, int],
    subscribers: Subscribers,
    subscriber: Subscriber,
) -> None:
    other = subscribers.add("other@example.org", "dogs")
    base = f"/change/{subscribers.token(Purpose.CHANGE, other.id)}"
    theirs = topics_of(session, subscriber)[0].id
    page = web.get(f"{more_url(base, papers[TITLES[0]])}&topic={theirs}")
    assert page.status_code == 200
    assert "mute=" not in page.text


def test_a_paper_that_is_gone_or_was_never_there_is_a_clear_answer(
    web: httpx2.Client, papers: dict[str, int], subscriber: Subscriber, base: str
) -> None:
    for number in ("999999", "x", "0"):
        answer = web.get(f"{base}?more={number}")
        assert answer.status_code == 404
        assert "We do not know this paper" in answer.text


def test_code_is_a_way_only_where_its_address_is_safe(
    *,
    web: httpx2.Client,
    session: Session,
    papers: dict[str, int],
    subscriber: Subscriber,
    base: str,
    now: datetime,
) -> None:
    signal = Signal(
        paper_id=papers[TITLES[0]], source="huggingface", observed_on=THURSDAY, observed_at=now
    )
    session.add(signal)
    for address, is_shown in (("https://github.com/a/b", True), ("javascript:alert(1)", False)):
        signal.github_url = address
        session.commit()
        assert ("Code" in ways(web.get(more_url(base, papers[TITLES[0]])))) is is_shown
