"""The command `reopen`: ask a source again that refused us."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.context import CommandError, Json, command_context


def register(app: typer.Typer) -> None:
    app.command()(reopen)


def reopen(
    context: typer.Context,
    host: Annotated[
        str, typer.Argument(metavar="HOST", help="As status names it, like rss.arxiv.org.")
    ],
    as_json: Json = False,
) -> None:
    """Ask a source again that refused us.

    Settle it with the source first: another refusal closes its gate for twice the time.
    """
    from service.papers.domain.crawl_delay import rule_of
    from service.papers.store.gates import list_closed_gates, reopen_gate
    from service.platform.database.engine import transaction

    rule = rule_of(host)
    name = rule.host if rule else host.strip().lower()
    with command_context(context, as_json=as_json) as command:
        with transaction(command.sessions) as session:
            is_reopened = reopen_gate(session, name)
            others = [gate.name for gate in list_closed_gates(session)]
        if not is_reopened:
            closed = f"closed are {', '.join(others)}" if others else "none is closed"
            raise CommandError(f"the gate of {name} is not closed; {closed}", 2)
        command.print(
            {"reopened": name}, f"{name} is asked again with the next fetch, or: paperboy ingest"
        )
