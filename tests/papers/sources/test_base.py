"""Errors of sources keep their meaning between processes."""

import pickle

from service.papers.sources.base import SourceUnavailable


def test_an_error_keeps_its_meaning_when_it_is_pickled() -> None:
    error = pickle.loads(pickle.dumps(SourceUnavailable("busy", False, 3.0)))  # noqa: S301  # our own bytes
    assert (str(error), error.permanent, error.retry_after_seconds) == ("busy", False, 3.0)
