"""How fast digests become bytes: real papers, invented readers, one core, no database, no wire.

    .venv/bin/python bench/render.py [--quick]

From the frozen row to the bytes for DATA: links signed, HTML and text written and encoded, headers,
and the copy that the browser shows. The last line on stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The invented readers are the tests' own.
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

from support.made_digests import (  # noqa: E402  # the path must come first
    MORNING,
    make_claims,
    make_day,
    make_materials,
    make_settings,
    read_papers,
)

from service.actions.messages import build_mail  # noqa: E402
from service.mail.render import Renderer  # noqa: E402
from service.store.sending import Claim  # noqa: E402

PAPERS_A_DAY = 400
PAPERS_A_DIGEST = 25


def measure(claims: list[Claim], papers: int, topics: int, folder: Path) -> dict[str, float]:
    """Milliseconds of processor time for each message, first as they come, then written before."""
    day = make_day(read_papers(folder, papers), topics)
    settings, renderer = make_settings(), Renderer()
    chosen = {claim.delivery.id: _topics(claim) for claim in claims}
    materials = make_materials(day, chosen)
    build_mail(claims[0], materials, settings, renderer, MORNING)
    gc.collect()
    began = time.process_time()
    sizes = [
        len(build_mail(claim, materials, settings, renderer, MORNING).envelope.payload)
        for claim in claims
    ]
    first = (time.process_time() - began) / len(claims) * 1e3
    warm = []
    for claim in claims:
        began = time.process_time()
        build_mail(claim, materials, settings, renderer, MORNING)
        warm.append((time.process_time() - began) * 1e3)
    return {
        "first_ms": round(first, 3),
        "digest_ms": round(statistics.mean(warm), 3),
        "digest_p95_ms": round(statistics.quantiles(warm, n=20)[-1], 3),
        "message_bytes": round(statistics.mean(sizes)),
        "largest_bytes": max(sizes),
    }


def _topics(claim: Claim) -> list[str]:
    groups = (claim.delivery.digest or {})["groups"]
    return [group["title"] for group in groups]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the readers")
    quick = parser.parse_args().quick
    folder = Path(os.environ.get("PAPERBOY_REAL_DATA", "../shared/data"))
    if not folder.is_dir():
        print(f"bench/render.py: no real data at {folder}; set PAPERBOY_REAL_DATA", file=sys.stderr)
        return 2
    readers = 500 if quick else 5_000
    day = make_day(read_papers(folder, PAPERS_A_DAY * 4), 300)
    every = make_claims(day, readers * 3, PAPERS_A_DIGEST)
    full = [c for c in every if len(c.delivery.paper_ids) == PAPERS_A_DIGEST][:readers]
    print(f"{len(full)} digests of {PAPERS_A_DIGEST} papers", file=sys.stderr)
    told = measure(full, PAPERS_A_DAY * 4, 300, folder)
    machine = {
        "digests": len(full),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "cpu": platform.processor() or platform.machine(),
    }
    print(json.dumps({**told, **machine}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
