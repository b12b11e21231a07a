"""Pages for what went wrong: they say what to do next, and never show a traceback."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from starlette.exceptions import HTTPException

from service.platform.signing.tokens import TokenExpired, TokenInvalid
from service.web.core.context import get_context
from service.web.core.middleware import add_headers

_PLAIN_500 = "Something broke on our side, and we have been told. Please try again in a minute.\n"


class PageNotFound(Exception):
    """A page that is not there; `text` says what the visitor may do instead.

    `status` is 404, or 410 where it was there once.
    """

    def __init__(self, title: str, text: str, status: int = 404) -> None:
        super().__init__(title)
        self.title = title
        self.text = text
        self.status = status


def _show_fault(request: Request, status: int, title: str, text: str) -> Response:
    pages = get_context(request).pages
    return pages.show("fault.html", status=status, heading=title, text=text)


def show_not_here(request: Request, error: PageNotFound) -> Response:
    return _show_fault(request, error.status, error.title, error.text)


_HTTP_TEXTS = {
    401: ("This is for the operator", "Give the password that PAPERBOY_ADMIN_PASSWORD sets."),
    404: (
        "There is no such page",
        "The address may have been cut off in a mail. Today’s papers are on the front page.",
    ),
    405: ("Not this way", "This address does not take that kind of request."),
    429: ("Too many wrong passwords", "Try again in an hour, or from elsewhere."),
    413: ("That is too much", "No form of ours is that large."),
}
_OTHER_TEXT = ("We could not read that", "The request was not complete. Please try again.")


def show_http_error(request: Request, error: HTTPException) -> Response:
    title, text = _HTTP_TEXTS.get(error.status_code, _OTHER_TEXT)
    answer = _show_fault(request, error.status_code, title, text)
    answer.headers.update(error.headers or {})
    return answer


def show_unreadable(request: Request, _error: Exception) -> Response:
    text = "Something in the request was not what this page expects."
    return _show_fault(request, 422, "We could not read that", text)


def show_invalid_link(request: Request, _error: Exception) -> Response:
    text = (
        "It may have been cut off by a mail program. Open it from the mail once more, or ask for "
        "a new mail by signing up again with the same address: nothing is lost by that."
    )
    return _show_fault(request, 404, "This link is not complete", text)


def show_expired_link(request: Request, _error: Exception) -> Response:
    text = (
        "Links that prove an address end after some days. Ask for a new mail by signing up again "
        "with the same address; the newest mail always holds links that work."
    )
    return _show_fault(request, 410, "This link has expired", text)


def show_crash(request: Request, _error: Exception) -> Response:
    # Plain on purpose: whatever broke may be what pages are made with. It is made outside of all
    # middleware, so the headers are added here.
    answer = PlainTextResponse(_PLAIN_500, status_code=500)
    add_headers(answer.headers, request.url.path)
    return answer


def add_fault_pages(app: FastAPI) -> None:
    app.exception_handler(PageNotFound)(show_not_here)
    app.exception_handler(HTTPException)(show_http_error)
    app.exception_handler(RequestValidationError)(show_unreadable)
    app.exception_handler(TokenInvalid)(show_invalid_link)
    app.exception_handler(TokenExpired)(show_expired_link)
    app.exception_handler(Exception)(show_crash)
