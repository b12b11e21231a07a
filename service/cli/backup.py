"""The commands `backup restore`: a whole copy of the installation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli.context import Globals, Json, make_output, open_settings
from service.cli.output import counted

Directory = Annotated[Path, typer.Argument(metavar="DIR")]

WithoutCopies = Annotated[
    bool,
    typer.Option(
        "--without-copies", help="Leave out the copies of sent mails, which are most of the size."
    ),
]


def register(app: typer.Typer) -> None:
    app.command()(backup)
    app.command()(restore)


def backup(
    context: typer.Context,
    directory: Directory,
    without_copies: WithoutCopies = False,
    as_json: Json = False,
) -> None:
    """Copy the whole installation into a new directory.

    The database, the secret key and other files of the data directory, while the service runs.
    Keep the copy as secret as the installation.
    """
    from service.operations.backup import FILES, take_backup
    from service.platform.clock import clock_from

    given: Globals = context.obj
    with open_settings() as (loaded, settings):
        is_embedded = not loaded.database_url
        clock = clock_from(given.now)
        manifest = take_backup(
            settings, directory, is_embedded=is_embedded, clock=clock, has_copies=not without_copies
        )
    size = sum(file.bytes for file in manifest.files.values())
    lines = [
        f"{directory}: {counted(len(manifest.files), 'file')}, {size / 1e6:.1f} MB,"
        f" as of {manifest.taken_at:%Y-%m-%d %H:%M} UTC."
    ]
    has_key = f"{FILES}/secret_key" in manifest.files
    if not has_key:
        lines.append(
            "The secret key is not in it, since a setting has it: keep PAPERBOY_SECRET_KEY, too."
        )
    value = manifest.model_dump(mode="json") | {"directory": str(directory), "has_key": has_key}
    make_output(context, as_json=as_json).print(value, *lines)


def restore(context: typer.Context, directory: Directory, as_json: Json = False) -> None:
    """Bring a backup back into an empty installation.

    Then nothing is sent until `paperboy restored` said what may have been sent already.
    """
    from service.operations.backup import load_backup, placing_files, restore_backup
    from service.platform.clock import clock_from
    from service.platform.settings.load import load_data_dir

    given: Globals = context.obj
    manifest = load_backup(directory)
    data_dir = load_data_dir()
    with (
        placing_files(directory, manifest, data_dir) as placed,
        open_settings() as (loaded, settings),
    ):
        is_embedded = not loaded.database_url
        now = clock_from(given.now)()
        restore_backup(settings, directory, manifest, placed, now, is_embedded=is_embedded)
    make_output(context, as_json=as_json).print(
        manifest.model_dump(mode="json") | {"data_dir": str(data_dir)},
        f"Restored as of {manifest.taken_at:%Y-%m-%d %H:%M} UTC.",
        "Nothing is sent until you run: paperboy restored",
        "It puts mails that may have been sent since the backup in doubt, so that none is sent twice"
        " (--until TIME: when this installation last sent, if you know it).",
    )
