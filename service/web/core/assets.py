"""Static files at URLs that contain a content hash, so that browsers cache them for ever."""

from hashlib import sha256
from mimetypes import guess_type
from pathlib import Path

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

_DIRECTORY = Path(__file__).parents[1] / "static"
# Read once: a few small files that change only with a new version of the program.
_FILES = {path.name: path.read_bytes() for path in sorted(_DIRECTORY.iterdir()) if path.is_file()}
_HASHES = {name: sha256(content).hexdigest()[:12] for name, content in _FILES.items()}

router = APIRouter(include_in_schema=False)


def asset(name: str) -> str:
    """Return the URL path of a static file. Raises KeyError for an unknown file."""
    return f"/static/{_HASHES[name]}/{name}"


@router.get("/favicon.ico")
def show_favicon() -> Response:
    """Return the icon at the address that browsers and feed readers try without being told."""
    headers = {"Cache-Control": "public, max-age=86400"}
    return Response(_FILES["favicon.ico"], media_type="image/x-icon", headers=headers)


@router.get("/static/{digest}/{name}")
def show_asset(digest: str, name: str) -> Response:
    if name not in _FILES or _HASHES[name] != digest:
        raise HTTPException(404)
    kind = guess_type(name)[0] or "application/octet-stream"
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(_FILES[name], media_type=kind, headers=headers)
