"""A mail that no template wrote."""

from service.messages.rendering.fast_path.fragments import Part, own_run
from service.messages.rendering.renderer import RenderedMail


def plain_mail(subject: str, html: str, text: str) -> RenderedMail:
    """Return a mail with these texts, as the renderer gives them."""
    return RenderedMail(subject, Part(((own_run(html), 0),)), Part(((own_run(text), 0),)))
