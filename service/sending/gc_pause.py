"""Python's search for rings of garbage, made rare for as long as a run of sending lasts."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# What a few hundred mails leave behind; the usual 700 are reached several times a mail.
_YOUNG = 50_000


@contextmanager
def reduced_gc() -> Iterator[None]:
    """Search a hundredth as often, and not at all among what was there before.

    A run keeps papers, cards and topics for thousands of mails, and each search walks over much of
    that to find that all of it is in use: a tenth of the time of a sender. What mails leave behind
    holds no rings but for the database driver's, which are small.
    """
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_YOUNG, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()
