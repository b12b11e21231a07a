"""Deduplicate an answer: repeated announcements of a paper become one."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import count

from service.papers.domain.types import BadEntry, ParsedAnnouncement, ParsedBatch


def merge_repeats(parsed: ParsedBatch, *, has_versions: bool) -> ParsedBatch:
    """Return the answer with each paper once, in the order of their first mention.

    With `has_versions` the source lists all versions of a day: the last one is used, with the
    announce type of the first. Otherwise the first mention is used and each repeat is a bad entry.
    """
    if has_versions:
        return replace(parsed, announcements=_merge_versions(parsed.announcements))
    unreadable = {bad.position for bad in parsed.bad_entries}
    positions = (position for position in count() if position not in unreadable)
    first_by_key: dict[str, ParsedAnnouncement] = {}
    bad = list(parsed.bad_entries)
    for position, announcement in zip(positions, parsed.announcements, strict=False):
        if first_by_key.setdefault(announcement.key, announcement) is not announcement:
            bad.append(BadEntry(position, f"repeats {announcement.identifier}"))
    bad.sort(key=lambda entry: entry.position)
    return replace(parsed, announcements=tuple(first_by_key.values()), bad_entries=tuple(bad))


def _merge_versions(announcements: Iterable[ParsedAnnouncement]) -> tuple[ParsedAnnouncement, ...]:
    versions: dict[str, list[ParsedAnnouncement]] = {}
    for announcement in announcements:
        versions.setdefault(announcement.key, []).append(announcement)
    return tuple(map(_merge, versions.values()))


def _merge(versions: Iterable[ParsedAnnouncement]) -> ParsedAnnouncement:
    ordered = sorted(versions, key=lambda announcement: announcement.version)
    first, last = ordered[0], ordered[-1]
    return replace(last, announce_type=first.announce_type, published_at=first.published_at)
