"""What can be wrong with a mail before it is sent."""


class MailError(ValueError):
    """This mail cannot be made; the message is one line that says why, without any address."""


class RenderError(MailError):
    """A template or its values are wrong."""


class MailTooLarge(MailError):
    """Even without papers the mail is larger than the limit."""


class HeaderError(MailError):
    """A header value would break the message or smuggle another header into it."""
