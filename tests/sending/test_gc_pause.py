"""The garbage collector runs rarely during a run, and as before afterwards."""

import gc

import pytest

from service.sending.gc_pause import reduced_gc


def test_a_run_restores_the_garbage_collector() -> None:
    usual, frozen = gc.get_threshold(), gc.get_freeze_count()
    with pytest.raises(LookupError), reduced_gc():  # noqa: PT012
        assert gc.get_threshold()[0] > 10 * usual[0]
        assert gc.get_freeze_count() > frozen
        raise LookupError
    assert gc.get_threshold() == usual
    assert gc.get_freeze_count() == 0
