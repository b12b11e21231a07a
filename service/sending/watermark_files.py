"""Storage of the sent watermark: in Valkey and in a file on each sending host."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

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


def watermark_paths(data_dir: Path) -> tuple[Path, Path]:
    """Return the file beside the data directory, which outlives a restored copy of it, and the
    fallback within it.
    """
    return data_dir.with_name(f"{data_dir.name}.sent"), data_dir / "sent"


def _valkey(redis_url: str) -> redis.Redis:
    timeouts = {"socket_connect_timeout": _TIMEOUT_SECONDS, "socket_timeout": _TIMEOUT_SECONDS}
    return redis.Redis.from_url(redis_url, decode_responses=True, **timeouts)


def _key(installation: str) -> str:
    return f"paperboy:sent:{installation}"


def load_watermarks(settings: Settings, installation: str) -> list[SentWatermark]:
    """Return all watermarks of this installation that can be read."""
    found = []
    for text in _load_texts(settings, installation):
        try:
            watermark = parse_watermark(text)
        except WatermarkUnreadable as error:
            log.warning("restore.mark_unreadable", reason=str(error))
            continue
        if watermark.installation == installation:
            found.append(watermark)
    return found


def _load_texts(settings: Settings, installation: str) -> Iterator[str]:
    for path in watermark_paths(settings.data_dir):
        with suppress(OSError, UnicodeDecodeError):
            yield path.read_text(encoding="ascii")
    if settings.redis_url:
        try:
            with _valkey(settings.redis_url) as valkey:
                text = valkey.get(_key(installation))
        except redis.RedisError as error:
            log.warning("restore.mark_unheard", reason=type(error).__name__)
        else:
            if isinstance(text, str):
                yield text


def write_watermarks(settings: Settings, watermark: SentWatermark) -> None:
    """Write the watermark to every place; a place that fails is logged and skipped."""
    text = write_watermark(watermark)
    for path in watermark_paths(settings.data_dir):
        try:
            _replace(path, text)
        except OSError:
            continue
        break
    else:
        log.warning("restore.mark_unwritten", reason=f"{settings.data_dir} is not writable")
    if settings.redis_url:
        try:
            with _valkey(settings.redis_url) as valkey:
                valkey.set(_key(watermark.installation), text)
        except redis.RedisError as error:
            log.warning("restore.mark_unwritten", reason=type(error).__name__)


def _replace(path: Path, text: str) -> None:
    """Replace the file atomically, so that no reader finds half a watermark."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            # No secret, and workers must see what a command of root's has sent.
            os.fchmod(descriptor, 0o644)
            file.write(text)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
