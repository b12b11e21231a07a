"""Words of refusals, and those that nobody knows."""

from service.deliveries.domain.refusal_phrases import read_words


def test_words_that_nobody_knows_are_none() -> None:
    assert read_words("xyzzy") is None
    assert read_words("") is None
