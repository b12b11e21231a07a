"""Phrases of refusals, and unknown ones."""

from service.deliveries.domain.refusal_phrases import read_words


def test_an_unknown_phrase_has_no_verdict() -> None:
    assert read_words("xyzzy") is None
    assert read_words("") is None
