"""`/admin/subscribers`: list, search, paging, export, add, edit, pause, unsubscribe, preview."""

import csv
import re
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.orm import Session
from support.newsletter.press import PlannedTransport, Press, dump_tables, plain_text
from support.web.operator import PASSWORD, token_in
from support.web.site import EnqueuedTasks

from service.deliveries.domain.recipients import Cadence, SubscriberState, Timing
from service.sending.deliver import deliver
from service.subscribers.bulk_import import ImportChoices, blank_sign_up, import_file
from service.subscribers.import_file import inspect_file
from service.subscribers.lifecycle import suppress_address
from service.subscribers.store.directory import PAGE_SIZE, SubscriberFilter, list_page

ANNE = "anne@example.org"

pytestmark = pytest.mark.settings(admin_password=PASSWORD)


def addresses(page: httpx2.Response) -> list[str]:
    return re.findall(r'<td><a href="/admin/subscribers/\d+">([^<]+)</a>', page.text)


def without_tokens(text: str) -> str:
    return re.sub(r"[\w.~-]{24,}", "TOKEN", text)


def state_of(press: Press, number: int) -> str:
    with press.sessions() as session:
        query = text("SELECT state FROM subscribers WHERE id = :id")
        return str(session.execute(query, {"id": number}).scalar_one())


def test_an_exact_address_leads_to_the_subscriber_and_stays_out_of_urls(
    operator: httpx2.Client, anne: int, press: Press
) -> None:
    found = operator.post("/admin/subscribers", data={"q": f" {ANNE.upper()} "})
    assert found.url.path == f"/admin/subscribers/{anne}"
    assert f"<h1>{ANNE}</h1>" in found.text
    assert "confirmed by the operator" in found.text
    unknown = operator.post("/admin/subscribers", data={"q": "gone@example.org"})
    assert (unknown.status_code, unknown.url.query) == (404, b"")
    assert "No reader has this address.</p>" in unknown.text
    with press.sessions.begin() as session:
        keys = press.settings.secret_key
        suppress_address(session, "gone@example.org", keys, "asked", press.clock())
    suppressed = operator.post("/admin/subscribers", data={"q": "gone@example.org"})
    assert "No reader has this address. It is suppressed: operator." in suppressed.text


def test_a_part_of_an_address_or_topic_leads_to_a_list(
    operator: httpx2.Client, anne: int, press: Press
) -> None:
    press.add_subscribers("bert@uni.example", topics=("sparse 100%",))
    assert addresses(operator.post("/admin/subscribers", data={"q": "NNE@"})) == [ANNE]
    assert addresses(operator.post("/admin/subscribers", data={"q": "Tree"})) == [ANNE]
    assert addresses(operator.post("/admin/subscribers", data={"q": "100%"})) == [
        "bert@uni.example"
    ]
    press.change(anne, state=SubscriberState.PAUSED)
    assert addresses(operator.get("/admin/subscribers", params={"state": "paused"})) == [ANNE]
    assert (
        addresses(operator.get("/admin/subscribers", params={"q": "a", "state": "pending"})) == []
    )
    hostile = operator.get("/admin/subscribers", params={"q": "<script>alert(1)"})
    assert "<script>alert" not in hostile.text


def test_the_list_is_paged_both_ways_with_three_statements_a_page(
    operator: httpx2.Client, press: Press, engine: Engine
) -> None:
    emails = [f"reader{number:03}@example.org" for number in range(2 * PAGE_SIZE + 5)]
    press.add_subscribers(*emails)
    statements: list[str] = []
    event.listen(
        engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2])
    )
    first = operator.get("/admin/subscribers")
    assert len(statements) == 3
    assert addresses(first) == emails[::-1][:PAGE_SIZE]
    pages = [first]
    while older := re.search(r'href="([^"]+)">Older', pages[-1].text):
        pages.append(operator.get(older[1].replace("&amp;", "&")))
    assert [address for page in pages for address in addresses(page)] == emails[::-1]
    newer = re.search(r'href="([^"]+)">Newer', pages[2].text)
    assert newer is not None
    back = operator.get(newer[1].replace("&amp;", "&"))
    assert addresses(back) == addresses(pages[1])
    assert ">Newer<" not in first.text
    assert ">Older<" not in pages[2].text


def test_a_page_is_a_walk_of_an_index_however_many_subscribers_there_are(
    press: Press, session: Session
) -> None:
    press.add_subscribers(*(f"reader{number}@example.org" for number in range(3000)))
    session.execute(text("UPDATE subscribers SET state = 'paused' WHERE id % 50 = 0"))
    session.commit()
    session.execute(text("ANALYZE subscribers"))
    # As our servers have it: for spinning disks the planner would rather sort these few rows.
    session.execute(text("SET random_page_cost = 1.1"))
    plans: list[str] = []
    engine = session.get_bind()

    def explain(
        connection: Connection, _cursor: object, statement: str, given: Any, *_: object
    ) -> None:
        if statement.startswith("SELECT"):
            found = connection.exec_driver_sql(f"EXPLAIN {statement}", given)
            plans.append("\n".join(found.scalars()))

    event.listen(engine, "before_cursor_execute", explain)
    for state in (None, SubscriberState.PAUSED):
        page = list_page(session, SubscriberFilter(state=state), before=2900)
        assert len(page.subscribers) == PAGE_SIZE
    event.remove(engine, "before_cursor_execute", explain)
    assert "Index Scan Backward using pk_subscribers" in plans[0]
    assert "Index Scan Backward using ix_subscribers_state_id" in plans[1]
    assert "Sort" not in "".join(plans)


def test_the_export_holds_the_filtered_and_can_be_imported(
    operator: httpx2.Client, press: Press, session: Session, tmp_path: Path
) -> None:
    press.add_subscribers(ANNE, topics=("graph tree", "-survey cat:cs.CL"), hour=5)
    (other,) = press.add_subscribers(
        "=cmd@uni.example", topics=('"trees|graphs" OR lora',), cadence=Cadence.WEEKLY
    )
    press.change(
        other, state=SubscriberState.PAUSED, paused_until=date(2027, 1, 31), has_ai_summaries=False,
        timing=Timing.WHEN_COMPLETE,
    )  # fmt: skip
    answer = operator.get("/admin/subscribers.csv")
    assert answer.headers["content-disposition"].endswith('"paperboy-subscribers.csv"')
    rows = list(csv.DictReader(StringIO(answer.text)))
    assert [row["email"] for row in rows] == [ANNE, " =cmd@uni.example"]
    assert [rows[0][name] for name in ("state", "hour", "topic1", "topic2")] == [
        "active", "5", "graph tree", " -survey cat:cs.CL",
    ]  # fmt: skip
    assert [(row["ai_summaries"], row["paused_until"]) for row in rows] == [
        ("yes", ""), ("no", "2027-01-31"),
    ]  # fmt: skip
    assert [row["timing"] for row in rows] == ["at_hour", "when_complete"]
    some = operator.get("/admin/subscribers.csv", params={"q": "graph tree"}).text
    assert [row["email"] for row in csv.DictReader(StringIO(some))] == [ANNE]
    session.execute(text("TRUNCATE subscribers CASCADE"))
    session.commit()
    file = tmp_path / "subscribers.csv"
    file.write_text(answer.text, encoding="utf-8")
    blank = blank_sign_up(press.settings, "")
    choices = ImportChoices(blank, tmp_path / "rejected.csv", is_confirmed=True)
    report = import_file(
        press.sessions, press.settings, inspect_file(file), choices, press.clock(), lambda *_: None
    )
    assert (sum(report.added.values()), report.rejected) == (2, 0)
    again = operator.get("/admin/subscribers.csv").text
    assert sorted(again.splitlines()) == sorted(answer.text.splitlines())


def test_one_subscribers_data_is_a_json_file(operator: httpx2.Client, anne: int) -> None:
    answer = operator.get(f"/admin/subscribers/{anne}/export")
    assert answer.json()["subscriber"]["email"] == ANNE
    assert f"paperboy-subscriber-{anne}.json" in answer.headers["content-disposition"]


def test_a_subscriber_is_added_with_or_without_a_confirmation(
    operator: httpx2.Client, press: Press, enqueued: EnqueuedTasks
) -> None:
    form = {
        "token": token_in(operator.get("/admin/subscribers/new")),
        "email": "new@example.org",
        "topic": ["graph", ""],
        "comes": ["at least 2", "at once"],
        "cadence": "weekly",
        "hour": "6",
        "timezone": "Europe/Berlin",
        "confirmed": ["no", "yes"],
    }
    done = operator.post("/admin/subscribers/new", data=form)
    assert "Added." in done.text
    assert "requested by the operator ada on /admin" in done.text
    assert "Active. Once a week, on Mondays at 06:00, Europe/Berlin" in done.text
    assert "<code>graph</code> (at least 2)" in done.text
    again = operator.post("/admin/subscribers/new", data=form)
    assert again.status_code == 422
    assert "subscribed already or suppressed; nothing was changed" in again.text
    asked = operator.post(
        "/admin/subscribers/new", data={**form, "email": "two@example.org", "confirmed": "no"}
    )
    assert "Pending." in asked.text
    assert enqueued.tasks == [("deliver_urgent",)] * 2
    wrong = operator.post("/admin/subscribers/new", data={**form, "topic": "(", "hour": "25"})
    assert wrong.status_code == 422
    assert 'id="topic-fault-0"' in wrong.text
    assert 'id="hour-fault"' in wrong.text
    nowhere = operator.post("/admin/subscribers/new", data={**form, "timezone": ""})
    assert nowhere.status_code == 422
    assert ">Write a large city near you, such as Berlin.<" in nowhere.text


def test_a_pause_a_return_and_an_end_are_in_the_story(
    operator: httpx2.Client, anne: int, press: Press
) -> None:
    path = f"/admin/subscribers/{anne}"
    token = token_in(operator.get(path))
    late = operator.post(path, data={"token": token, "answer": "pause", "until": "2026-09-18"})
    assert (late.status_code, state_of(press, anne)) == (422, "active")
    assert "A pause ends after today" in late.text
    paused = operator.post(path, data={"token": token, "answer": "pause", "until": "2026-10-01"})
    assert "Paused until Thursday 1 October 2026." in paused.text
    assert "paused until 2026-10-01 by the operator ada on /admin" in paused.text
    resumed = operator.post(path, data={"token": token, "answer": "resume"})
    assert "resumed by the operator ada on /admin" in resumed.text
    question = operator.post(path, data={"token": token, "answer": "unsubscribe"})
    assert "Unsubscribe this reader?" in question.text
    assert state_of(press, anne) == "active"
    form = {"token": token_in(question), "answer": "unsubscribe", "sure": "yes"}
    ended = operator.post(path, data=form)
    assert "unsubscribed by the operator ada on /admin" in ended.text
    assert "Nothing was changed." in operator.post(path, data=form).text
    assert state_of(press, anne) == "unsubscribed"


@pytest.mark.parametrize("token", ["", "x.y", "of an edition"])
def test_a_form_that_is_not_ours_changes_nothing(
    operator: httpx2.Client, anne: int, press: Press, token: str
) -> None:
    if token == "of an edition":
        token = token_in(operator.get("/admin"))
    for path, form in {
        f"/admin/subscribers/{anne}": {"answer": "unsubscribe", "sure": "yes"},
        f"/admin/subscribers/{anne}/edit": {"hour": "3", "cadence": "daily", "timezone": "UTC"},
        "/admin/subscribers/new": {"email": "new@example.org"},
    }.items():
        assert operator.post(path, data={**form, "token": token}).status_code == 404
    assert state_of(press, anne) == "active"
    assert operator.get("/admin/subscribers/999").status_code == 404
    assert operator.get("/admin/subscribers/99999999999999999999").status_code == 422


def test_the_preview_is_the_exact_mail_and_changes_nothing(
    operator: httpx2.Client, anne: int, press: Press
) -> None:
    press.add_papers(1)
    press.change(anne, cadence=Cadence.DAILY)
    (bert,) = press.add_subscribers("bert@example.org")
    before = dump_tables(press.sessions)
    page = operator.get(f"/admin/subscribers/{bert}/preview")
    assert "This is what the mail would be now." in page.text
    message = operator.get(f"/admin/subscribers/{bert}/preview.eml").content
    assert "Parsing number 1" in plain_text(message)
    html = operator.get(f"/admin/subscribers/{bert}/preview.html")
    assert "Parsing number 1" in html.text
    assert "sandbox" in html.headers["content-security-policy"]
    assert (
        "There would be no mail: empty." in operator.get(f"/admin/subscribers/{anne}/preview").text
    )
    assert dump_tables(press.sessions) == before
    press.publish()
    transport = PlannedTransport()
    deliver(press.sender(transport))
    (mail,) = transport.sent
    # Only the signed links differ, which name the delivery.
    assert without_tokens(plain_text(message)) == without_tokens(plain_text(mail.payload))
    sent = operator.get(f"/admin/subscribers/{bert}/preview")
    assert "This is the mail of this edition; it is sent." in sent.text


def test_a_weekly_subscribers_next_digest_is_next_mondays(
    operator: httpx2.Client, press: Press
) -> None:
    (weekly,) = press.add_subscribers("lena@example.org", cadence=Cadence.WEEKLY)
    press.add_papers(1)
    page = operator.get(f"/admin/subscribers/{weekly}/preview")
    assert "Digest of Mon 21 Sep for" in page.text
    assert "This is what the mail would be now." in page.text


def test_a_form_of_hours_ago_says_that_nothing_was_changed(
    operator: httpx2.Client, press: Press
) -> None:
    question = operator.post(
        "/admin/sending", data={"token": token_in(operator.get("/admin")), "answer": "pause"}
    )
    token = token_in(question)
    press.clock.forward(hours=5)
    late = operator.post("/admin/sending", data={"token": token, "answer": "pause", "sure": "yes"})
    assert late.status_code == 410
    assert "Nothing was changed. Reload the page, and press once more." in late.text
    assert "All sending is paused since" not in operator.get("/admin").text


def test_all_sending_is_paused_and_resumed_on_the_overview(
    operator: httpx2.Client, press: Press, enqueued: EnqueuedTasks
) -> None:
    page = operator.get("/admin")
    form = {"token": token_in(page), "answer": "pause"}
    question = operator.post("/admin/sending", data=form)
    assert "no digests, no confirmations, no alerts" in question.text
    assert "All sending is paused since" not in operator.get("/admin").text
    assert (
        operator.post("/admin/sending", data={**form, "token": "", "sure": "yes"}).status_code
        == 404
    )
    operator.post("/admin/sending", data={**form, "token": token_in(question), "sure": "yes"})
    assert "by the operator ada on /admin: no digest" in operator.get("/admin").text
    assert "paperboy_sending_paused 1.0" in operator.get("/metrics").text
    sent = operator.post("/subscribe", data={"email": "new@example.org"})
    assert "Sending is paused at the moment" in sent.text
    operator.post("/admin/sending", data={**form, "answer": "resume"})
    assert "All sending is paused" not in operator.get("/admin").text
    assert enqueued.tasks[-2:] == [("deliver",), ("deliver_urgent",)]
    assert (
        "Sending is paused" not in operator.post("/subscribe", data={"email": "b@example.org"}).text
    )
