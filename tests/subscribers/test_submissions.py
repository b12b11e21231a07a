"""Submitted papers: read as names, five a day, looked up once at their source and nowhere else."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from support.newsletter.press import Press
from support.servers.loopback_http import LoopbackHttp, Request
from support.sources.open_gate import OpenGate

from service.papers.domain.types import AnnounceType
from service.papers.sources.arxiv_api import ArxivApi
from service.papers.sources.biorxiv import Biorxiv
from service.papers.sources.http_fetch import Caller, Fetcher
from service.papers.store.models import Paper
from service.platform.database.engine import transaction
from service.subscribers.domain.submitted import SubmissionFault, parse_submitted, servers_for
from service.subscribers.domain.types import SubmissionState
from service.subscribers.lifecycle import erase
from service.subscribers.settle_submissions import settle_submissions
from service.subscribers.store.models import Submission, Subscriber
from service.subscribers.submissions import Submitted, TooManySubmissions, submit

ENTRY = """<entry><id>http://arxiv.org/abs/{id}v2</id><title>Paper {id}</title><published>{on}T10:00:00Z</published>
<summary>Abstract.</summary><author><name>Ada Lovelace</name></author><category term="cs.RO"/></entry>"""
DOI = "10.1101/2026.09.11.123456"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (" 2609.00007v3 ", "arxiv:2609.00007"),
        ("https://arxiv.org/pdf/2609.00007v1?x=1", "arxiv:2609.00007"),
        ("https://huggingface.co/papers/2609.00007", "arxiv:2609.00007"),
        ("https://doi.org/10.48550/arXiv.2609.00007", "arxiv:2609.00007"),
        (f"https://www.biorxiv.org/content/{DOI}v2.full.pdf", f"doi:{DOI}"),
        (f"medrxiv.org/content/{DOI}v1", f"doi:{DOI}"),
        (f"doi:{DOI}", f"doi:{DOI}"),
    ],
)
def test_a_name_is_read_from_an_id_a_doi_and_a_link(text: str, name: str) -> None:
    assert parse_submitted(text) == name


@pytest.mark.parametrize("text", ["", "cats", "http://169.254.169.254/latest", "9" * 600])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(SubmissionFault):
        parse_submitted(text)


@given(st.text(max_size=80) | st.from_regex(r"https?://[a-z0-9./:@\[\]]{1,60}", fullmatch=True))
def test_whatever_is_typed_only_a_plain_name_is_asked_for(text: str) -> None:
    try:
        name = parse_submitted(text)
    except SubmissionFault:
        return
    if servers_for(name, ("arxiv", "biorxiv")):
        assert name.partition(":")[2].replace(".", "").replace("/", "").replace("-", "").isalnum()
        assert ".." not in name


def give(press: Press, subscriber_id: int, text: str, **settings: bool) -> Submitted:
    here = press.settings.model_copy(update={"sources": ("arxiv", "biorxiv"), **settings})
    with transaction(press.sessions) as session:
        subscriber = session.get_one(Subscriber, subscriber_id)
        return submit(session, here, subscriber, text, press.clock())


def test_five_a_day_for_each_mailbox_and_the_same_paper_only_once(press: Press) -> None:
    one, other, friend = press.add_subscribers("r@lab.example", "r+2@lab.example", "f@lab.example")
    stored = press.add_papers(1)
    first = press.clock()
    assert give(press, one, "2609.00001").paper_id == stored["arxiv:2609.00001"]
    for number in range(2, 6):
        assert give(press, one, f"2609.{number:05}").is_new
        press.clock.forward(hours=1)
    assert give(press, other, "2609.00006").is_new
    for text in ("2609.00002", "arXiv:2609.00002v4"):
        again = give(press, other, text)
        assert (again.is_new, again.submission is None) == (False, False)
    with pytest.raises(TooManySubmissions) as refused:
        give(press, other, "2609.00007")
    assert refused.value.from_at == first + timedelta(hours=24)
    assert give(press, friend, "2609.00007").is_new
    press.clock.forward(hours=20)
    assert give(press, one, "2609.00008").is_new
    for text in ("10.1000/journal.7", "10.1101/../../etc"):
        with pytest.raises(SubmissionFault, match="No source of this site"):
            give(press, one, text)
    with pytest.raises(SubmissionFault, match="switched off"):
        give(press, one, "2609.00009", submissions=False)


def test_of_many_submissions_at_once_a_mailbox_has_five_and_a_paper_one_row(press: Press) -> None:
    ids = press.add_subscribers("r@lab.example", "r+2@lab.example", "r+3@lab.example")
    texts = [f"2609.0000{number}" for number in range(1, 9)]
    tries = [(ids[n % 3], texts[n // 3]) for n in range(24)]
    barrier = Barrier(len(tries))

    def race(one: tuple[int, str]) -> bool:
        barrier.wait()
        try:
            return give(press, *one).is_new
        except TooManySubmissions:
            return False

    with ThreadPoolExecutor(len(tries)) as pool:
        assert sum(pool.map(race, tries)) == 5
    assert len(states(press)) == 5


def states(press: Press) -> dict[str, SubmissionState]:
    with press.sessions() as session:
        rows = session.execute(select(Submission.name, Submission.state))
        return {name: state for name, state in rows}  # noqa: C416  # mypy does not take rows for pairs


def settle(press: Press, http: LoopbackHttp) -> int:
    fetcher = Fetcher(Caller(timeout_seconds=5), OpenGate())
    settings = press.settings.model_copy(update={"sources": ("arxiv", "biorxiv")})
    api, preprints = ArxivApi(f"{http.url}/query", fetcher), [Biorxiv(http.url, fetcher)]
    return settle_submissions(press.sessions, settings, api, preprints, press.clock())


def answer_arxiv(http: LoopbackHttp, papers: Sequence[tuple[str, str]]) -> None:
    entries = "".join(ENTRY.format(id=number, on=on) for number, on in papers)
    http.routes["/query"] = (
        200,
        {},
        f'<feed xmlns="http://www.w3.org/2005/Atom">{entries}</feed>'.encode(),
    )


def test_a_worker_asks_the_source_once_and_says_what_came_of_it(
    press: Press, loopback_http: LoopbackHttp
) -> None:
    one, other = press.add_subscribers("a@one.example", "b@two.example")
    for subscriber, text in (
        (one, "2609.00007"),
        (other, "2609.00007"),
        (one, "2607.00001"),
        (one, "2609.09999"),
        (one, DOI),
        (one, "2609.00003"),
    ):
        assert give(press, subscriber, text).is_new
    press.add_papers(3)
    answer_arxiv(loopback_http, [("2609.00007", "2026-09-15"), ("2607.00001", "2026-07-01")])

    def answer_biorxiv(request: Request) -> tuple[int, dict[str, str], bytes]:
        row = '{"doi": "%s", "title": "Preprint", "abstract": "A.", "authors": "Naka, A.", "version": "%d", '
        rows = ", ".join(
            row % (DOI, version) + f'"date": "2026-09-1{version}", "category": "genomics"}}'
            for version in (1, 2)
        )
        return 200, {}, f'{{"messages": [{{"status": "ok"}}], "collection": [{rows}]}}'.encode()

    loopback_http.routes[f"/details/biorxiv/{DOI}/na/json"] = answer_biorxiv
    assert settle(press, loopback_http) == 2
    assert states(press) == {
        "arxiv:2609.00007": SubmissionState.ADDED,
        "arxiv:2607.00001": SubmissionState.TOO_OLD,
        "arxiv:2609.09999": SubmissionState.UNKNOWN,
        f"doi:{DOI}": SubmissionState.ADDED,
        "arxiv:2609.00003": SubmissionState.KNOWN,
    }
    asked = len(loopback_http.requests)
    press.clock.forward(hours=1)
    assert settle(press, loopback_http) == 0
    assert len(loopback_http.requests) == asked
    with press.sessions() as session:
        papers = {paper.title: paper for paper in session.scalars(select(Paper))}
        assert papers["Paper 2609.00007"].announced_as is AnnounceType.LISTED
        assert papers["Preprint"].version == 2
        assert "Paper 2607.00001" not in papers
    # The next edition has it, as it has what a list names.
    edition = press.publish(on=press.clock().date())
    assert press.edition(edition).paper_count >= 2
    with transaction(press.sessions) as session:
        erased = session.get_one(Subscriber, one)
        erase(session, erased, press.settings.secret_key, press.clock())
    assert states(press) == {"arxiv:2609.00007": SubmissionState.ADDED}


def test_a_source_that_does_not_answer_is_asked_again_and_given_up_after_three_days(
    press: Press, loopback_http: LoopbackHttp
) -> None:
    (reader,) = press.add_subscribers("a@one.example")
    give(press, reader, "2609.00007")
    loopback_http.routes["/query"] = (503, {}, b"later")
    for _ in range(3):
        settle(press, loopback_http)
    assert len(loopback_http.requests) == 1
    press.clock.forward(minutes=10)
    settle(press, loopback_http)
    assert len(loopback_http.requests) == 2
    assert states(press) == {"arxiv:2609.00007": SubmissionState.WAITING}
    press.clock.forward(days=3)
    settle(press, loopback_http)
    assert states(press) == {"arxiv:2609.00007": SubmissionState.UNREACHABLE}
