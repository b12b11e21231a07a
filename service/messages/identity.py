"""What makes an installation's mails its own."""

from typing import Any

from service.messages.contexts.base import Brand
from service.messages.mime.addresses import ascii_address
from service.messages.mime.dkim import DkimSigner, load_signer
from service.messages.rendering.renderer import Renderer
from service.platform.caches import cached
from service.platform.settings.settings import Settings


def brand_of(settings: Settings) -> Brand:
    """Name, colours, logo and footer as the operator set them."""
    return _brand(
        settings.brand_name,
        settings.brand_accent,
        settings.brand_accent_night,
        settings.brand_logo,
        settings.brand_footer,
    )


# The same brand is the same value, so that renderers know it again at a glance.
_brand = cached("brands", maxsize=16)(Brand)


def sender_fields(settings: Settings) -> dict[str, Any]:
    """Return the fields of `TransactionalBase`: what a mail says of its sender."""
    home, address = f"{settings.base_url}/", settings.operator_address
    return {"home": home, "operator_address": address, "brand": brand_of(settings)}


def make_sending_renderer(settings: Settings) -> Renderer:
    """The same, ready to write digests at once: for processes that send."""
    renderer = make_renderer(settings)
    renderer.load()
    return renderer


def make_renderer(settings: Settings) -> Renderer:
    """A renderer that takes the operator's own templates before ours."""
    return Renderer(own_dir=settings.templates_dir)


def signer_of(settings: Settings) -> DkimSigner | None:
    """The signer of this process, its keys read once; None where signing is left to the relay.

    Raises `Refused` for a key that cannot be used, `HeaderError` where From has no domain.
    """
    if not settings.dkim_keys:
        return None
    domain = settings.dkim_domain or settings.from_domain
    ascii_domain = ascii_address(f"postmaster@{domain}", "From").partition("@")[2].lower()
    return load_signer(ascii_domain, settings.dkim_keys)
