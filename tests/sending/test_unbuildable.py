"""Digests in the database that no mail can be built of: each fails alone, and the rest is sent."""

from typing import Any

import pytest
from pydantic_core import to_json
from sqlalchemy import text
from support.newsletter.press import PlannedTransport, Press, await_end_of_senders
from support.web.papers import FRIDAY

from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.packed_digests import PACKER
from service.operations.explain import find_subscriber_story
from service.sending.build_failures import MOST_UNBUILDABLE, Unbuildable
from service.sending.deliver import deliver, sweep

WHOLE: dict[str, Any] = {
    "reasons": [], "notes": [[0, 0]], "groups": [["Topic", 1, [1], [0]]], "cut": [], "updates": [],
    "also": [[], []],
}  # fmt: skip
HOSTILE: list[Any] = [
    [],
    {},
    7,
    "not JSON {",
    "[1, 2]",
    {"groups": 7},
    {**WHOLE, "groups": [["Topic", 1, [1], [5]]]},
    {**WHOLE, "groups": [["Topic", 1, [[1]], [0]]]},
    {**WHOLE, "groups": [["Topic", 1, [1], [0, 0]]]},
    {**WHOLE, "notes": [[0, 0, 3]]},
    {**WHOLE, "updates": [[1, "no such kind", ""]]},
    {**WHOLE, "also": None},
    {**WHOLE, "cut": [1, "one"]},
]
# Papers that do not exist are left out, as deleted ones are.
NO_SUCH_PAPERS = {**WHOLE, "groups": [["Topic", 1, [1, "one", 2**70, None], [0, 0, 0, 0]]]}  # fmt: skip


@pytest.fixture(autouse=True)
def address_of_the_operator(press: Press) -> None:
    press.settings = press.settings.model_copy(update={"alert_to": "ops@paperboy.example"})


def write_digest(press: Press, subscriber_id: int, digest: Any) -> None:
    with press.sessions.begin() as session:
        session.execute(
            text("UPDATE deliveries SET digest = :value WHERE subscriber_id = :id"),
            {"value": PACKER.pack(to_json(digest)), "id": subscriber_id},
        )


def alerts(press: Press) -> list[str]:
    return [row.occasion for row in press.rows() if row.kind == "operator_alert"]


def test_every_broken_digest_fails_alone_with_a_reason_and_one_alert(press: Press) -> None:
    broken = press.add_subscribers(*(f"broken{n}@example.org" for n in range(len(HOSTILE))))
    whole = press.add_subscribers(*(f"reader{n}@example.org" for n in range(20)))
    press.add_papers(1, 2)
    edition_id = press.publish()
    for subscriber_id, digest in zip(broken, HOSTILE, strict=True):
        write_digest(press, subscriber_id, digest)
    write_digest(press, whole[0], NO_SUCH_PAPERS)
    transport = PlannedTransport()
    report = deliver(press.sender(transport))
    assert report.failed == len(broken)
    rows = press.rows(edition_id)
    assert {row.subscriber_id for row in rows if row.state is DeliveryState.SENT} == set(whole)
    failed = [row for row in rows if row.state is DeliveryState.FAILED]
    assert {row.subscriber_id for row in failed} == set(broken)
    assert all(row.reason.startswith(("build: ", "render: ")) for row in failed)
    assert press.balance(edition_id).closes
    assert alerts(press) == [f"unbuildable {edition_id}"]
    # What `paperboy why` shows.
    secrets = press.settings.secret_key
    for number in range(len(HOSTILE)):
        found = find_subscriber_story(
            press.sessions, f"broken{number}@example.org", FRIDAY, secrets
        )
        assert found.story
        assert found.story.deliveries[0].reason == failed[number].reason


def test_where_no_mail_can_be_built_none_fails_and_the_operator_is_alerted_once(
    press: Press,
) -> None:
    count = MOST_UNBUILDABLE + 10
    subscribers = press.add_subscribers(*(f"reader{n}@example.org" for n in range(count)))
    press.add_papers(1, 2)
    edition_id = press.publish()
    whole = press.rows()[0].digest
    for subscriber_id in subscribers:
        write_digest(press, subscriber_id, {})
    for _ in range(2):
        with pytest.raises(Unbuildable, match=f"edition {edition_id}: build: KeyError"):
            deliver(press.sender(PlannedTransport()), edition_id)
        await_end_of_senders(press.sessions)
        sweep(press.sessions, press.clock())
        assert press.states(edition_id) == {"queued": count}
    assert alerts(press) == [f"unbuildable {edition_id}", f"unbuilt {edition_id}"]
    for subscriber_id in subscribers:
        write_digest(press, subscriber_id, whole)
    assert deliver(press.sender(PlannedTransport()), edition_id).sent == count
