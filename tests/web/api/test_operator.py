"""The operator's part: what the commands do, by `PAPERBOY_API_KEY`, and nothing without it."""

import httpx2
from sqlalchemy import Engine
from support.newsletter.press import Turnable
from support.web.api import ApiReader
from support.web.papers import FRIDAY
from support.web.server import serve
from support.web.site import EnqueuedTasks, Subscribers

from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.web.api.operations import OPERATIONS, Part
from service.web.app import create_app

ROOT = "/api/v1/operator"


def test_status_and_balances_account_for_every_candidate(
    operator: httpx2.Client, reader: ApiReader
) -> None:
    status = operator.get(f"{ROOT}/status", params={"date": str(FRIDAY)}).json()
    (edition,) = status["editions"]
    assert (edition["states"], edition["candidate_count"], edition["closes"]) == (
        {"sent": 1},
        1,
        True,
    )
    assert status["batches"][0]["announced_count"] == 2
    (listed,) = operator.get(f"{ROOT}/editions").json()["editions"]
    assert listed.items() <= edition.items()
    number = edition["edition_id"]
    assert operator.get(f"{ROOT}/editions/{number}").json() == edition
    assert operator.get(f"{ROOT}/editions/{number + 1}").status_code == 404
    assert operator.get(f"{ROOT}/status", params={"date": "2026-02-30"}).status_code == 404


def test_subscribers_are_walked_by_a_cursor(
    operator: httpx2.Client, subscribers: Subscribers
) -> None:
    for number in range(5):
        subscribers.add(f"r{number}@example.org", "cats", is_confirmed=number != 2)
    address: str | None = f"{ROOT}/subscribers?state=active&limit=3"
    seen: list[str] = []
    for _ in range(2):
        answer = operator.get(str(address))
        seen += [each["email"] for each in answer.json()["items"]]
        address = answer.json()["next"]
    assert seen == [f"r{number}@example.org" for number in (4, 3, 1, 0)]
    assert address is None
    assert "link" not in answer.headers
    assert answer.json()["items"][0]["topics"][0]["query"] == "cats"


def test_an_address_is_suppressed_and_released(operator: httpx2.Client, reader: ApiReader) -> None:
    body = {"email": "Reader@example.org", "why": "asked by phone"}
    answers = [operator.post(f"{ROOT}/suppress", json=body).json() for _ in range(2)]
    assert [each["is_new"] for each in answers] == [True, False]
    assert operator.get(f"{ROOT}/subscribers?state=suppressed").json()["items"]
    codes = [
        operator.post(f"{ROOT}/release", json={"email": body["email"]}).status_code
        for _ in range(2)
    ]
    assert codes == [200, 404]
    wrong = operator.post(f"{ROOT}/release", json={"email": "nobody"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "email")


def codes_of(client: httpx2.Client) -> set[int]:
    """Return the statuses of all the operator's operations."""
    return {
        client.request(each.method, f"/api/v1{each.path.format(number=1)}", json={}).status_code
        for each in OPERATIONS
        if each.part is Part.OPERATOR
    }


def test_another_key_opens_nothing(web: httpx2.Client, reader: ApiReader) -> None:
    assert codes_of(web) == {401}
    for key in ("x", "\xfc", reader.token):
        web.headers = httpx2.Headers([(b"authorization", f"Bearer {key}".encode("latin-1"))])
        assert web.get(f"{ROOT}/status").status_code == 401


def test_there_is_no_such_part_without_a_key(
    settings: Settings, engine: Engine, clock: Turnable, enqueued: EnqueuedTasks
) -> None:
    app = create_app(settings, make_sessions(engine), enqueue=enqueued, clock=clock)
    with serve(app) as address, httpx2.Client(base_url=address) as client:
        assert codes_of(client) == {404}
