"""Storage of the sent watermark: in Valkey, in a file on each sending host, and where the operator says."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import redis

from service.platform.logs import get_logger
from service.platform.settings.settings import Settings
from service.sending.domain.sent_watermark import (
    SentWatermark,
    WatermarkUnreadable,
    parse_watermark,
    write_watermark,
)

log = get_logger(__name__)

# One watermark per second is enough; only a backup of the very last second goes unnoticed.
WATERMARK_SECONDS = 1.0
_TIMEOUT_SECONDS = 1.0


class MarkPlace(Protocol):
    """A place of watermarks. Both methods log and pass over a place that does not answer."""

    name: str

    def read(self, installation: str) -> list[SentWatermark]: ...

    def write(self, watermark: SentWatermark) -> bool: ...


def watermark_places(settings: Settings) -> list[MarkPlace]:
    """Return all places; they should not be lost together."""
    places: list[MarkPlace] = [FilePlace(watermark_paths(settings.data_dir), makes_directory=True)]
    if settings.sent_mark:
        places.append(FilePlace((settings.sent_mark,)))
    if settings.redis_url:
        places.append(ValkeyPlace(settings.redis_url))
    return places


def watermark_paths(data_dir: Path) -> tuple[Path, Path]:
    """Return the file beside the data directory, which outlives a restored copy of it, and the
    fallback within it.
    """
    return data_dir.with_name(f"{data_dir.name}.sent"), data_dir / "sent"


def load_watermarks(settings: Settings, installation: str) -> list[SentWatermark]:
    """Return all watermarks of this installation that can be read."""
    return [mark for place in watermark_places(settings) for mark in place.read(installation)]


def write_watermarks(settings: Settings, watermark: SentWatermark) -> bool:
    """Write the watermark to every place; return whether one has it."""
    written = [place.write(watermark) for place in watermark_places(settings)]
    return any(written)


def renew_watermarks(settings: Settings, watermark: SentWatermark) -> bool:
    """Write the watermark to every place that has none or an older one; return whether one has it.

    A sender may write a newer one in between; then that place is behind until the next run.
    """
    has_it = False
    for place in watermark_places(settings):
        ranks = [mark.rank for mark in place.read(watermark.installation)]
        has_it |= max(ranks, default=None) == watermark.rank
        if not ranks or max(ranks) < watermark.rank:
            has_it |= place.write(watermark)
    return has_it


class FilePlace:
    """A file: the first of some paths that can be written. It is read from all of them.

    Without `makes_directory` the directory must be there: other storage may not be mounted.
    """

    def __init__(self, paths: tuple[Path, ...], *, makes_directory: bool = False) -> None:
        self.name = str(paths[0])
        self._paths = paths
        self._makes_directory = makes_directory

    def read(self, installation: str) -> list[SentWatermark]:
        texts = []
        for path in self._paths:
            with suppress(OSError, UnicodeDecodeError):
                texts.append(path.read_text(encoding="ascii"))
        return list(_parse(texts, installation))

    def write(self, watermark: SentWatermark) -> bool:
        for path in self._paths:
            try:
                if self._makes_directory:
                    path.parent.mkdir(parents=True, exist_ok=True)
                _replace(path, write_watermark(watermark))
            except OSError:
                continue
            return True
        log.warning("restore.mark_unwritten", reason=f"{self.name} is not writable")
        return False


class ValkeyPlace:
    """A key of the installation in Valkey or Redis."""

    name = "Valkey"

    def __init__(self, redis_url: str) -> None:
        self._url = redis_url

    def read(self, installation: str) -> list[SentWatermark]:
        try:
            with self._connect() as valkey:
                text = valkey.get(_key(installation))
        except redis.RedisError as error:
            log.warning("restore.mark_unheard", reason=type(error).__name__)
            return []
        return list(_parse([text] if isinstance(text, str) else [], installation))

    def write(self, watermark: SentWatermark) -> bool:
        try:
            with self._connect() as valkey:
                valkey.set(_key(watermark.installation), write_watermark(watermark))
        except redis.RedisError as error:
            log.warning("restore.mark_unwritten", reason=type(error).__name__)
            return False
        return True

    def _connect(self) -> redis.Redis:
        seconds = {"socket_connect_timeout": _TIMEOUT_SECONDS, "socket_timeout": _TIMEOUT_SECONDS}
        return redis.Redis.from_url(self._url, decode_responses=True, **seconds)


def _key(installation: str) -> str:
    return f"paperboy:sent:{installation}"


def _parse(texts: list[str], installation: str) -> Iterator[SentWatermark]:
    for text in texts:
        try:
            watermark = parse_watermark(text)
        except WatermarkUnreadable as error:
            log.warning("restore.mark_unreadable", reason=str(error))
            continue
        if watermark.installation == installation:
            yield watermark


def _replace(path: Path, text: str) -> None:
    """Replace the file atomically, so that no reader and no power cut finds half a watermark."""
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            # No secret, and workers must see what a command of root's has sent.
            os.fchmod(descriptor, 0o644)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
