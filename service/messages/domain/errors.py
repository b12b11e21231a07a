"""Errors of building a mail."""


class MailError(ValueError):
    """This mail cannot be built; the message is a one-line reason without any address."""


class RenderError(MailError):
    """A template failed, or its values are invalid."""


class MailTooLarge(MailError):
    """The mail exceeds the size limit even without papers."""


class HeaderError(MailError):
    """A header value is invalid or would inject another header."""
