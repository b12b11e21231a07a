"""Digests of real papers for invented subscribers, as rows without a database.

The papers are those of `bulk/dev`; topics are pairs of words in their titles.
"""

import gzip
import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from service.deliveries.domain.digest import Digest, DigestEntry, DigestGroup
from service.deliveries.domain.digest_json import digest_to_json
from service.deliveries.domain.recipients import FULL_CARDS, Cadence, SubscriberState
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.claimed_rows import Claim
from service.deliveries.store.models import Delivery
from service.editions.domain.states import EditionState
from service.editions.store.models import Edition
from service.messages.edition_data import EditionDataCache
from service.papers.domain.latex.readable import to_readable, to_readable_line
from service.papers.domain.types import AnnounceType, PaperView
from service.platform.settings.settings import Settings
from service.subscribers.store.models import Subscriber
from service.topics.domain.types import NamedTopic, Reason

MORNING = datetime(2026, 9, 18, 7, 0, tzinfo=UTC)
FILES = ("arxiv_cs", "arxiv_astro", "arxiv_hep", "hf_daily")
_WORD = re.compile(r"[a-z]{4,}")
_EDITION = 1

Matches = Mapping[str, Mapping[int, tuple[Reason, ...]]]


@dataclass(frozen=True, slots=True)
class Day:
    """The papers of one edition, and the matches of each topic."""

    papers: Mapping[int, PaperView]
    matches: Matches


def read_papers(folder: Path, count: int) -> list[PaperView]:
    """Return `count` papers spread over all files."""
    share = -(-count // len(FILES))
    found: list[PaperView] = []
    for name in FILES:
        with gzip.open(folder / "bulk" / "dev" / f"{name}.jsonl.gz", "rt") as lines:
            for _, line in zip(range(share), lines, strict=False):
                found.append(_paper(len(found) + 1, json.loads(line)))
    return found[:count]


def _paper(number: int, row: dict[str, Any]) -> PaperView:
    authors = row["authors"] or ()
    names = authors.split(", ") if isinstance(authors, str) else authors
    categories = tuple(str(one) for one in row["categories"] or ("cs.LG",))
    identifier = str(row["id"])
    return PaperView(
        id=number,
        key=f"arxiv:{identifier}",
        source="arxiv",
        identifier=identifier,
        title=to_readable_line(str(row["title"])),
        abstract=to_readable(str(row["abstract"] or "")),
        authors=tuple(to_readable_line(str(name)) for name in names),
        categories=categories,
        primary_category=categories[0],
        announced_as=AnnounceType.NEW,
        announced_on=MORNING.date(),
        url=f"https://arxiv.org/abs/{identifier}",
        upvotes=int(str(row["upvotes"] or 0)),
        github_url=str(row.get("github") or ""),
        summary=str(row.get("ai_summary") or ""),
    )


def make_day(papers: Sequence[PaperView], topic_count: int) -> Day:
    """Return a day with the most frequent pairs of words in the titles as topics, and their positions."""
    pairs: Counter[str] = Counter()
    for paper in papers:
        pairs.update(" ".join(pair) for pair in pairwise(_WORD.findall(paper.title.lower())))
    matches = {}
    for phrase, _ in pairs.most_common(topic_count):
        matches[f'"{phrase}"'] = {
            paper.id: reasons for paper in papers if (reasons := tuple(_reasons(phrase, paper)))
        }
    return Day({paper.id: paper for paper in papers}, matches)


def _reasons(phrase: str, paper: PaperView) -> Iterator[Reason]:
    for field, text in (("title", paper.title), ("abstract", paper.abstract)):
        if phrase in text.lower():
            yield Reason(f'"{phrase}"', field, tuple(phrase.split()))


def make_materials(day: Day, claims: Iterable[Claim]) -> EditionDataCache:
    """Return the edition data that sending would read from the database."""
    count = len(day.papers)
    edition = Edition(
        id=_EDITION,
        cadence=Cadence.DAILY,
        local_date=date(2026, 9, 18),
        state=EditionState.FROZEN,
        coverage={"announced": count, "checked": count, "is_complete": True},
    )
    return EditionDataCache(
        editions={_EDITION: edition},
        papers=dict(day.papers),
        late_ids={_EDITION: frozenset(i for i in day.papers if i % 40 == 0)},
        topics={
            claim.delivery.id: [
                NamedTopic(group[1], group[0], group[0])
                for group in (claim.delivery.digest or {})["groups"]
            ]
            for claim in claims
        },
    )


def make_claims(day: Day, count: int, most_papers: int = 25, seed: int = 1) -> list[Claim]:
    """Return digests of `count` subscribers with one to six topics each, popular ones more often."""
    chance = random.Random(seed)
    topics = list(day.matches)
    weights = [1 / (rank + 3) for rank in range(len(topics))]
    claims: list[Claim] = []
    while len(claims) < count:
        number = len(claims) + 1
        chosen = tuple(dict.fromkeys(chance.choices(topics, weights, k=chance.randint(1, 6))))
        digest = _make_digest(day, number, chosen, most_papers)
        frozen = digest_to_json(digest)
        claims.append(Claim(_delivery(number, digest.paper_ids, frozen), _subscriber(number)))
    return claims


def _make_digest(day: Day, number: int, topics: Sequence[str], most_papers: int) -> Digest:
    """Return a digest with each paper under the first topic that matches it, up to the maximum."""
    placed: set[int] = set()
    cut: set[int] = set()
    groups = []
    for place, topic in enumerate(topics, 1):
        found = [i for i in day.matches[topic] if i not in placed]
        shown = found[: most_papers - len(placed)]
        cut.update(found[len(shown) :])
        placed.update(shown)
        if shown:
            entries = tuple(DigestEntry(i, day.matches[topic][i]) for i in shown)
            groups.append(DigestGroup(topic, entries, 10 * number + place))
    return Digest(tuple(groups), tuple(sorted(cut - placed)))


def make_settings(**changes: object) -> Settings:
    return Settings.model_validate(
        {
            "base_url": "https://papers.example.org",
            "mail_from": "Paperboy <digest@papers.example.org>",
            "operator_address": "Example Institute, 1 Sample Street, 12345 Sampletown",
            "secret_key": "a-key-for-made-digests-only-0123456789",
            **changes,
        }
    )


def _delivery(number: int, paper_ids: tuple[int, ...], digest: dict[str, object]) -> Delivery:
    return Delivery(
        id=number,
        kind=DeliveryKind.DIGEST,
        edition_id=_EDITION,
        subscriber_id=number,
        attempt=1,
        paper_ids=list(paper_ids),
        digest=digest,
        created_at=MORNING,
    )


def _subscriber(number: int) -> Subscriber:
    return Subscriber(
        id=number,
        email=f"reader{number}@example.org",
        email_key=f"reader{number}@example.org",
        state=SubscriberState.ACTIVE,
        cadence=Cadence.DAILY,
        hour=7,
        timezone="UTC",
        created_at=MORNING,
        confirmed_at=MORNING,
        locale="",
        full_cards=FULL_CARDS,
        link_key=number.to_bytes(8, "big"),
        link_epoch=0,
    )
