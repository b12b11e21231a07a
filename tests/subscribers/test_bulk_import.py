"""Subscribers added by the operator, or imported from a file, completely or not at all."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session
from support.newsletter.stored import changed_tables, list_uncompiled, read_tables

from service.deliveries.domain.recipients import Cadence, SubscriberState
from service.deliveries.store.models import Delivery
from service.platform.settings.settings import Settings
from service.subscribers.bulk_import import (
    ImportFault,
    ImportReport,
    add_subscriber,
    blank_sign_up,
    import_subscribers,
    parse_import,
)
from service.subscribers.lifecycle import erase, suppress_address
from service.subscribers.store.models import Consent, Subscriber
from service.subscribers.store.subscribers import find_by_email, get_topics, list_subscribers
from service.subscribers.validate import validate_sign_up
from service.topics.topics import MOST_TOPICS

KEYS = ("a secret",)
NOW = datetime(2026, 9, 18, 5, 0, tzinfo=UTC)
WHOLE = (
    "email,topic1,topic2,cadence,hour,timezone\n"
    'ada@example.org,cat:cs.CL,"""prompt tuning"" OR lora",weekly,20,Asia/Tokyo\n'
    "grace@example.org,  graph   networks ,,,,\n"
    "\n"
    "hedy@example.org,cat:cs.CL,cat:cs.CL,,,\n"
)


@pytest.fixture(autouse=True)
def _every_topic_is_compiled(engine: Engine) -> Iterator[None]:
    yield
    assert list_uncompiled(engine) == []


def bring_in(
    session: Session, settings: Settings, text: str, *, is_confirmed: bool = True
) -> ImportReport:
    rows = parse_import(text, settings)
    report = import_subscribers(session, rows, KEYS, NOW, is_confirmed=is_confirmed)
    session.commit()
    return report


def topics_of(session: Session, email: str) -> list[str]:
    subscriber = find_by_email(session, email)
    assert subscriber is not None
    return [text for text, _ in get_topics(session, [subscriber.id]).get(subscriber.id, [])]


def test_a_file_becomes_subscribers_with_topics_in_their_order(
    session: Session, settings: Settings
) -> None:
    assert bring_in(session, settings, WHOLE) == ImportReport(3, 0, 0)
    ada, grace, hedy = list_subscribers(session)
    assert [r.email for r in (ada, grace, hedy)] == [
        "ada@example.org",
        "grace@example.org",
        "hedy@example.org",
    ]
    assert (ada.cadence, ada.hour, ada.timezone) == (Cadence.WEEKLY, 20, "Asia/Tokyo")
    assert (grace.cadence, grace.hour, grace.timezone) == (Cadence.DAILY, 7, "UTC")
    assert topics_of(session, ada.email) == ["cat:cs.CL", '"prompt tuning" OR lora']
    assert topics_of(session, grace.email) == ["graph networks"]
    assert topics_of(session, hedy.email) == ["cat:cs.CL"]
    assert {r.state for r in (ada, grace, hedy)} == {SubscriberState.ACTIVE}
    assert ada.confirmed_at == NOW
    assert [
        (c.action, c.page) for c in session.scalars(select(Consent).filter_by(subscriber_id=ada.id))
    ] == [("confirmed", "operator")]
    assert session.execute(select(func.count()).select_from(Delivery)).scalar_one() == 0


def test_imported_subscribers_without_confirmation_are_asked_to_confirm(
    session: Session, settings: Settings
) -> None:
    assert bring_in(session, settings, WHOLE, is_confirmed=False).added == 3
    assert {r.state for r in list_subscribers(session)} == {SubscriberState.PENDING}
    assert {r.confirmation_count for r in list_subscribers(session)} == {1}
    assert session.execute(select(func.count()).select_from(Delivery)).scalar_one() == 3


def test_the_same_file_twice_changes_nothing(
    session: Session, settings: Settings, engine: Engine
) -> None:
    bring_in(session, settings, WHOLE)
    before = read_tables(engine)
    changed = WHOLE.replace("weekly", "daily").replace("cat:cs.CL", "cat:cs.LG")
    assert bring_in(session, settings, changed) == ImportReport(0, 3, 0)
    assert changed_tables(before, read_tables(engine)) == set()


def test_suppressed_and_erased_addresses_are_not_brought_back(
    session: Session, settings: Settings
) -> None:
    bring_in(session, settings, WHOLE)
    suppress_address(session, "ada@example.org", KEYS, "asked", NOW)
    hedy = find_by_email(session, "hedy@example.org")
    assert hedy is not None
    erase(session, hedy, KEYS, NOW)
    session.commit()
    more = f"{WHOLE}HEDY@example.org,,,,,\njoan@example.org,,,,,\nJoan@Example.org,x,,,,\n"
    report = bring_in(session, settings, more)
    assert report == ImportReport(added=1, known=2, suppressed=3)
    assert find_by_email(session, "hedy@example.org") is None
    ada = find_by_email(session, "ada@example.org")
    assert ada is not None
    assert ada.state is SubscriberState.SUPPRESSED
    assert topics_of(session, "joan@example.org") == []


def test_a_column_selects_subscribers_for_empty_digests(
    session: Session, settings: Settings
) -> None:
    bring_in(session, settings, "email,empty_digests\na@b.org,Yes\nc@d.org,no\ne@f.org,\n")
    wants = [(one.email, one.has_empty_digests) for one in list_subscribers(session)]
    assert wants == [("a@b.org", True), ("c@d.org", False), ("e@f.org", False)]


FAULTS = {
    "line 2: empty_digests must be yes or no": "email,empty_digests\na@b.org,perhaps\n",
    "line 1: the first line must name": "mail\nada@example.org\n",
    "line 1: two columns have the same name": "email,topic,topic\na@b.org,x,y\n",
    "line 5: This is not an email address": WHOLE.replace("hedy@", "hedy"),
    "line 2: Choose daily": WHOLE.replace("weekly", "hourly"),
    "line 2: The hour is": WHOLE.replace("20", "25"),
    "line 2: No time zone": WHOLE.replace("Asia/Tokyo", "Asia/Nowhere"),
    "line 6: This is not an email address": f"{WHOLE},,,,,\n",
    "line 6: more fields than columns": f"{WHOLE}joan@example.org,a,b,c,d,e,f,g\n",
    "line 6: not CSV": f'{WHOLE}joan@example.org,"open\n',
    "line 3: topic '\"open': ": WHOLE.replace("  graph   networks ", '"""open"'),
    "line 5: topic 'the': ": WHOLE.replace("hedy@example.org,cat:cs.CL", "h@example.org,the"),
}


@pytest.mark.parametrize("message", FAULTS)
def test_a_file_with_one_bad_line_names_it_and_imports_nothing(
    session: Session, settings: Settings, engine: Engine, message: str
) -> None:
    text = FAULTS[message]
    with pytest.raises(ImportFault) as refused:
        bring_in(session, settings, text)
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)
    session.rollback()
    assert not any(read_tables(engine).values())


def test_a_line_with_more_topics_than_anybody_may_have_is_refused(
    session: Session, settings: Settings
) -> None:
    names = ",".join(f"topic{n}" for n in range(MOST_TOPICS + 1))
    words = ",".join(f"word{n}" for n in range(MOST_TOPICS + 1))
    with pytest.raises(ImportFault, match="line 2: topic 'word20': At most 20 topics"):
        bring_in(session, settings, f"email,{names}\nada@example.org,{words}\n")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_lines_end_as_on_any_system(session: Session, settings: Settings, ending: str) -> None:
    assert bring_in(session, settings, WHOLE.replace("\n", ending)).added == 3


def test_a_short_line_takes_the_defaults(settings: Settings) -> None:
    (row,) = parse_import("email,topic,hour\nada@example.org\n", settings)
    assert (row.line, row.form) == (2, blank_sign_up(settings, "ada@example.org"))


@pytest.mark.slow
def test_thousands_are_imported_at_once(session: Session, settings: Settings) -> None:
    lines = "".join(f"reader{n}@example.org,cat:cs.CL,lora\n" for n in range(2500))
    assert bring_in(session, settings, f"email,topic1,topic2\n{lines}").added == 2500
    assert topics_of(session, "reader2400@example.org") == ["cat:cs.CL", "lora"]


@pytest.mark.parametrize("is_confirmed", [True, False])
def test_an_address_added_by_the_operator_is_confirmed_or_asked_to_confirm(
    session: Session, settings: Settings, is_confirmed: bool
) -> None:
    form = validate_sign_up(session, blank_sign_up(settings, "ada@example.org", ["lora"]))
    subscriber = add_subscriber(session, form, KEYS, NOW, is_confirmed=is_confirmed)
    assert subscriber is not None
    state = SubscriberState.ACTIVE if is_confirmed else SubscriberState.PENDING
    assert (subscriber.state, subscriber.email) == (state, "ada@example.org")
    mails = session.execute(select(func.count()).select_from(Delivery)).scalar_one()
    assert mails == (0 if is_confirmed else 1)


def test_a_known_suppressed_or_erased_address_is_not_added(
    session: Session, settings: Settings, engine: Engine
) -> None:
    form = validate_sign_up(session, blank_sign_up(settings, "ada@example.org"))
    subscriber = add_subscriber(session, form, KEYS, NOW, is_confirmed=True)
    assert subscriber is not None
    assert add_subscriber(session, form, KEYS, NOW, is_confirmed=True) is None
    erase(session, subscriber, KEYS, NOW)
    suppress_address(session, "joan@example.org", KEYS, "", NOW)
    session.commit()
    before = read_tables(engine)
    joan = validate_sign_up(session, blank_sign_up(settings, "joan@example.org"))
    for one in (form, joan):
        assert add_subscriber(session, one, KEYS, NOW, is_confirmed=True) is None
    session.commit()
    assert changed_tables(before, read_tables(engine)) == set()
    assert session.execute(select(Subscriber)).all() == []
