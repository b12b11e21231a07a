"""One paper once: what an answer tells of a paper more than once becomes one announcement."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import count

from service.papers.domain.types import BadEntry, ParsedAnnouncement, ParsedBatch


def tell_once(parsed: ParsedBatch, *, tells_versions: bool) -> ParsedBatch:
    """Return the answer with each paper once, in the order of their first mention.

    A source that tells versions names all of a day: the last one stands, announced as the first
    one was. Of any other source the first mention stands, and each further one is a bad entry.
    """
    if tells_versions:
        return replace(parsed, announcements=_merge_versions(parsed.announcements))
    unreadable = {bad.position for bad in parsed.bad_entries}
    positions = (position for position in count() if position not in unreadable)
    kept: dict[str, ParsedAnnouncement] = {}
    bad = list(parsed.bad_entries)
    for position, one in zip(positions, parsed.announcements, strict=False):
        if kept.setdefault(one.key, one) is not one:
            bad.append(BadEntry(position, f"repeats {one.identifier}"))
    bad.sort(key=lambda entry: entry.position)
    return replace(parsed, announcements=tuple(kept.values()), bad_entries=tuple(bad))


def _merge_versions(announcements: Iterable[ParsedAnnouncement]) -> tuple[ParsedAnnouncement, ...]:
    versions: dict[str, list[ParsedAnnouncement]] = {}
    for one in announcements:
        versions.setdefault(one.key, []).append(one)
    return tuple(map(_as_one, versions.values()))


def _as_one(versions: Iterable[ParsedAnnouncement]) -> ParsedAnnouncement:
    ordered = sorted(versions, key=lambda one: one.version)
    first, last = ordered[0], ordered[-1]
    return replace(last, announce_type=first.announce_type, published_at=first.published_at)
