"""What makes an installation's mails its own."""

from __future__ import annotations

from service.config import Settings
from service.mail.contexts import Brand
from service.mail.render import Renderer


def brand_of(settings: Settings) -> Brand:
    """Name, colours, logo and footer as the operator set them."""
    return Brand(
        name=settings.brand_name,
        accent=settings.brand_accent,
        accent_night=settings.brand_accent_night,
        logo=settings.brand_logo,
        footer=settings.brand_footer,
    )


def make_renderer(settings: Settings) -> Renderer:
    """A renderer that takes the operator's own templates before ours."""
    return Renderer(own_dir=settings.templates_dir)
