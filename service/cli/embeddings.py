"""The command `meanings`: embeddings of stored papers, for `like:` and similar papers."""

import typer

from service.cli.context import CommandContext, CommandError, Json, command_context
from service.cli.output import counted, progress_bar


def register(app: typer.Typer) -> None:
    app.command()(meanings)


def meanings(context: typer.Context, as_json: Json = False) -> None:
    """Compute what papers are about, for like: and similar papers.

    Computes an embedding of every stored paper that has none, counts word frequencies again if the
    papers have doubled since, and updates saved like: clauses. The worker does the same over time.
    """
    from service.platform.database.engine import transaction
    from service.similarity.availability import describe_missing
    from service.similarity.embed_papers import count_lexemes, meaning_note
    from service.topics.like_queries import renew_like_queries

    with command_context(context, as_json=as_json) as command:
        with transaction(command.sessions) as session:
            missing = describe_missing(session)
        if missing:
            raise CommandError(f"texts cannot be compared here: {missing[0]}. {missing[1]}", 2)
        learned = learn_all(command)
        is_counted = count_lexemes(command.sessions, command.settings)
        renewed = 0
        while count := renew_like_queries(command.sessions, command.settings):
            renewed += count
        command.print(
            {"papers": learned, "is_counted": is_counted, "probes": renewed},
            f"{counted(learned, 'paper')} learned.",
            *(["Word frequencies are counted again."] if is_counted else []),
            *([f"{counted(renewed, 'like: clause')} updated."] if renewed else []),
            *filter(None, [meaning_note(command.settings)]),
        )


def learn_all(command: CommandContext) -> int:
    """Embed every paper that has no embedding yet, with a progress bar; return their number."""
    from service.similarity.embed_papers import count_waiting, learn_meanings

    with progress_bar("learning") as set_done:
        whole = count_waiting(command.sessions, command.settings)
        return learn_meanings(
            command.sessions, command.settings, on_learned=lambda done: set_done(done, whole)
        )
