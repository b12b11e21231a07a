"""Past the budget a visitor works or waits; nobody meets a wall because of somebody else."""

import html
import json
import re
from collections.abc import Callable

import altcha
import httpx2
import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session
from support.newsletter.press import Turnable
from support.web.site import EnqueuedTasks, Subscribers, count_rows

from service.deliveries.store.models import Delivery
from service.platform.signing.tokens import Purpose
from service.web.core.mail_gate import BUDGET, DOMAIN_BUDGET, KEPT_FOR_VISITORS

pytestmark = pytest.mark.settings(trusted_proxies=("127.0.0.1",))

EMAIL = "honest@example.org"


def post(web: httpx2.Client, email: str, number: int = 0, **fields: str) -> httpx2.Response:
    """Post a sign-up from the visitor of that number; each has a network of its own."""
    headers = {"X-Forwarded-For": f"10.{number // 256}.{number % 256}.7"}
    return web.post("/subscribe", data={"email": email, **fields}, headers=headers)


def form_token(web: httpx2.Client, clock: Turnable) -> str:
    found = re.search(r'name="token" value="([^"]+)"', web.get("/").text)
    assert found
    clock.forward(seconds=3)
    return found[1]


def hidden(page: httpx2.Response) -> dict[str, str]:
    pairs = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text)
    return {name: html.unescape(value) for name, value in pairs}


def solve(page: httpx2.Response) -> str:
    """Return the solution, as ALTCHA's own library finds it."""
    found = re.search(r'data-challenge="([^"]+)"', page.text)
    assert found
    challenge = altcha.Challenge.from_dict(json.loads(html.unescape(found[1])))
    solution = altcha.solve_challenge(challenge)
    assert solution
    return str(altcha.Payload(challenge, solution).to_base64())


def use_up(web: httpx2.Client) -> httpx2.Response:
    """Post as a script until it has to prove something; return that page."""
    for number in range(40):
        answer = post(web, f"flood{number}@flood{number}.example", 9)
        if answer.status_code == 429:
            return answer
    raise AssertionError


def test_a_flood_from_many_addresses_leaves_a_share_to_visitors_who_fetched_the_form(
    web: httpx2.Client, clock: Turnable, session: Session
) -> None:
    token = form_token(web, clock)
    codes = [
        post(web, f"r{n}@flood{n}.example", n).status_code
        for n in range(BUDGET - KEPT_FOR_VISITORS + 20)
    ]
    assert codes == [200] * (BUDGET - KEPT_FOR_VISITORS) + [429] * 20
    assert post(web, EMAIL, 999).status_code == 429
    assert post(web, EMAIL, 999, token=token).status_code == 200
    assert session.query(Delivery).count() == BUDGET - KEPT_FOR_VISITORS + 1
    clock.forward(minutes=61)
    assert post(web, "later@example.org", 998).status_code == 200, "the budget lapses"


def test_posts_that_queue_no_mail_cost_no_budget(web: httpx2.Client, session: Session) -> None:
    codes = {
        post(web, f"victim+{n}@gmail.com", n).status_code
        for n in range(BUDGET - KEPT_FOR_VISITORS + 20)
    }
    assert codes == {200}
    assert session.query(Delivery).count() == 1


def test_a_domain_has_a_budget_and_a_provider_of_mailboxes_has_none(
    web: httpx2.Client, session: Session
) -> None:
    codes = [post(web, f"r{n}@uni.example", n).status_code for n in range(DOMAIN_BUDGET + 1)]
    assert codes == [200] * DOMAIN_BUDGET + [429]
    assert post(web, "r@other.example", 998).status_code == 200
    codes = [post(web, f"r{n}@gmail.com", n).status_code for n in range(DOMAIN_BUDGET + 1)]
    assert set(codes) == {200}


def test_a_solved_challenge_passes_once_with_everything_that_was_typed(
    web: httpx2.Client, session: Session
) -> None:
    use_up(web)
    before = count_rows(session)
    page = post(
        web, EMAIL, 9, hour="9", topic="cats", timezone="Asia/Tokyo", timing="when_complete"
    )
    assert page.status_code == 429
    assert count_rows(session) == before
    fields = {**hidden(page), "altcha": solve(page)}
    assert (fields["email"], fields["hour"], fields["topic"]) == (EMAIL, "9", "cats")
    assert fields["timing"] == "when_complete"
    assert web.post("/subscribe", data=fields).status_code == 200
    assert count_rows(session)["topics"] == before["topics"] + 1
    again = post(web, "other@example.org", 9, altcha=fields["altcha"])
    assert again.status_code == 429


def spoil_signature(solution: str) -> str:
    payload = altcha.Payload.from_base64(solution)
    payload.challenge.parameters.cost = 1
    return str(payload.to_base64())


def spoil_key(solution: str) -> str:
    payload = altcha.Payload.from_base64(solution)
    payload.solution.derived_key = "00" * 32
    return str(payload.to_base64())


def solve_own(_: str) -> str:
    challenge = altcha.create_challenge("PBKDF2/SHA-256", 1, counter=1, hmac_secret="mine")
    solution = altcha.solve_challenge(challenge)
    assert solution
    return str(altcha.Payload(challenge, solution).to_base64())


@pytest.mark.parametrize(
    "spoil",
    [spoil_signature, spoil_key, solve_own, lambda _: "x", lambda _: "e30=", lambda _: "W10=",
     lambda _: "eyJjaGFsbGVuZ2UiOiB7InBhcmFtZXRlcnMiOiAxfX0="],
)  # fmt: skip
def test_a_forged_solution_does_not_pass(web: httpx2.Client, spoil: Callable[[str], str]) -> None:
    page = use_up(web)
    solution = solve(page)
    assert post(web, EMAIL, 9, altcha=spoil(solution)).status_code == 429
    assert post(web, EMAIL, 9, altcha=solution).status_code == 200


def test_an_old_solution_does_not_pass(web: httpx2.Client, clock: Turnable) -> None:
    solution = solve(use_up(web))
    clock.forward(minutes=31)
    assert post(web, EMAIL, 9, altcha=solution).status_code == 429


def test_without_a_script_the_button_works_after_a_wait_once_and_for_this_address(
    web: httpx2.Client, clock: Turnable, session: Session
) -> None:
    use_up(web)
    page = post(web, EMAIL, 9)
    assert "Please wait 30 seconds, then press the button" in page.text
    assert page.headers["Retry-After"] == "30"
    clock.forward(seconds=10)
    early = post(web, **{**hidden(page), "number": 9})  # type: ignore[arg-type]
    assert early.status_code == 429
    assert "Please wait 20 seconds" in early.text
    assert hidden(early)["wait"] == hidden(page)["wait"], "pressing early costs nothing"
    clock.forward(seconds=20)
    before = session.query(Delivery).count()
    other = {**hidden(early), "email": "other@example.org"}
    assert web.post("/subscribe", data=other).status_code == 200, "another visitor"
    assert post(web, **{**other, "number": 9}).status_code == 429  # type: ignore[arg-type]
    assert post(web, **{**hidden(early), "number": 9}).status_code == 200  # type: ignore[arg-type]
    assert post(web, **{**hidden(early), "number": 9}).status_code == 429  # type: ignore[arg-type]
    session.rollback()
    assert session.query(Delivery).count() == before + 2


def test_a_visitor_who_needs_many_proofs_waits_longer_and_no_one_else_does(
    web: httpx2.Client, clock: Turnable
) -> None:
    use_up(web)
    waits = [int(post(web, EMAIL, 9).headers["Retry-After"]) for _ in range(25)]
    assert waits[0] == 30
    assert waits[-1] == max(waits) == 900
    codes = [post(web, f"b{n}@b{n}.example", 10).status_code for n in range(31)]
    assert codes[-1] == 429
    assert post(web, "c@c.example", 10).headers["Retry-After"] == "30"
    clock.forward(minutes=1)


def test_the_link_form_has_the_same_way_through(
    web: httpx2.Client, subscribers: Subscribers, session: Session, clock: Turnable
) -> None:
    subscribers.add("reader@example.org")
    clock.forward(hours=2)
    use_up(web)
    headers = {"X-Forwarded-For": "10.0.9.7"}
    page = web.post("/link", data={"email": "reader@example.org"}, headers=headers)
    assert page.status_code == 429
    fields = {**hidden(page), "altcha": solve(page)}
    before = session.query(Delivery).count()
    assert web.post("/link", data=fields, headers=headers).status_code == 200
    session.rollback()
    assert session.query(Delivery).count() == before + 1


def test_the_holder_of_an_old_link_has_a_way_through(
    web: httpx2.Client, subscribers: Subscribers, session: Session, clock: Turnable
) -> None:
    subscriber = subscribers.add(EMAIL, is_confirmed=False)
    old = f"/confirm/{subscribers.token(Purpose.CONFIRM, subscriber.id)}"
    clock.forward(days=8)
    headers = {"X-Forwarded-For": "10.0.9.7"}
    token = form_token(web, clock)
    for number in range(60):
        data = {"email": f"a{number}@a{number}.example", "token": token}
        assert web.post("/link", data=data, headers=headers).status_code == 200
    page = web.post("/link", data={"old": old}, headers=headers)
    assert page.status_code == 429
    fields = {**hidden(page), "altcha": solve(page)}
    before = session.query(Delivery).count()
    assert web.post("/link", data=fields, headers=headers).status_code == 200
    session.rollback()
    assert session.query(Delivery).count() == before + 1


@pytest.mark.parametrize("path", ["/subscribe", "/link"])
def test_the_statements_before_the_answer_are_the_same_for_every_state(
    web: httpx2.Client, engine: Engine, subscribers: Subscribers, enqueued: EnqueuedTasks, path: str
) -> None:
    subscribers.add("active@example.org")
    subscribers.add("pending@example.org", is_confirmed=False)
    left = subscribers.add("left@example.org")
    never = subscribers.add("never@example.org", is_confirmed=False)
    web.post(f"/unsubscribe/{subscribers.token(Purpose.UNSUBSCRIBE, left.id)}")
    web.post(f"/never/{subscribers.token(Purpose.NEVER, never.id)}")
    enqueued.settle = lambda: None
    done: dict[str, list[str]] = {}
    for name in ("unknown", "pending", "active", "left", "never"):
        statements = done.setdefault(name, [])

        def note(
            _c: object, _u: object, statement: str, *_: object, to: list[str] = statements
        ) -> None:
            to.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        try:
            assert web.post(path, data={"email": f"{name}@example.org"}).status_code == 200
        finally:
            event.remove(engine, "before_cursor_execute", note)
    assert done["unknown"]
    assert all(statements == done["unknown"] for statements in done.values())
    assert not any("FROM subscribers" in each for each in done["unknown"])


def test_the_confirmation_page_offers_the_sign_ups_of_an_address(
    web: httpx2.Client, subscribers: Subscribers, clock: Turnable
) -> None:
    subscriber = subscribers.add(EMAIL, "cats", is_confirmed=False)
    link = f"/confirm/{subscribers.token(Purpose.CONFIRM, subscriber.id)}"
    assert "signed up several times" not in web.get(link).text
    clock.forward(minutes=1)
    post(web, EMAIL, 1, topic="dogs", hour="9", timezone="Asia/Tokyo")
    page = web.get(link)
    assert "signed up several times" in page.text
    assert "dogs, every day at 09:00, Tokyo time" in page.text
    values = re.findall(r'name="sign_up" value="(\d*)"( checked)?', page.text)
    assert [checked for _, checked in values] == [" checked", ""]
    assert "09:00, Tokyo time" in web.post(link, data={"sign_up": values[1][0]}).text
