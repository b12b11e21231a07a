"""What a host is owed: its gate and gaps, the back-off after refusals, and closed gates."""

from datetime import timedelta

import pytest

from service.papers.domain.crawl_delay import (
    HostRule,
    RateLimited,
    Refusals,
    Reply,
    closing_of,
    is_arxiv_host,
    read_status,
    rule_of,
)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SECONDS = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("url", "host", "seconds"),
    [
        ("https://arxiv.org/list/cs.CL/new", "arxiv.org", 15),
        ("https://WWW.arxiv.org./list", "arxiv.org", 15),
        ("https://rss.arxiv.org/rss/cs.CL", "rss.arxiv.org", 3),
        ("https://export.arxiv.org/api/query", "export.arxiv.org", 3),
        ("https://oaipmh.arxiv.org:443/oai", "oaipmh.arxiv.org", 3),
    ],
)
def test_arxivs_hosts_have_gaps_of_their_own_and_one_connection(
    url: str, host: str, seconds: int
) -> None:
    found = rule_of(url)
    assert found == HostRule(host, seconds * SECONDS, "arxiv", 3 * SECONDS)
    assert found is not None
    assert found.gaps == {host: seconds * SECONDS, "arxiv": 3 * SECONDS}


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://huggingface.co/api/daily_papers", "huggingface.co"),
        ("https://API.bioRxiv.org:443/details", "api.biorxiv.org"),
        ("http://127.0.0.1:8001/rss", "127.0.0.1:8001"),
        ("https://notarxiv.org/", "notarxiv.org"),
    ],
)
def test_every_other_host_has_a_gate_without_gap(url: str, host: str) -> None:
    assert rule_of(url) == HostRule(host)


@pytest.mark.parametrize("url", ["nonsense", "http://[::1", "https://host:port/", ""])
def test_an_address_without_host_has_no_gate(url: str) -> None:
    assert rule_of(url) is None


@pytest.mark.parametrize(
    ("status", "retry_after", "reply"),
    [
        (200, None, Reply.WELCOME),
        (304, None, Reply.WELCOME),
        (404, None, Reply.WELCOME),
        (403, None, Reply.FORBIDDEN),
        (406, None, Reply.TOO_MANY),
        (429, 5.0, Reply.TOO_MANY),
        (408, None, Reply.BUSY),
        (425, None, Reply.BUSY),
        (503, None, Reply.BUSY),
        (500, None, Reply.FAULTY),
        (502, 60.0, Reply.BUSY),
    ],
)
def test_a_status_says_whether_to_come_again(
    status: int, retry_after: float | None, reply: Reply
) -> None:
    assert read_status(status, retry_after) is reply


@pytest.mark.parametrize(
    ("failures", "retry_after", "delay"),
    [
        (1, None, 10 * MINUTE),
        (2, None, 20 * MINUTE),
        (3, None, 40 * MINUTE),
        (100, None, 2 * HOUR),
        (1, 7.0, 7 * SECONDS),
        (5, 0.0, timedelta(0)),
        (1, 5 * 3600.0, 5 * HOUR),
        (1, 1e9, DAY),
    ],
)
def test_a_busy_host_is_asked_after_its_own_time_or_a_doubled_one(
    failures: int, retry_after: float | None, delay: timedelta
) -> None:
    for reply in (Reply.BUSY, Reply.TOO_MANY):
        assert closing_of(reply, Refusals(failures), retry_after) == delay


@pytest.mark.parametrize(
    ("count", "retry_after", "days"),
    [
        (1, None, 1),
        (2, None, 2),
        (3, None, 4),
        (4, None, 8),
        (5, None, 14),
        (99, None, 14),
        (1, 60.0, 1),
        (1, 3 * 86400.0, 3),
        (1, 1e9, 14),
    ],
)
def test_a_host_that_forbids_is_left_alone_for_days_each_time_longer(
    count: int, retry_after: float | None, days: int
) -> None:
    counted = Refusals()
    for _ in range(count):
        counted = counted.add(Reply.FORBIDDEN)
    assert closing_of(Reply.FORBIDDEN, counted, retry_after) == days * DAY


def test_too_many_requests_close_the_whole_group_and_other_refusals_one_host() -> None:
    rule = rule_of("https://rss.arxiv.org/rss/cs.CL")
    assert rule is not None
    assert rule.gate_of(Reply.TOO_MANY) == "arxiv"
    assert rule.gate_of(Reply.FORBIDDEN) == rule.gate_of(Reply.BUSY) == "rss.arxiv.org"
    assert HostRule("huggingface.co").gate_of(Reply.TOO_MANY) == "huggingface.co"


def test_the_error_of_a_closed_gate_names_the_wait_and_the_reason() -> None:
    assert str(RateLimited("arxiv", 12.4)) == "no request to arxiv is allowed for another 12 s"
    assert str(RateLimited("arxiv.org", 86_399, "HTTP 403")) == (
        "no request to arxiv.org is allowed for another 24 hours, since it answered HTTP 403"
    )


@pytest.mark.parametrize(
    ("url", "is_arxiv"),
    [
        ("https://arxiv.org/x", True),
        ("https://RSS.arXiv.org./x", True),
        ("http://127.0.0.1/arxiv.org", False),
        ("https://notarxiv.org", False),
        ("https://arxiv.org.example.com", False),
        ("nonsense", False),
    ],
)
def test_arxivs_hosts_are_known_by_their_domain(url: str, is_arxiv: bool) -> None:
    assert is_arxiv_host(url) is is_arxiv
