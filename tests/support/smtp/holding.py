"""Answers of a `ScriptedSmtp` that are held back until a test releases them: messages hang."""

import threading
from collections.abc import Callable
from typing import Self


class Hold:
    """An answer that waits where `is_held` is true of its number; the end of a `with` releases all."""

    def __init__(self, is_held: Callable[[int], bool]) -> None:
        self._is_held = is_held
        self.released = threading.Event()

    def __call__(self, number: int) -> None:
        if self._is_held(number):
            self.released.wait(120)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()


def first(count: int) -> Hold:
    """Return an answer that is held the first `count` times."""
    return Hold(lambda number: number < count)
