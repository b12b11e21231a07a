"""The warm-up of a new domain, as pure values: what waits, and what never does."""

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from service.sending.domain.warm_up import Mail, WarmUp, find_day

NOW = datetime(2026, 9, 18, 5, 0, tzinfo=UTC)
PROVIDERS = st.sampled_from(["gmail", "outlook", "uni.example"])
CLAIMS = st.lists(st.lists(st.tuples(PROVIDERS, st.booleans()), max_size=60), max_size=8)


def test_the_limit_grows_by_half_from_day_to_day_and_never_doubles() -> None:
    limits = [day.limit for n in range(30) if (day := find_day(n, 30, NOW))]
    assert limits[:5] == [50, 75, 112, 168, 253]
    assert limits[13] == 9_730
    for before, after in pairwise(limits):
        assert before < after < 2 * before


def test_a_warm_up_is_over_after_its_days_and_each_ends_at_midnight() -> None:
    assert find_day(0, 0, NOW) is None
    assert find_day(14, 14, NOW) is None
    last = find_day(13, 14, NOW)
    assert last
    assert (last.day, last.days) == (14, 14)
    assert last.ends_at == datetime(2026, 9, 19, tzinfo=UTC)
    tokyo = datetime(2026, 9, 19, 8, 0, tzinfo=timezone(timedelta(hours=9)))
    assert find_day(13, 14, tokyo) == last


@given(st.integers(1, 3), CLAIMS)
def test_over_all_claims_of_a_day_no_provider_gets_more_than_its_limit(
    day: int, claims: list[list[tuple[str, bool]]]
) -> None:
    warm_up, sent, urgent, number = WarmUp(day, 14, NOW), Counter[str](), Counter[str](), 0
    held_total: Counter[str] = Counter()
    for claim in claims:
        mails = [
            Mail(number + n, provider, may_wait) for n, (provider, may_wait) in enumerate(claim)
        ]
        number += len(mails)
        held = warm_up.hold(mails)
        going = [mail for mail in mails if mail.id not in held]
        assert all(mail.may_wait for mail in mails if mail.id in held)
        assert all(held[mail.id] == mail.provider for mail in mails if mail.id in held)
        counts = Counter(mail.provider for mail in going)
        warm_up = warm_up.count(counts)
        sent += counts
        urgent += Counter(mail.provider for mail in going if not mail.may_wait)
        held_total += Counter(held.values())
    for provider, count in sent.items():
        assert warm_up.sent[provider] == count
        assert count - urgent[provider] <= warm_up.limit
        # Only mail that nobody holds goes past the limit.
        assert count <= warm_up.limit + urgent[provider]
        # Nothing waits while there is room.
        if held_total[provider]:
            assert count >= warm_up.limit
            assert warm_up.next_at(provider, NOW - timedelta(hours=1)) == NOW
    assert warm_up.next_at("nobody", NOW - timedelta(hours=1)) == NOW - timedelta(hours=1)
