"""An installation's own brand, sender fields, renderer and DKIM signer."""

from typing import Any

from service.messages.contexts.base import Brand
from service.messages.mime.addresses import ascii_address
from service.messages.mime.dkim import DkimSigner, load_signer
from service.messages.rendering.renderer import Renderer
from service.platform.caches import cached
from service.platform.settings.settings import Settings


def brand_of(settings: Settings) -> Brand:
    """Return the name, colours, logo and footer that the operator set."""
    return _brand(
        settings.brand_name,
        settings.brand_accent,
        settings.brand_accent_night,
        settings.brand_logo,
        settings.brand_footer,
    )


# Equal brands are one object, so that comparing them is cheap.
_brand = cached("brands", maxsize=16)(Brand)


def sender_fields(settings: Settings) -> dict[str, Any]:
    """Return the fields of `TransactionalBase`."""
    home, address = f"{settings.base_url}/", settings.operator_address
    return {"home": home, "operator_address": address, "brand": brand_of(settings)}


def make_sending_renderer(settings: Settings) -> Renderer:
    """Return a renderer with its templates loaded, for processes that send."""
    renderer = make_renderer(settings)
    renderer.load()
    return renderer


def make_renderer(settings: Settings) -> Renderer:
    """Return a renderer that prefers the operator's own templates to ours."""
    return Renderer(own_dir=settings.templates_dir, is_fast=settings.fast_rendering)


def signer_of(settings: Settings) -> DkimSigner | None:
    """Return this process's signer, its keys read once; None where the relay signs.

    Raises `Refused` for an unusable key, `HeaderError` where From has no domain.
    """
    if not settings.dkim_keys:
        return None
    domain = settings.dkim_domain or settings.from_domain
    ascii_domain = ascii_address(f"postmaster@{domain}", "From").partition("@")[2].lower()
    return load_signer(ascii_domain, settings.dkim_keys)
