"""Subscribers added by the operator, or imported from files of other programs."""

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, func, select
from sqlalchemy.orm import Session
from support.newsletter.stored import changed_tables, list_uncompiled, read_tables

from service.deliveries.domain.recipients import Cadence, SubscriberState, SuppressionReason, Timing
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.models import Delivery
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.subscribers.bulk_import import (
    ImportChoices,
    ImportReport,
    add_subscriber,
    blank_sign_up,
    import_file,
)
from service.subscribers.export import export_subscriber
from service.subscribers.import_file import ImportFault, inspect_file
from service.subscribers.lifecycle import erase, pause, suppress_address, unsubscribe
from service.subscribers.sign_up import request_subscription
from service.subscribers.store.models import Consent, Subscriber
from service.subscribers.store.subscribers import (
    find_by_email,
    get_named_topics,
    get_topics,
    list_subscribers,
)
from service.subscribers.store.suppressions import find_reason
from service.subscribers.validate import validate_sign_up
from service.topics.domain.ready_made import READY_FIELDS
from service.topics.store.topics import list_topics
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
BringIn = Callable[..., ImportReport]

pytestmark = pytest.mark.settings(secret_key=KEYS)


@pytest.fixture(autouse=True)
def _every_topic_is_compiled(engine: Engine) -> Iterator[None]:
    yield
    assert list_uncompiled(engine) == []


@pytest.fixture
def bring_in(engine: Engine, settings: Settings, tmp_path: Path) -> BringIn:
    """Return a function that imports a text or bytes as a file."""

    def run(
        content: str | bytes,
        *,
        is_confirmed: bool | None = None,
        is_dry_run: bool = False,
        has_checked_lists: bool = False,
    ) -> ImportReport:
        file = tmp_path / "readers.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        choices = ImportChoices(
            blank_sign_up(settings, ""),
            tmp_path / "rejected.csv",
            is_confirmed,
            is_dry_run,
            has_checked_lists,
        )
        source = inspect_file(file)
        return import_file(make_sessions(engine), settings, source, choices, NOW, lambda *_: None)

    return run


def rejected(report: ImportReport) -> list[tuple[int, str, str]]:
    """Return the rows of the report file: line, address, reason."""
    if report.report is None:
        return []
    text = Path(report.report).read_text(encoding="utf-8-sig")
    head, *rows = csv.reader(text.splitlines())
    assert head == ["line", "email", "reason"]
    return [(int(line), email, reason) for line, email, reason in rows]


def states(session: Session) -> dict[str, str]:
    """Return address -> state of all rows."""
    session.expire_all()
    return {row.email: str(row.state) for row in list_subscribers(session)}


def topics_of(session: Session, email: str) -> list[str]:
    subscriber = find_by_email(session, email)
    assert subscriber is not None
    return [text for text, _ in get_topics(session, [subscriber.id]).get(subscriber.id, [])]


def confirmations(session: Session) -> set[str]:
    """Return the addresses to which a confirmation mail is queued."""
    rows = select(Subscriber.email).join(Delivery, Delivery.subscriber_id == Subscriber.id)
    return set(session.scalars(rows.where(Delivery.kind == DeliveryKind.CONFIRMATION)))


def test_a_file_becomes_subscribers_with_topics_in_their_order(
    session: Session, bring_in: BringIn
) -> None:
    report = bring_in(WHOLE, is_confirmed=True)
    assert (report.format, report.added, report.rejected) == ("Paperboy", {"active": 3}, 0)
    assert report.report is None
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
    assert ada.confirmed_at == NOW
    assert [
        (c.action, c.page) for c in session.scalars(select(Consent).filter_by(subscriber_id=ada.id))
    ] == [("confirmed", "operator")]
    assert session.execute(select(func.count()).select_from(Delivery)).scalar_one() == 0


def test_a_file_may_name_its_topics(session: Session, bring_in: BringIn) -> None:
    ready = READY_FIELDS[0].topics[0]
    query = ready.query.replace('"', '""')
    bring_in(
        "email,topic1,topic_name1,topic2,topic3\n"
        f'ada@example.org,cats OR dogs,Pets,"{query}","""prompt tuning"" cat:cs.CL"\n'
        "bo@example.org,cats OR dogs|birds,|Wings,cats OR dogs -birds,\n"
    )
    named = get_named_topics(session, [each.id for each in list_subscribers(session)])
    assert [[topic.name for topic in topics] for topics in named.values()] == [
        ["Pets", ready.name, "Prompt tuning in cs.CL"],
        ["Cats, dogs", "Wings", "Cats, dogs (2)"],
    ]


def test_people_without_proof_are_sent_one_confirmation_that_lives_as_long_as_its_link(
    session: Session, bring_in: BringIn
) -> None:
    assert bring_in(WHOLE).added == {"pending": 3}
    mails = session.scalars(select(Delivery)).all()
    assert confirmations(session) == {f"{name}@example.org" for name in ("ada", "grace", "hedy")}
    assert {(mail.send_not_after - mail.due_at).days for mail in mails} == {7}
    bring_in(WHOLE)
    assert len(session.scalars(select(Delivery)).all()) == 3


def test_the_same_file_twice_changes_nothing_and_says_who_was_there(
    bring_in: BringIn, engine: Engine
) -> None:
    bring_in(WHOLE, is_confirmed=True)
    before = read_tables(engine)
    changed = WHOLE.replace("weekly", "daily").replace("cat:cs.CL", "cat:cs.LG")
    report = bring_in(changed, is_confirmed=True)
    assert (report.added, report.known) == ({}, {"active": 3})
    assert changed_tables(before, read_tables(engine)) == set()


def test_a_dry_run_counts_the_same_and_changes_nothing(bring_in: BringIn, engine: Engine) -> None:
    before = read_tables(engine)
    # The last address comes again in another chunk.
    text = "email\n" + "".join(f"reader{n % 2100}@example.org\n" for n in range(2500))
    tried = bring_in(text, is_dry_run=True)
    assert changed_tables(before, read_tables(engine)) == set()
    done = bring_in(text)
    assert (tried.added, tried.known) == (done.added, done.known)
    assert done.added == {"pending": 2100}
    assert done.known == {"pending": 400}


def test_suppressed_erased_and_unsubscribed_people_stay_so(
    session: Session, bring_in: BringIn
) -> None:
    bring_in(WHOLE, is_confirmed=True)
    suppress_address(session, "ada@example.org", KEYS, "asked", NOW)
    grace, hedy = (find_by_email(session, f"{name}@example.org") for name in ("grace", "hedy"))
    assert grace is not None
    assert hedy is not None
    unsubscribe(session, grace.id, "/unsubscribe", NOW)
    erase(session, hedy, KEYS, NOW)
    session.commit()
    more = f"{WHOLE}HEDY@example.org,,,,,\njoan@example.org,,,,,\nJoan@Example.org,x,,,,\n"
    report = bring_in(more, is_confirmed=True)
    assert report.added == {"active": 1}
    assert report.known == {"suppressed": 3, "unsubscribed": 1, "active": 1}
    assert states(session) == {
        "ada@example.org": "suppressed",
        "grace@example.org": "unsubscribed",
        "joan@example.org": "active",
    }
    assert topics_of(session, "joan@example.org") == []


BAD = {
    "the hour": (2, "a@example.org,25,,", "The hour is a whole number"),
    "no address": (2, "nobody,,,", "This is not an email address"),
    "an empty address": (2, ",7,,", "This is not an email address"),
    "the zone": (2, "a@example.org,,Asia/Nowhere,", "No time zone is called 'Asia/Nowhere'"),
    "a topic": (2, "a@example.org,,,(tree", "topic '(tree': "),
    "a common word": (2, "a@example.org,,,the", "topic 'the': "),
    "too many fields": (2, "a@example.org,,,x,y", "more fields than columns"),
    "a loose quote": (2, '"a@example.org"x,,,', "not CSV: "),
    "behind a row of two lines": (4, '"c@example.org",,,"x\ny"\nnobody,,,', "This is not an"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_row_is_named_and_the_others_are_taken(
    session: Session, bring_in: BringIn, what: str
) -> None:
    line, row, reason = BAD[what]
    report = bring_in(f"email,hour,timezone,topic\n{row}\nb@example.org,6,,\n", is_confirmed=True)
    assert report.rejected == 1
    ((found, _, text),) = rejected(report)
    assert found == line
    assert text.startswith(reason)
    assert states(session)["b@example.org"] == "active"
    assert report.report is not None
    assert Path(report.report).stat().st_mode & 0o777 == 0o600


def test_the_report_is_a_new_file_of_its_owner_and_runs_nothing_in_a_spreadsheet(
    bring_in: BringIn, tmp_path: Path
) -> None:
    report = tmp_path / "rejected.csv"
    report.write_text("of the previous run")
    report.chmod(0o644)
    bad = 'email\n"=HYPERLINK(""http://evil.example"")"\n"\t@sum"\n'
    bring_in(bad)
    assert report.stat().st_mode & 0o777 == 0o600
    rows = csv.reader(report.read_text(encoding="utf-8-sig").splitlines())
    assert [email for _, email, _ in rows][1:] == [' =HYPERLINK("http://evil.example")', " @sum"]
    mine = tmp_path / "mine"
    mine.write_text("mine")
    report.unlink()
    report.symlink_to(mine)
    bring_in(bad)
    assert (mine.read_text(), report.is_symlink()) == ("mine", False)


@pytest.mark.parametrize("kind", ["the file itself", "a link to it", "no file"])
def test_a_report_never_replaces_the_import_file_or_a_device(
    bring_in: BringIn, tmp_path: Path, kind: str, engine: Engine
) -> None:
    report = tmp_path / "rejected.csv"
    if kind == "no file":
        os.mkfifo(report)
    elif kind == "a link to it":
        report.symlink_to(tmp_path / "readers.csv")
    else:
        (tmp_path / "readers.csv").touch()
        report.hardlink_to(tmp_path / "readers.csv")
    with pytest.raises(ImportFault, match="give --report another name"):
        bring_in("email\nnobody\n")
    assert (tmp_path / "readers.csv").read_text() == "email\nnobody\n"
    assert not any(read_tables(engine).values())


def test_an_open_quote_costs_its_own_line_only(session: Session, bring_in: BringIn) -> None:
    rows = "".join(f"reader{n}@example.org,x\n" for n in range(500))
    report = bring_in(f'email,topic\na@example.org,"open\n{rows}', is_confirmed=True)
    assert rejected(report) == [(2, "", "not CSV: a quote is not closed")]
    assert report.added == {"active": 500}
    report = bring_in('email,topic\nb@example.org,"open\nc@example.org,x\n', is_confirmed=True)
    assert [row[0] for row in rejected(report)] == [2]
    assert states(session)["c@example.org"] == "active"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("name\nAda\n", "line 1: the first line must name the columns"),
        ("", "line 1: the first line must name the columns"),
        (b"PK\x03\x04\xff\xfe", "this is a zip archive or a spreadsheet"),
        (b"email\n\x00\x00\x00a", "this is not text"),
        ("[{", "line 1: not JSON"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_imports_nothing(
    bring_in: BringIn, engine: Engine, content: str | bytes, reason: str
) -> None:
    with pytest.raises(ImportFault, match=reason) as refused:
        bring_in(content)
    assert "\n" not in str(refused.value)
    assert not any(read_tables(engine).values())


def test_a_row_with_more_topics_than_anybody_may_have_is_rejected(bring_in: BringIn) -> None:
    words = "|".join(f"word{n}" for n in range(MOST_TOPICS + 1))
    report = bring_in(f"email,topics\nada@example.org,{words}\n")
    assert "topic 'word20': At most 20 topics" in rejected(report)[0][2]


def test_a_bar_between_quotes_is_part_of_a_topic(session: Session, bring_in: BringIn) -> None:
    bring_in(
        'email;topics\nada@example.org;\'lora|""tree|graph"" OR fish||bird\'\n'.replace("'", '"')
    )
    assert topics_of(session, "ada@example.org") == ["lora", '"tree|graph" OR fish', "bird"]


TABLE = 'email,topic,topic_2,Topics\nada@example.org,äther,,"lora|graph"\n'
ENCODED = {
    "UTF-8": TABLE.encode(),
    "with a byte order mark": TABLE.encode("utf-8-sig"),
    "UTF-16, as Excel's Unicode text": TABLE.replace(",", "\t").encode("utf-16"),
    "UTF-16 without a mark": TABLE.encode("utf-16-le"),
    "Windows-1252": TABLE.encode("cp1252"),
    "a byte that Windows-1252 lacks": TABLE.encode("cp1252") + b"\x81\n",
    "CRLF": TABLE.replace("\n", "\r\n").encode(),
    "CR": TABLE.replace("\n", "\r").encode(),
    "semicolons": TABLE.replace(",", ";").encode("utf-8-sig"),
    "tabs": TABLE.replace(",", "\t").encode(),
    "Excel's own first line": ("sep=;\n" + TABLE.replace(",", ";")).encode(),
    "two columns of one name": TABLE.replace("topic_2", "topic").encode(),
    "blank lines first": b"\n\n" + TABLE.encode(),
    "topics on two lines": TABLE.replace("|", "\n").encode(),
    "a name around the address": TABLE.replace("ada@example.org", "Ada <ada@example.org>").encode(),
    "E-Mail Address": TABLE.replace("email", "E-Mail Address").encode(),
}


@pytest.mark.parametrize("how", ENCODED)
def test_files_are_read_as_programs_write_them(
    session: Session, bring_in: BringIn, how: str
) -> None:
    assert bring_in(ENCODED[how]).added == {"pending": 1}
    assert topics_of(session, "ada@example.org") == ["äther", "lora", "graph"]


WRONG_BYTES = {
    "behind UTF-8": "email,topic\na@example.org,äther\nb@example.org,\udce4\nc@example.org,grün\n",
    "before UTF-8": "email,topic\nb@example.org,lora\nx@example.org,\udce4\na@example.org,äther\n",
    "behind a mark": "\ufeffemail,topic\nb@example.org,lora\nc@example.org,\udce4\n",
    "of plain addresses": "a@example.org\nÄda <b@example.org>\n\udce4 <c@example.org>, d@example.org\n",
    "in the last line": "email,topic\na@example.org,äther\nb@example.org,\udcc3",
}


@pytest.mark.parametrize("where", WRONG_BYTES)
def test_a_wrong_byte_in_utf8_costs_its_own_row_only(
    session: Session, bring_in: BringIn, where: str
) -> None:
    report = bring_in(WRONG_BYTES[where].encode(errors="surrogateescape"))
    assert [(line, reason) for line, _, reason in rejected(report)] == [
        (3, "a byte that is not UTF-8, unlike the rest of the file")
    ]
    topics = {text for email in states(session) for text in topics_of(session, email)}
    assert topics <= {"äther", "grün", "lora"}


def test_a_wrong_byte_in_json_or_in_the_names_of_columns_is_named(
    session: Session, bring_in: BringIn
) -> None:
    for text in ('{"ä": 1}\n{"\udce4": 1}\n', '[{"ä": "\udce4"}]'):
        report = bring_in(text.encode(errors="surrogateescape"))
        assert (report.rejected, report.added) == (text.count("{"), {})
        assert rejected(report)
    with pytest.raises(ImportFault, match="it is: nämes,\ufffd"):
        bring_in("nämes,\udce4\n".encode(errors="surrogateescape"))


def test_plain_addresses_are_taken_one_a_line(session: Session, bring_in: BringIn) -> None:
    text = (
        "ada@example.org\n"
        "Grace Hopper <grace@example.org>\n"
        '"Lamarr, Hedy" <hedy@example.org>; joan@example.org\n'
        "\n"
        "not an address\n"
    )
    report = bring_in(text)
    assert (report.format, report.added) == ("plain addresses", {"pending": 4})
    assert [(line, email) for line, email, _ in rejected(report)] == [(5, "not an address")]
    assert confirmations(session) == set(states(session))


LISTMONK = (
    "uuid,email,name,attributes,status,created_at,updated_at\n"
    'f1,ada@example.org,Ada,"{""city"": ""Bath""}",enabled,2023-01-02 15:04:05.123456789 +0000 UTC,x\n'
    "f2,grace@example.org,Grace,{},disabled,2023-01-02 15:04:05 +0000 UTC,x\n"
    "f3,hedy@example.org,Hedy,{},blocklisted,2023-01-02 15:04:05 +0000 UTC,x\n"
    "f4,joan@example.org,Joan,{},perhaps,2023-01-02 15:04:05 +0000 UTC,x\n"
)


def test_listmonk_never_makes_a_blocklisted_person_active(
    session: Session, bring_in: BringIn
) -> None:
    report = bring_in(LISTMONK, is_confirmed=True, has_checked_lists=True)
    assert report.format == "listmonk"
    assert report.added == {"active": 1, "unsubscribed": 1}
    assert report.suppressed == {"operator": 1}
    assert [row[:2] for row in rejected(report)] == [(5, "joan@example.org")]
    assert states(session) == {"ada@example.org": "active", "grace@example.org": "unsubscribed"}
    assert find_reason(session, "hedy@example.org", KEYS) is SuppressionReason.OPERATOR
    ada = find_by_email(session, "ada@example.org")
    assert ada is not None
    assert ada.created_at == datetime(2023, 1, 2, 15, 4, 5, 123456, tzinfo=UTC)


MAILCHIMP = "Email Address,First Name,MEMBER_RATING,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,TIMEZONE"
SUBSCRIBED = (
    f"{MAILCHIMP},LAST_CHANGED,TAGS\n"
    'ada@example.org,Ada,2,2018-02-05 19:28:23,,2018-02-05 19:30:00,Europe/Berlin,,"""A"",""B"""\n'
    "grace@example.org,Grace,2,2018-02-05 19:28:23,,,nowhere,,\n"
)
LEFT = (
    f"{MAILCHIMP},UNSUB_TIME,UNSUB_REASON\n"
    "hedy@example.org,,,2018-02-05 19:28:23,,2018-02-05 19:30:00,,2020-05-13 10:18:25,NORMAL\n"
    "joan@example.org,,,2018-02-05 19:28:23,,,,2020-05-13 10:18:25,Abuse complaint\n"
)
CLEANED = (
    f"{MAILCHIMP},CLEAN_TIME\n"
    "mary@example.org,,1,2018-02-05 19:28:23,,2018-02-05 19:30:00,,2020-03-23 17:30:05\n"
    "anne@example.org,,1,2018-02-05 19:28:23,,2018-02-05 19:30:00,,\n"
)


def test_the_three_files_of_mailchimp(session: Session, bring_in: BringIn) -> None:
    reports = [bring_in(text) for text in (SUBSCRIBED, LEFT, CLEANED)]
    assert {report.format for report in reports} == {"Mailchimp"}
    assert reports[0].added == {"active": 1, "pending": 1}
    assert (reports[1].added, reports[1].suppressed) == ({"unsubscribed": 1}, {"complaint": 1})
    assert (reports[2].added, reports[2].suppressed) == ({}, {"hard_bounce": 2})
    assert states(session) == {
        "ada@example.org": "active",
        "grace@example.org": "pending",
        "hedy@example.org": "unsubscribed",
    }
    ada = find_by_email(session, "ada@example.org")
    assert ada is not None
    assert ada.confirmed_at == datetime(2018, 2, 5, 19, 30, tzinfo=UTC)
    assert ada.timezone == "Europe/Berlin"
    (consent,) = session.scalars(select(Consent).filter_by(subscriber_id=ada.id))
    assert (consent.action, consent.page) == ("confirmed", "import from Mailchimp")
    assert consent.created_at == ada.confirmed_at
    assert confirmations(session) == {"grace@example.org"}
    assert bring_in(LEFT.replace("\n", "\r\n")).known == {"unsubscribed": 1, "suppressed": 1}


@pytest.mark.parametrize("word", ["confirmed", "pending", "paused", "active", "unsubscribed"])
def test_no_word_brings_back_somebody_who_left_by_another_column(
    session: Session, bring_in: BringIn, word: str
) -> None:
    """Also a column STATUS that somebody added in Mailchimp: it may worsen a state, not mend it."""
    for text, suppressed in ((LEFT, {"complaint": 1}), (CLEANED, {"hard_bounce": 2})):
        head, *rows = text.splitlines()
        more = "\n".join([f"{head},STATUS", *(f"{row},{word}" for row in rows)])
        assert bring_in(more, is_confirmed=True).suppressed == suppressed
    bring_in(f"email,status,unsubscribed_at\nbo@example.org,{word},2025-03-04\n", is_confirmed=True)
    assert states(session) == dict.fromkeys(("hedy@example.org", "bo@example.org"), "unsubscribed")
    assert confirmations(session) == set()


def test_a_word_of_somebodys_own_column_may_worsen_a_state_and_prove_nothing(
    session: Session, bring_in: BringIn
) -> None:
    head, first, second = SUBSCRIBED.splitlines()
    bring_in(f"{head},STATUS\n{first},unsubscribed\n{second},confirmed\n")
    assert states(session) == {"ada@example.org": "unsubscribed", "grace@example.org": "pending"}


def test_substack_by_its_switch_for_mail_not_by_payment(
    session: Session, bring_in: BringIn
) -> None:
    text = (
        "email,active_subscription,expiry,plan,email_disabled,created_at,first_payment_at\n"
        "ada@example.org,true,2027-01-01T00:00:00.000Z,yearly,false,2024-01-15T10:00:00.000Z,\n"
        "grace@example.org,false,,other,false,2024-01-15T10:00:00.000Z,\n"
        "hedy@example.org,true,,yearly,true,2024-01-15T10:00:00.000Z,\n"
    )
    report = bring_in(text, is_confirmed=True)
    assert report.format == "Substack"
    assert report.added == {"active": 2, "unsubscribed": 1}
    assert states(session)["hedy@example.org"] == "unsubscribed"


def test_ghost_by_its_newsletters(session: Session, bring_in: BringIn) -> None:
    text = (
        "id,email,name,note,subscribed_to_emails,complimentary_plan,stripe_customer_id,created_at,"
        "deleted_at,labels,tiers\r\n"
        '1,ada@example.org,Ada,"a note,\r\nof two lines",true,false,,2024-03-01T09:30:00.000Z,,,\r\n'
        "2,grace@example.org,Grace,,false,false,,2024-03-01T09:30:00.000Z,,,\r\n"
        "3,hedy@example.org,Hedy,,true,false,,2024-03-01T09:30:00.000Z,2025-01-01T00:00:00Z,,\r\n"
        "4,joan@example.org,Joan,,,false,,2024-03-01T09:30:00.000Z,,,\r\n"
    )
    report = bring_in(text)
    assert report.format == "Ghost"
    assert report.added == {"active": 1, "unsubscribed": 2, "pending": 1}
    assert states(session)["joan@example.org"] == "pending"


def test_an_unsubscribed_person_is_never_mailed_and_may_sign_up_again(
    session: Session, settings: Settings, bring_in: BringIn
) -> None:
    bring_in("email,state\nada@example.org,unsubscribed\n", is_confirmed=True)
    assert confirmations(session) == set()
    form = validate_sign_up(session, blank_sign_up(settings, "ada@example.org"))
    request_subscription(session, form, KEYS, NOW)
    session.commit()
    assert states(session) == {"ada@example.org": "unsubscribed"}
    assert confirmations(session) == {"ada@example.org"}


def test_somebody_who_left_elsewhere_and_is_subscribed_here_is_named(
    session: Session, bring_in: BringIn
) -> None:
    bring_in("hedy@example.org\n", is_confirmed=True)
    report = bring_in(LEFT)
    assert (report.differing, report.rejected, report.known) == (1, 0, {"active": 1})
    ((line, email, reason),) = rejected(report)
    assert (line, email) == (2, "hedy@example.org")
    assert reason.startswith("active here and unsubscribed in the file: stays as it is")
    assert states(session)["hedy@example.org"] == "active"


def test_the_operator_may_ask_everybody_again(session: Session, bring_in: BringIn) -> None:
    assert bring_in(SUBSCRIBED, is_confirmed=False).added == {"pending": 2}
    assert confirmations(session) == {"ada@example.org", "grace@example.org"}


def populate(session: Session, bring_in: BringIn) -> list[dict[str, object]]:
    """Store a subscriber in every state and return the exports of all."""
    bring_in(WHOLE, is_confirmed=True)
    bring_in("joan@example.org\nmary@example.org\nanne@example.org\n")
    ada, grace, hedy, joan = (
        find_by_email(session, f"{name}@example.org") for name in ("ada", "grace", "hedy", "joan")
    )
    assert ada is not None
    assert grace is not None
    assert hedy is not None
    assert joan is not None
    pause(ada, NOW.date(), NOW, catches_up=True)
    grace.has_suggestions, grace.locale = False, "de-AT"
    grace.timing, grace.full_cards = Timing.WHEN_COMPLETE, 25
    grace.cadence, grace.max_papers, grace.weekly_topics_on = Cadence.MONTHLY, 12, 3
    session.flush()
    for topic in list_topics(session, grace.id):
        topic.is_weekly, topic.at_least = True, 4
    unsubscribe(session, hedy.id, "/unsubscribe", NOW)
    suppress_address(session, "joan@example.org", KEYS, "asked", NOW)
    session.commit()
    return [export_subscriber(session, row) for row in list_subscribers(session)]


def comparable(session: Session) -> list[tuple[object, ...]]:
    """Return all that an import must keep of every subscriber."""
    session.expire_all()
    left_out = {"id", "link_key", "gap_since"}
    columns = [c.name for c in Subscriber.__mapper__.columns if c.name not in left_out]
    rows = sorted(list_subscribers(session), key=lambda row: row.email_key)
    consents = Counter(
        (row.subscriber_id, row.action, row.text_version, row.page, row.created_at)
        for row in session.scalars(select(Consent))
    )
    return [
        (
            *(getattr(row, name) for name in columns),
            tuple(topics_of(session, row.email)),
            tuple((one.is_weekly, one.at_least) for one in list_topics(session, row.id)),
            tuple(sorted(one[1:] for one in consents.elements() if one[0] == row.id)),
        )
        for row in rows
    ]


@pytest.mark.parametrize("is_array", [False, True])
def test_an_export_makes_the_same_subscribers_in_an_empty_installation(
    session: Session, bring_in: BringIn, engine: Engine, is_array: bool
) -> None:
    exports = populate(session, bring_in)
    before = comparable(session)
    session.rollback()
    with engine.begin() as connection:
        connection.exec_driver_sql("TRUNCATE subscribers, suppressions, deliveries CASCADE")
    text = json.dumps(exports) if is_array else "\n".join(map(json.dumps, exports))
    report = bring_in(text)
    assert (report.format, report.rejected) == ("Paperboy", 0)
    assert comparable(session) == before
    assert find_reason(session, "joan@example.org", KEYS) is SuppressionReason.OPERATOR
    again = bring_in(text)
    assert (again.added, sum(again.known.values())) == ({}, len(exports))


def test_a_bad_line_of_an_export_is_named(session: Session, bring_in: BringIn) -> None:
    exports = populate(session, bring_in)
    lines = [json.dumps({**exports[0], "subscriber": {"email": 7}}), "{", json.dumps(exports[0])]
    report = bring_in("\n".join(lines))
    assert [line for line, _, _ in rejected(report)] == [1, 2]
    assert sum(report.known.values()) == 1


@pytest.mark.parametrize("character", ["\0", "\ud800"])
def test_a_text_that_postgresql_cannot_store_is_named(
    session: Session, bring_in: BringIn, character: str
) -> None:
    export = populate(session, bring_in)[0]
    report = bring_in(json.dumps(export | {"topics": [{"query": f"a{character}b"}]}))
    assert rejected(report) == [(1, "", "a character that cannot be stored (NUL)")]


def test_the_statements_of_a_chunk_do_not_grow_with_its_rows(
    bring_in: BringIn, engine: Engine
) -> None:
    """Counted, since a timed test would say little; `bench/imports.py` has the seconds."""
    counts: list[int] = []

    def count(*_: object) -> None:
        counts[-1] += 1

    event.listen(engine, "before_cursor_execute", count)
    for size in (1, 1000):
        counts.append(0)
        rows = "".join(f"reader{size}.{n}@example.org,word{n},\n" for n in range(size))
        more = f"left{size}@example.org,x,unsubscribed\nblocked{size}@example.org,x,blocklisted\n"
        bring_in(f"email,topic,state\n{more}{rows}")
    # A thousand and two rows are two transactions.
    assert counts[1] <= 2 * counts[0]
    assert counts[0] < 40


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
