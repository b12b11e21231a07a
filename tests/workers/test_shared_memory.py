"""Processes of one worker share what it has imported."""

import gc

from workers.app import share_memory


def test_the_collector_of_a_forked_process_leaves_alone_what_the_worker_imported() -> None:
    gc.unfreeze()
    try:
        share_memory()
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()
