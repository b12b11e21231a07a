"""Merge the digests of editions that fall on one hour."""

from collections.abc import Callable, Collection, Iterable, Sequence
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
        silence=digest.silence,
        waits=digest.waits,
    )


def limit_papers(digest: Digest, most: int) -> Digest:
    """Return the digest with at most `most` matched papers; the last ones become `cut_ids`."""
    groups, cut, room = [], list[int](), most
    for group in digest.groups:
        shown, others = group.entries[:room], group.entries[room:]
        room -= len(shown)
        cut += [entry.paper_id for entry in others]
        if shown:
            groups.append(replace(group, entries=shown))
    return replace(digest, groups=tuple(groups), cut_ids=(*cut, *digest.cut_ids)) if cut else digest


def join_waiting(
    digest: Digest,
    waited: Digest,
    topic_ids: Sequence[int],
    order: Callable[[Sequence[DigestEntry]], Sequence[DigestEntry]],
) -> Digest:
    """Return a digest with the papers that waited among the new ones of their topics.

    Groups are in the order of `topic_ids`, those without a topic last. A topic that comes once a week
    reads as a week does: its papers are in one `order`, and what a limit cuts is the worst of the week.
    Behind the new ones, the best paper of Monday would stand below all of Thursday.
    """
    mixed = {_key(group) for group in waited.groups}
    joined = _add(digest, waited)
    places = {topic_id: place for place, topic_id in enumerate(topic_ids)}
    last = len(places)
    groups = [
        replace(group, entries=tuple(order(group.entries))) if _key(group) in mixed else group
        for group in joined.groups
    ]
    groups.sort(key=lambda group: places.get(group.topic_id, last))
    return replace(joined, groups=tuple(groups))


def _key(group: DigestGroup) -> tuple[int, str]:
    """Return what identifies a group: its topic, or its title where it has none."""
    return group.topic_id, "" if group.topic_id else group.title


def _drop(group: DigestGroup, known: Collection[int]) -> tuple[DigestEntry, ...]:
    return tuple(entry for entry in group.entries if entry.paper_id not in known)
