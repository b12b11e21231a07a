"""A record whose identity or title is absurd is refused as a whole, with its reason."""

from dataclasses import replace
from typing import Any

import pytest
from support.web.papers import make_announcement

from service.papers.domain.record_limits import limit_record


def test_an_ordinary_record_is_left_as_it_is() -> None:
    one = make_announcement(1, "A title")
    assert limit_record(one) == one


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"identifier": "x" * 501}, f"{'x' * 60}… is an identifier of 501 characters"),
        ({"key": "arxiv:\x00"}, "2609.00001 is an identifier with characters that no text has"),
        ({"version": 0}, "2609.00001 has a version 0"),
        ({"version": 10_000}, "2609.00001 has a version 10000"),
        ({"title": "t" * 3_001}, "2609.00001 has a title of 3,001 characters"),
        ({"title": " \x00 "}, "2609.00001 has no title"),
    ],
)
def test_a_record_without_identity_or_title_is_refused_with_the_reason(
    changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the reason is compared below
        limit_record(replace(make_announcement(1, "A title"), **changes))
    assert str(caught.value) == reason
