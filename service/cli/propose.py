"""The command `topics propose`: what a file of references suggests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.context import CommandError, Json, command_context, parse_day
from service.cli.output import counted

if TYPE_CHECKING:
    from service.topics.propose import PreviewedTopic, Proposal

_TITLES = 3


def propose(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="BibTeX, RIS, CSL-JSON or a list; - for stdin.")
    ],
    as_json: Json = False,
) -> None:
    """Propose topics from a file of references; nothing is stored.

    BibTeX, RIS, CSL-JSON, or arXiv ids, DOIs, links or titles, one on each line.
    """
    from service.papers.domain.references import ReferenceFileError
    from service.papers.reference_files.read import read_references
    from service.platform.database.engine import transaction
    from service.topics.live_preview import LivePreviews
    from service.topics.propose import preview_each, propose_topics

    with command_context(context, as_json=as_json) as command:
        try:
            references = read_references(_read(file))
        except ReferenceFileError as error:
            raise CommandError(f"{file}: {error}", 2) from error
        with transaction(command.sessions) as session:
            proposal = propose_topics(session, command.settings, references)
        preview = LivePreviews(command.sessions, command.settings).preview
        previewed = preview_each(command.sessions, preview, proposal, parse_day(command, None))
        command.print(_to_json(proposal, previewed), *_lines(proposal, previewed))


def _read(file: Path) -> bytes:
    from service.papers.domain.references import MOST_BYTES

    if str(file) == "-":
        return sys.stdin.buffer.read(MOST_BYTES + 1)
    try:
        with file.open("rb") as opened:
            return opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror}", 2) from error


def _to_json(proposal: Proposal, previewed: list[PreviewedTopic]) -> dict[str, object]:
    return {
        "entries": proposal.entry_count,
        "found": proposal.found,
        "not_found": proposal.not_found,
        "unreadable": [str(each) for each in proposal.unreadable],
        "topics": [
            {
                "kind": each.topic.kind,
                "query": each.topic.query,
                "name": each.topic.name,
                "ticked": each.topic.is_ticked,
                "papers": each.topic.papers,
                "in_30_days": each.preview.matched.total if each.preview else None,
            }
            for each in previewed
        ],
    }


def _lines(proposal: Proposal, previewed: list[PreviewedTopic]) -> list[str]:
    lines = [
        f"{counted(proposal.entry_count, 'reference')}: {len(proposal.found)} known here, "
        f"{len(proposal.not_found)} not, {len(proposal.unreadable)} unreadable."
    ]
    lines += [proposal.note] if proposal.note else []
    for each in previewed:
        topic, preview = each.topic, each.preview
        count = f"{counted(preview.matched.total, 'paper')} in 30 days" if preview else "too broad"
        made = counted(len(topic.papers), "paper")
        lines += ["", f"{topic.name} ({topic.kind} of {made}; {count})", f"  {topic.query}"]
        newest = preview.matched.newest[:_TITLES] if preview else ()
        lines += [f"  - {paper.title}" for paper in newest]
    if not previewed:
        lines += [
            "",
            "They have too little in common for a proposal. Add more of them, with titles.",
        ]
    if proposal.not_found:
        lines += ["", "Not known here:", *(f"  {label}" for label in proposal.not_found)]
    if proposal.unreadable:
        lines += ["", "Could not be read:", *(f"  {each}" for each in proposal.unreadable)]
    return lines
