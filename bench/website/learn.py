"""Embed some papers in a process of its own, and print the MiB of memory that it then has."""

import os
import sys
from pathlib import Path

import service.operations.store.tables  # noqa: F401  # every table is known from here on
from service.platform.database.engine import make_engine, make_sessions
from service.platform.settings.settings import Settings
from service.similarity.embed_papers import LEARNED_AT_ONCE, learn_papers

_FIRST_PAPERS = range(1, LEARNED_AT_ONCE + 1)


def read_memory_mib(process: int | str = "self") -> float:
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main(database_url: str, embedder: str) -> None:
    settings = Settings.model_validate({"database_url": database_url, "embedder": embedder})
    learn_papers(make_sessions(make_engine(database_url)), settings, _FIRST_PAPERS)
    print(read_memory_mib())


if __name__ == "__main__":
    main(*sys.argv[1:])
