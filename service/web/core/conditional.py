"""Entity tags and If-None-Match (RFC 9110, sections 8.8 and 13)."""

from hashlib import sha256

from fastapi import Request


def make_etag(content: bytes) -> str:
    """Return a weak tag, because the same content may be sent compressed or not."""
    return f'W/"{sha256(content).hexdigest()[:32]}"'


def has_etag(request: Request, etag: str) -> bool:
    """Return whether the client has this content already, by its If-None-Match."""
    tags = request.headers.get("if-none-match", "")
    known = {tag.strip().removeprefix("W/") for tag in tags.split(",")}
    return bool({etag.removeprefix("W/"), "*"} & known)
