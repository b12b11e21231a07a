"""The HTML of a mail, shown in a sandboxed frame: no script runs, and its links open outside."""

import re

from fastapi.responses import HTMLResponse

from service.web.core.middleware import FRAMED_MAIL_POLICY

# Links leave the frame for a new tab without `window.opener`; those within the mail stay in it.
_NEW_TAB = '<base target="_blank">'
_LINK_WITHIN = re.compile(r"""<a\b(?=[^>]*\shref=["']?#)""", re.IGNORECASE)


def show_framed(html: str) -> HTMLResponse:
    """Return the HTML part of a mail alone, for a frame with `MAIL_SANDBOX`."""
    # The base is at the end: before the doctype it would change how browsers show the mail.
    html = _LINK_WITHIN.sub('<a target="_self"', html) + _NEW_TAB
    return HTMLResponse(html, headers={"Content-Security-Policy": FRAMED_MAIL_POLICY})
