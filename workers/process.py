"""What a worker or beat process holds for as long as it lives."""

from __future__ import annotations

import mmap
import os
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING

from service.papers.domain.source_names import SOURCE_NAMES

if TYPE_CHECKING:
    from service.platform.settings.settings import Settings
    from workers.runtime import Runtime


class Process:
    """The settings and the runtime of one process, each made when it is first asked for."""

    def __init__(self) -> None:
        # Holds this process's share in the embedded servers until it ends.
        self._shares = ExitStack()
        self._runtimes: dict[int, Runtime] = {}
        self._ending = mmap.mmap(-1, 1)

    @cached_property
    def settings(self) -> Settings:
        """The settings with both servers' addresses; the embedded ones are started if need be."""
        from service.platform.embedded import resolve_services
        from service.platform.settings.load import load_settings

        return self._shares.enter_context(resolve_services(load_settings(SOURCE_NAMES)))

    def share_ending(self) -> None:
        """Call it before the pool is forked: `end` then reaches all processes of this worker."""
        self._ending = mmap.mmap(-1, 1)

    def end(self) -> None:
        """Note that the worker ends: its tasks begin nothing more."""
        self._ending[0] = 1

    def is_ending(self) -> bool:
        """Return whether the worker ends."""
        return self._ending[0] == 1

    @property
    def opened(self) -> Runtime | None:
        """This process's runtime, if it has had a task."""
        return self._runtimes.get(os.getpid())

    @property
    def runtime(self) -> Runtime:
        """This process's runtime: made at its first task, never shared across a fork."""
        from workers.runtime import open_runtime

        pid = os.getpid()
        if pid not in self._runtimes:
            self.use(open_runtime(self.settings))
        return self._runtimes[pid]

    def use(self, runtime: Runtime) -> None:
        """Let the tasks of this process work with `runtime`."""
        self._runtimes = {os.getpid(): runtime}
