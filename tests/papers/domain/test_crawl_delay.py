"""The back-off after refusals."""

from datetime import timedelta

import pytest

from service.papers.domain.crawl_delay import (
    FIRST_BACK_OFF,
    GAP,
    LONGEST_BACK_OFF,
    RateLimited,
    back_off,
)


@pytest.mark.parametrize(
    ("failures", "retry_after", "delay"),
    [
        (1, None, FIRST_BACK_OFF),
        (2, None, 2 * FIRST_BACK_OFF),
        (3, None, 4 * FIRST_BACK_OFF),
        (100, None, LONGEST_BACK_OFF),
        (1, 90.0, timedelta(seconds=90)),
        (5, 0.0, GAP),
        (1, 1e9, LONGEST_BACK_OFF),
    ],
)
def test_the_wait_is_that_of_retry_after_or_doubles(
    failures: int, retry_after: float | None, delay: timedelta
) -> None:
    assert back_off(failures, retry_after) == delay


def test_the_error_of_a_closed_gate_names_the_wait() -> None:
    assert str(RateLimited("arxiv", 12.4)) == "no request to arxiv is allowed for another 12 s"
