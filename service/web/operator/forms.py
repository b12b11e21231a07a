"""Forms of the operator's pages: CSRF tokens, questions before a change, and who changes it."""

from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import HTMLResponse

from service.platform.signing.tokens import Purpose, Token, TokenExpired, sign_token
from service.subscribers.by_operator import operator_name
from service.web.core.context import AppContext
from service.web.core.errors import PageNotFound
from service.web.core.signed_links import open_link
from service.web.operator.auth import parse_user


@dataclass(frozen=True, slots=True)
class Question:
    """A confirmation page, whose form posts the same values with `sure=yes`."""

    title: str
    text: str
    action: str
    button: str
    back: str
    answer: str = ""


def sign_csrf(context: AppContext, subject: int, about: str = "") -> str:
    """Return the CSRF token of a form, so that no other site can post it for the operator.

    `subject` is the number of an edition, or of what `about` names; 0 is the installation.
    """
    token = Token(Purpose.OPERATOR, subject, context.clock(), about)
    return sign_token(token, context.settings.secret_key)


def check_csrf(context: AppContext, token: str, subject: int, about: str = "") -> None:
    """Check a CSRF token. Raises `TokenInvalid`, and `PageNotFound` for that of another or an old form."""
    try:
        found = open_link(context, token, Purpose.OPERATOR)
    except TokenExpired as error:
        text = "Nothing was changed. Reload the page, and press once more."
        raise PageNotFound("This form is too old", text, 410) from error
    if (found.subject, found.detail) != (subject, about):
        raise PageNotFound("This form is not complete", "Reload the page, and press once more.")


def ask(context: AppContext, subject: int, question: Question, about: str = "") -> HTMLResponse:
    token = sign_csrf(context, subject, about)
    return context.pages.show("admin_confirm.html", question=question, token=token)


def show_done(context: AppContext, notice: str) -> HTMLResponse:
    return context.pages.show("admin_done.html", notice=notice)


def operator_of(request: Request) -> str:
    """Return who posts a form, by the user name given with the password."""
    return operator_name(parse_user(request.headers.get("authorization", "")), "on /admin")
