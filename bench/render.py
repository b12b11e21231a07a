"""Rendering of digests: real papers, invented subscribers, one core, no database, no network.

    .venv/bin/python bench/render.py [--quick]

From the frozen row to the bytes for DATA: links signed, HTML and text rendered and encoded, headers,
and the browser copy. Then digests of twelve papers by 300 and by 20,000 distinct topics, when the day's
papers have been rendered for others: `…_new_us` for topics that this process has not met, `…_again_us`
for the same digests once more. The last line on stdout is one JSON object.
"""

import argparse
import gc
import json
import os
import platform
import random
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import cast

HERE = Path(__file__).resolve().parent
# The invented subscribers are those of the tests.
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

from support.mail.made_digests import (  # noqa: E402  # the path must come first
    MORNING,
    Day,
    make_claims,
    make_day,
    make_materials,
    make_settings,
    read_papers,
)

from service.deliveries.domain.digest import Digest, DigestEntry, DigestGroup  # noqa: E402
from service.deliveries.domain.digest_json import digest_to_json  # noqa: E402
from service.deliveries.store.claimed_rows import Claim  # noqa: E402
from service.deliveries.store.models import Delivery  # noqa: E402
from service.messages.build import build_mail  # noqa: E402
from service.messages.edition_data import EditionDataCache  # noqa: E402
from service.messages.rendering.renderer import Renderer  # noqa: E402
from service.papers.domain.types import PaperView  # noqa: E402
from service.topics.domain.types import Reason  # noqa: E402

PAPERS_A_DAY = 400
PAPERS_A_DIGEST = 25
# The real load: papers of a day, and what one digest has of them.
DIVERSE_PAPERS, TOPICS_A_DIGEST, PAPERS_A_TOPIC = 1_500, 3, 4
FEW_TOPICS, MANY_TOPICS = 300, 20_000
# Digests by other topics, until the cards of all papers are cached.
WARM_UP = 4_000
# Digests that are compared with the library, and how often each is timed.
SAMPLES, TRIES = 60, 15


def measure(claims: list[Claim], papers: int, topics: int, folder: Path) -> dict[str, float]:
    """Return milliseconds of processor time per message, with empty caches and then with full ones."""
    day = make_day(read_papers(folder, papers), topics)
    settings, renderer = make_settings(), Renderer()
    editions = make_materials(day, claims)
    build_mail(claims[0], editions, settings, renderer, MORNING)
    gc.collect()
    began = time.process_time()
    sizes = [
        len(build_mail(claim, editions, settings, renderer, MORNING).envelope.payload)
        for claim in claims
    ]
    first = (time.process_time() - began) / len(claims) * 1e3
    warm = []
    for claim in claims:
        began = time.process_time()
        build_mail(claim, editions, settings, renderer, MORNING)
        warm.append((time.process_time() - began) * 1e3)
    ours, peer = _beside_the_library(claims[:: max(1, len(claims) // SAMPLES)], editions)
    return {
        "digest_best_ms": round(ours, 3),
        "ratio_email_library": round(peer / ours, 1),
        "first_ms": round(first, 3),
        "digest_ms": round(statistics.mean(warm), 3),
        "digest_p95_ms": round(statistics.quantiles(warm, n=20)[-1], 3),
        "message_bytes": round(statistics.mean(sizes)),
        "largest_bytes": max(sizes),
    }


def measure_topics(folder: Path, digests: int) -> dict[str, float]:
    """Return microseconds a digest by few and by many topics, and how many times longer many take."""
    papers = read_papers(folder, DIVERSE_PAPERS)
    found = _words_of(papers)
    words = sorted(word for word, where in found.items() if len(where) >= PAPERS_A_TOPIC * 2)
    day = Day({paper.id: paper for paper in papers}, found)
    chance = random.Random(1)  # noqa: S311 - invented topics
    renderer, settings, figures = Renderer(), make_settings(), dict[str, float]()

    def time_all(claims: list[Claim]) -> float:
        editions, took = make_materials(day, claims), list[float]()
        for claim in claims:
            took.append(
                _clocked(lambda: build_mail(claim, editions, settings, renderer, MORNING))  # noqa: B023 - called at once
            )
        return statistics.median(took) * 1e6

    time_all(_diverse_claims(found, _topics(words, MANY_TOPICS, chance), WARM_UP, chance))
    for count in (FEW_TOPICS, MANY_TOPICS):
        claims = _diverse_claims(found, _topics(words, count, chance), digests, chance)
        figures[f"topics_{count}_new_us"] = round(time_all(claims))
        figures[f"topics_{count}_again_us"] = round(time_all(claims))
    many, few = (figures[f"topics_{count}_new_us"] for count in (MANY_TOPICS, FEW_TOPICS))
    return {**figures, "topics_ratio": round(many / few, 2)}


def _words_of(papers: Sequence[PaperView]) -> dict[str, dict[int, tuple[Reason, ...]]]:
    """Return the words of titles and abstracts, each with its papers and the reasons it gives."""
    found: dict[str, dict[int, tuple[Reason, ...]]] = {}
    for paper in papers:
        for name, text in (("title", paper.title), ("abstract", paper.abstract)):
            for word in set(re.findall("[a-z]{4,}", text.lower())):
                where = found.setdefault(word, {})
                where[paper.id] = (*where.get(paper.id, ()), Reason(word, name, (word,)))
    return found


def _topics(words: Sequence[str], count: int, chance: random.Random) -> list[tuple[str, ...]]:
    """Return distinct topics: one word, or two of which either will do."""
    topics: dict[tuple[str, ...], None] = {}
    while len(topics) < count:
        topics[tuple(chance.sample(words, chance.choice((1, 2))))] = None
    return list(topics)


def _diverse_claims(
    found: Mapping[str, Mapping[int, tuple[Reason, ...]]],
    topics: Sequence[tuple[str, ...]],
    count: int,
    chance: random.Random,
) -> list[Claim]:
    """Return digests of three topics with four papers each."""
    claims = make_claims(Day({}, {"": {}}), count)
    for number, claim in enumerate(claims, 1):
        groups = []
        for place, words in enumerate(chance.sample(topics, TOPICS_A_DIGEST), 1):
            reasons: dict[int, tuple[Reason, ...]] = {}
            for word in words:
                for paper, why in found[word].items():
                    reasons[paper] = (*reasons.get(paper, ()), *why)
            chosen = chance.sample(sorted(reasons), PAPERS_A_TOPIC)
            entries = tuple(DigestEntry(paper, reasons[paper]) for paper in chosen)
            groups.append(DigestGroup(" OR ".join(words), entries, number * 10 + place))
        cast("Delivery", claim.delivery).digest = digest_to_json(Digest(tuple(groups)))
    return claims


def _beside_the_library(claims: list[Claim], editions: EditionDataCache) -> tuple[float, float]:
    """Return the least milliseconds for all our work, and for Python's email library alone to put
    the same two texts, rendered already, into a message. Both are timed in turn for each digest, so
    that other load of the machine affects both alike.
    """
    settings, renderer = make_settings(), Renderer()
    ours, peer = [], []
    for claim in claims:
        built = message_from_bytes(
            build_mail(claim, editions, settings, renderer, MORNING).envelope.payload,
            policy=policy.default,
        )
        texts = [str(part.get_content()) for part in built.iter_parts()]
        ours.append(
            min(
                _clocked(lambda: build_mail(claim, editions, settings, renderer, MORNING))  # noqa: B023 - called at once
                for _ in range(TRIES)
            )
        )
        peer.append(min(_clocked(lambda: _by_library(*texts)) for _ in range(TRIES)))  # noqa: B023 - called at once
    return statistics.mean(ours) * 1e3, statistics.mean(peer) * 1e3


def _clocked(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _by_library(text: str, html: str) -> bytes:
    message = EmailMessage(policy=policy.SMTP)
    message["From"], message["To"] = "digest@papers.example.org", "reader@example.org"
    message["Subject"] = "7 new · Tue 21 Apr"
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    return message.as_bytes()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the readers")
    quick = parser.parse_args().quick
    folder = Path(os.environ.get("PAPERBOY_REAL_DATA", "../shared/data"))
    if not folder.is_dir():
        print(f"bench/render.py: no real data at {folder}; set PAPERBOY_REAL_DATA", file=sys.stderr)
        return 2
    subscribers = 500 if quick else 5_000
    day = make_day(read_papers(folder, PAPERS_A_DAY * 4), 300)
    every = make_claims(day, subscribers * 3, PAPERS_A_DIGEST)
    full = [c for c in every if len(c.delivery.paper_ids) == PAPERS_A_DIGEST][:subscribers]
    print(f"{len(full)} digests of {PAPERS_A_DIGEST} papers", file=sys.stderr)
    figures = measure(full, PAPERS_A_DAY * 4, 300, folder)
    figures |= measure_topics(folder, 300 if quick else 2_000)
    machine = {
        "digests": len(full),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "cpu": platform.processor() or platform.machine(),
    }
    print(json.dumps({**figures, **machine}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
