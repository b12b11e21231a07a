"""Merge the digests of editions that fall on one hour."""

from collections.abc import Collection, Iterable
from dataclasses import replace

from service.deliveries.domain.digest import Digest, DigestEntry, DigestGroup


def merge_digests(newest: Digest, earlier: Iterable[Digest]) -> Digest:
    """Return a digest with all that earlier ones have, which were not sent, behind its own.

    The papers of one topic stand together, and each paper is there once, where the newest digest
    that shows it puts it.
    """
    merged = newest
    for digest in earlier:
        merged = _add(merged, digest)
    return merged


def _add(digest: Digest, older: Digest) -> Digest:
    known = {entry.paper_id for group in digest.groups for entry in group.entries}
    more = {_key(group): replace(group, entries=_drop(group, known)) for group in older.groups}
    groups = [
        replace(group, entries=group.entries + more.pop(_key(group)).entries)
        if _key(group) in more
        else group
        for group in digest.groups
    ]
    groups += [group for group in more.values() if group.entries]
    shown = {entry.paper_id for group in groups for entry in group.entries}
    also = digest.also or older.also
    return Digest(
        groups=tuple(groups),
        cut_ids=tuple(i for i in dict.fromkeys(digest.cut_ids + older.cut_ids) if i not in shown),
        updates=tuple(dict.fromkeys(digest.updates + older.updates)),
        also=tuple(entry for entry in also if entry.paper_id not in shown),
    )


def _key(group: DigestGroup) -> tuple[int, str]:
    """Return what identifies a group: its topic, or its title where it has none."""
    return group.topic_id, "" if group.topic_id else group.title


def _drop(group: DigestGroup, known: Collection[int]) -> tuple[DigestEntry, ...]:
    return tuple(entry for entry in group.entries if entry.paper_id not in known)
