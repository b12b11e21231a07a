"""`/admin`: only for the operator; changes need a confirmation and a CSRF token."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta

import httpx2
import pytest
import redis
from sqlalchemy import Engine
from support.newsletter.accounts_world import fill_accounts
from support.newsletter.press import SILENCE, PlannedTransport, Press
from support.web.server import serve
from support.web.site import EnqueuedTasks

from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.deliveries import insert_mail
from service.operations.dashboard import describe_relays
from service.papers.domain.crawl_delay import RateLimited
from service.papers.store.crawl_gate import SharedRateLimiter
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.sending.deliver import deliver
from service.sending.domain.warm_up import FIRST_LIMIT
from service.sending.watermark_files import watermark_paths
from service.web.app import create_app
from service.web.core.rate_limits import WRONG_PASSWORDS, SignUpLimits

PASSWORD = "a long password: of the operator's"
ANNE = "anne@example.org"


pytestmark = pytest.mark.settings(admin_password=PASSWORD)


@pytest.fixture
def enqueued() -> EnqueuedTasks:
    return EnqueuedTasks()


@pytest.fixture
def site(press: Press, engine: Engine, enqueued: EnqueuedTasks) -> Iterator[str]:
    app = create_app(press.settings, make_sessions(engine), enqueue=enqueued, clock=press.clock)
    with serve(app) as address:
        yield address


@pytest.fixture
def operator(site: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=site, auth=("me", PASSWORD), timeout=20) as client:
        yield client


@pytest.fixture
def stranger(site: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=site, timeout=20) as client:
        yield client


@pytest.fixture
def doubtful(press: Press) -> int:
    """An edition whose only digest is in doubt."""
    press.add_subscribers(ANNE)
    press.add_papers(1)
    edition_id = press.publish()
    deliver(press.sender(PlannedTransport(lambda _: SILENCE)))
    return edition_id


@pytest.mark.settings(admin_password=PASSWORD, warm_up_days=14)
def test_the_front_page_says_who_waits_while_a_new_domain_warms_up(
    press: Press, operator: httpx2.Client
) -> None:
    press.add_subscribers(*(f"reader{n}@gmail.com" for n in range(FIRST_LIMIT + 3)))
    press.add_papers(1)
    press.publish()
    deliver(press.sender(PlannedTransport()))
    page = operator.get("/admin").text
    assert "day 1 of 14 on which it sends, up to 50 mails to each provider" in page
    assert "Held for <strong>gmail</strong>: 3 digests until" in page


def token_in(page: httpx2.Response) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


PAGES: dict[str, Callable[[httpx2.Client], httpx2.Response]] = {
    "overview": lambda web: web.get("/admin"),
    "edition": lambda web: web.get("/admin/editions/1"),
    "no such edition": lambda web: web.get("/admin/editions/99999999999999999999"),
    "answer": lambda web: web.post("/admin/editions/1/resolve", data={"answer": "resend"}),
    "list": lambda web: web.get("/admin/subscribers"),
    "export": lambda web: web.get("/admin/subscribers.csv"),
    "search": lambda web: web.post("/admin/subscribers", data={"q": "no@example.org"}),
    "subscriber": lambda web: web.get("/admin/subscribers/1"),
    "preview": lambda web: web.get("/admin/subscribers/1/preview.html"),
    "data": lambda web: web.get("/admin/subscribers/1/export"),
    "unsubscribe": lambda web: web.post("/admin/subscribers/1", data={"answer": "unsubscribe"}),
    "edit": lambda web: web.post("/admin/subscribers/1/edit", data={"hour": "3"}),
    "add": lambda web: web.post("/admin/subscribers/new", data={"email": "b@example.org"}),
    "gates": lambda web: web.post("/admin/gates", data={"answer": "arxiv.org", "sure": "yes"}),
    "sending": lambda web: web.post("/admin/sending", data={"answer": "pause", "sure": "yes"}),
    "restored": lambda web: web.post("/admin/restored", data={"sure": "yes"}),
}


@pytest.mark.parametrize("name", PAGES)
def test_without_the_password_every_page_is_a_401_without_data(
    stranger: httpx2.Client, press: Press, doubtful: int, name: str
) -> None:
    answer = PAGES[name](stranger)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert "This is for the operator" in answer.text
    assert ANNE not in answer.text
    assert press.states(doubtful) == {"in_doubt": 1}


@pytest.mark.settings(admin_password="")
@pytest.mark.parametrize("name", PAGES)
def test_without_a_configured_password_every_page_is_a_404(web: httpx2.Client, name: str) -> None:
    assert PAGES[name](web).status_code == 404
    web.auth = ("me", "")
    assert PAGES[name](web).status_code == 404


@pytest.mark.parametrize("name", PAGES)
def test_no_page_is_cached_or_indexed(operator: httpx2.Client, doubtful: int, name: str) -> None:
    headers = PAGES[name](operator).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-robots-tag"] == "noindex"


def test_during_a_flood_of_wrong_passwords_the_right_one_opens_at_once(
    site: str, operator: httpx2.Client, stranger: httpx2.Client
) -> None:
    def guess(number: int) -> int:
        wrong = ("me", f"{PASSWORD}{number}")
        return httpx2.get(f"{site}/admin", auth=wrong, timeout=60).status_code

    # More than the threads that serve pages.
    with ThreadPoolExecutor(60) as pool:
        wait([pool.submit(guess, n) for n in range(WRONG_PASSWORDS.amount)])
        flood = [pool.submit(guess, n) for n in range(60)]
        assert operator.get("/admin").status_code == 200
        assert stranger.get("/").status_code == 200
        # Each waits for seconds meanwhile.
        assert sum(guessing.done() for guessing in flood) < 30
        assert {guessing.result() for guessing in flood} == {401}
    assert operator.get("/admin").status_code == 200
    # A request without credentials is asked for them, and not counted.
    assert stranger.get("/admin").status_code == 401


@pytest.mark.parametrize("is_away", [False, True])
def test_wrong_passwords_of_all_addresses_are_counted_together(
    redis_url: str, *, is_away: bool
) -> None:
    url = "redis://127.0.0.1:1/0" if is_away else redis_url
    one, other = SignUpLimits(url), SignUpLimits(url)
    delays = [one.count_wrong_password() for _ in range(WRONG_PASSWORDS.amount + 5)]
    assert delays == [0, 0, 0, 0.25, 0.5, 1, 2, *[4.0] * (len(delays) - 7)]
    # A second web process joins in, unless what they share is away.
    assert other.count_wrong_password() == (0 if is_away else 4)
    one.close()
    other.close()


def test_the_overview_shows_editions_queue_providers_and_bounces(
    operator: httpx2.Client, press: Press
) -> None:
    edition_id = fill_accounts(press)
    text = operator.get("/admin").text
    assert f'<a href="/admin/editions/{edition_id}">Daily, Tue 22 Sep</a>' in text
    assert "17 sent, 7 waiting, 3 in doubt or carried over, 5 refused or bounced, 1 skipped" in text
    assert "10 address or mailbox, 10 policy, content or configuration" in text
    assert "<strong>outlook</strong>" in text
    assert "at 2.5 a second" in text
    assert "<dt>Hard bounce</dt><dd>9</dd>" in text
    assert "The balance does not close" not in text
    assert "@" not in re.sub(r"<style.*?</style>", "", text).replace("&#64;", "@")


def test_an_edition_page_shows_balance_retries_failures_and_doubts(
    operator: httpx2.Client, press: Press
) -> None:
    edition_id = fill_accounts(press)
    text = operator.get(f"/admin/editions/{edition_id}").text
    assert "The balance closes." in text
    assert "7 digests, the next at Tue 22 Sep, 05:" in text
    assert "552 5.3.4 Message too big for system" in text
    assert "1 mail at lab.example since Tue 22 Sep, 05:00 UTC" in text
    assert operator.get("/admin/editions/0").status_code == 404


def test_a_resolution_needs_confirmation_and_is_idempotent(
    operator: httpx2.Client, press: Press, doubtful: int, enqueued: EnqueuedTasks
) -> None:
    path = f"/admin/editions/{doubtful}"
    form = {"token": token_in(operator.get(path)), "answer": "resend"}
    question = operator.post(f"{path}/resolve", data=form)
    assert "a second copy" in question.text
    assert press.states(doubtful) == {"in_doubt": 1}
    done = operator.post(
        f"{path}/resolve", data={**form, "token": token_in(question), "sure": "yes"}
    )
    assert "1 mail: the operator asked for it to be sent again." in done.text
    assert press.states(doubtful) == {"queued": 1}
    assert enqueued.tasks == [("deliver",), ("deliver_urgent",)]
    again = operator.post(f"{path}/resolve", data={**form, "sure": "yes"})
    assert "0 mails" in again.text
    assert len(enqueued.tasks) == 2


@pytest.mark.parametrize(
    "forged", [{"token": ""}, {"token": "x.y"}, {"answer": "lost"}, {"answer": ""}]
)
def test_a_form_that_is_not_ours_changes_nothing(
    operator: httpx2.Client, press: Press, doubtful: int, forged: dict[str, str]
) -> None:
    path = f"/admin/editions/{doubtful}"
    form = {"token": token_in(operator.get(path)), "answer": "sent", "sure": "yes"}
    assert operator.post(f"{path}/resolve", data={**form, **forged}).status_code == 404
    # A token is valid for one edition only, and expires after some hours.
    assert operator.post("/admin/editions/99/resolve", data=form).status_code == 404
    press.clock.forward(hours=3)
    assert operator.post(f"{path}/resolve", data=form).status_code == 410
    assert press.states(doubtful) == {"in_doubt": 1}


def test_transactional_mail_in_doubt_can_be_resolved(operator: httpx2.Client, press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    now = press.clock()
    with press.sessions.begin() as session:
        insert_mail(session, DeliveryKind.WELCOME, anne, "first", now, now + timedelta(hours=5))
    deliver(press.sender(PlannedTransport(lambda _: SILENCE)))
    page = operator.get("/admin")
    assert "Transactional mail in doubt" in page.text
    form = {"token": token_in(page), "answer": "sent", "sure": "yes"}
    carry = operator.post("/admin/editions/0/resolve", data={**form, "answer": "carry"})
    assert carry.status_code == 404
    assert "1 mail: " in operator.post("/admin/editions/0/resolve", data=form).text
    assert press.row().state == "sent"


def test_a_restored_backup_is_reported_and_accepted_after_confirmation(
    operator: httpx2.Client, press: Press, enqueued: EnqueuedTasks
) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    deliver(press.sender(PlannedTransport()))
    beside, _ = watermark_paths(press.settings.data_dir)
    beside.write_text(beside.read_text().replace('"attempt": 1', '"attempt": 2'))
    page = operator.get("/admin")
    assert "it was restored from a backup" in page.text
    form = {"token": token_in(page)}
    question = operator.post("/admin/restored", data=form)
    assert "Was the database restored from a backup?" in question.text
    assert operator.post("/admin/restored", data={"sure": "yes"}).status_code == 404
    assert "it was restored from a backup" in operator.get("/admin").text
    done = operator.post("/admin/restored", data={"token": token_in(question), "sure": "yes"})
    assert "0 mails in doubt; sending resumes." in done.text
    assert "it was restored from a backup" not in operator.get("/admin").text
    assert enqueued.tasks == [("deliver",), ("deliver_urgent",)]


def test_lost_marks_are_answered_on_the_page(
    operator: httpx2.Client, press: Press, enqueued: EnqueuedTasks
) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    sent_at = press.clock()
    deliver(press.sender(PlannedTransport()))
    press.clock.forward(minutes=10)

    def lose_marks() -> str:
        watermark_paths(press.settings.data_dir)[0].unlink()
        with redis.Redis.from_url(press.settings.redis_url) as client:
            client.flushdb()
        page = operator.get("/admin")
        assert "no sent mark of it is left" in page.text
        return token_in(page)

    def answer(**form: str) -> httpx2.Response:
        question = operator.post("/admin/restored", data=form)
        hidden = re.search(r'name="answer" value="([^"]*)"', question.text)
        assert hidden
        sure = {"token": token_in(question), "answer": hidden[1], "sure": "yes"}
        return operator.post("/admin/restored", data=sure)

    token = lose_marks()
    early = answer(token=token, until=f"{sent_at - timedelta(hours=1):%Y-%m-%dT%H:%M}")
    assert early.status_code == 422
    assert "This database has mail that was sent by" in early.text
    assert answer(token=token, until="soon").status_code == 422
    assert "no sent mark of it is left" in operator.get("/admin").text
    assert enqueued.tasks == []
    done = answer(token=token, until=f"{press.clock():%Y-%m-%dT%H:%M}")
    assert "0 mails in doubt; sending resumes." in done.text
    assert "no sent mark of it is left" not in operator.get("/admin").text
    newest = answer(token=lose_marks(), answer="nothing lost")
    assert "Nothing is in doubt; sending resumes." in newest.text
    assert "no sent mark of it is left" not in operator.get("/admin").text
    assert enqueued.tasks == [("deliver",), ("deliver_urgent",)] * 2


def test_relays_are_named_without_their_credentials(settings: Settings) -> None:
    urls = (
        "smtps://user:hush@relay.example.org",
        "smtp://user:hush@b.example.org?starttls=required",
    )
    lines = describe_relays(settings.model_copy(update={"smtp_url": urls}))
    assert [(line.name, line.security) for line in lines] == [
        ("relay.example.org:465", "TLS"),
        ("b.example.org:587", "STARTTLS required"),
    ]


def test_a_closed_gate_is_shown_and_opened_after_a_question(
    operator: httpx2.Client, engine: Engine
) -> None:
    gate = SharedRateLimiter(engine)
    gate.report("https://rss.arxiv.org/rss/cs.CL", 403, None)
    page = operator.get("/admin")
    assert "<strong>rss.arxiv.org</strong> answered HTTP 403 on " in page.text
    assert "no request is sent to it until " in page.text
    form = {"token": token_in(page), "answer": "rss.arxiv.org"}
    question = operator.post("/admin/gates", data=form)
    assert "Settle it with rss.arxiv.org first." in question.text
    with pytest.raises(RateLimited):
        gate.wait("https://rss.arxiv.org/rss/cs.CL")
    form |= {"token": token_in(question), "sure": "yes"}
    assert "rss.arxiv.org is asked again" in operator.post("/admin/gates", data=form).text
    gate.wait("https://rss.arxiv.org/rss/cs.CL")
    assert "answered HTTP 403" not in operator.get("/admin").text
    assert "It is open already." in operator.post("/admin/gates", data=form).text
