"""Phrases of refusals, and unknown ones."""

from service.deliveries.domain.refusal_phrases import classify_words


def test_an_unknown_phrase_has_no_verdict() -> None:
    assert classify_words("xyzzy") is None
    assert classify_words("") is None
