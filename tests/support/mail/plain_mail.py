"""A mail without a template."""

from service.messages.rendering.fragments import MailPartFragments, encode_private
from service.messages.rendering.renderer import RenderedMail


def plain_mail(subject: str, html: str, text: str) -> RenderedMail:
    """Return a mail with these texts, as the renderer returns it."""
    return RenderedMail(
        subject,
        MailPartFragments(((encode_private(html), 0),)),
        MailPartFragments(((encode_private(text), 0),)),
    )
