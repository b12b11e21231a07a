"""Quarantine: where mails go that could not be parsed, with a row that has the reason.

They are read no more, so they cannot stop the others. For a month an operator may look at them, and
read one again with `paperboy bounces read FILE`; their rows stay.
"""

from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from sqlalchemy.orm import Session, sessionmaker

from service.bounces.store.quarantined import insert_quarantined
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings

# A mail that comes by SMTP is stored only here, and must not fill the disk.
MOST_FILES = 200
# Strangers' mails hold addresses, which nobody needs for longer.
KEPT = timedelta(days=30)

log = get_logger(__name__)


def quarantine_file(settings: Settings, raw: bytes) -> Path:
    """Return the file that a mail gets in the data directory; always the same for equal mails."""
    return settings.data_dir / "quarantine" / f"{_key_of(raw)}.eml"


def store_quarantined(settings: Settings, raw: bytes) -> str:
    """Write a mail to its file and return where; after MOST_FILES mails none is kept."""
    file = quarantine_file(settings, raw)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if sum(1 for _ in file.parent.iterdir()) >= MOST_FILES:
        return "nowhere, since the quarantine is full"
    with suppress(FileExistsError), file.open("xb") as out:
        file.chmod(0o600)
        out.write(raw)
    return str(file)


def delete_old_files(settings: Settings, now: datetime) -> int:
    """Delete the files of quarantined mails after `KEPT`; return how many."""
    folder = settings.data_dir / "quarantine"
    oldest, count = (now - KEPT).timestamp(), 0
    for file in folder.glob("*.eml"):
        with suppress(FileNotFoundError):  # another worker was first
            if file.stat().st_mtime < oldest:
                file.unlink()
                count += 1
    if count:
        log.info("bounce.quarantine_emptied", files=count)
    return count


def record_quarantined(
    sessions: sessionmaker[Session], source: str, raw: bytes, reason: str, place: str, now: datetime
) -> bool:
    """Insert a mail's row; return false if it has one. Idempotent by a hash of its content."""
    values = {"source": source, "reason": reason, "place": place, "size": len(raw)}
    with transaction(sessions) as session:
        is_new = insert_quarantined(session, key=_key_of(raw), created_at=now, **values)
    if is_new:
        log.warning("bounce.quarantined", **values)
    return is_new


def _key_of(raw: bytes) -> str:
    return sha256(raw).hexdigest()[:32]
