"""Error pages and exception handlers. A page says what to do next and never shows a traceback."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from structlog.contextvars import get_contextvars

from service.operations.monitoring import Crash, report_crash
from service.platform.database.engine import OUT_OF_TIME
from service.platform.logs import get_logger
from service.platform.queue import REQUEST_ID
from service.platform.signing.tokens import TokenEnded, TokenError, TokenExpired, TokenInvalid
from service.platform.work_budget import BudgetSpent
from service.web.core.context import get_context
from service.web.core.middleware import add_headers
from service.web.core.problems import ApiProblem, FieldProblem, answer_problem, is_api
from service.web.core.work_slots import RETRY_SECONDS, Busy

_CRASH_TITLE = "Something went wrong on our side"
_CRASH_TEXT = (
    "Please try again in a minute. If it happens again, this number helps to find out why: {}."
)
_ALERTED = " The operator gets a mail about it, with this number."

_TOO_LONG = "This took too long. Please try again in a minute, or ask for something simpler."
# By then whatever held the statement up is probably over.
_LATER_SECONDS = 60
# Of the values of one request that are wrong.
_MOST_SHOWN = 20
_TOO_COSTLY = "This needs more work than one page may take; please ask with fewer words."

log = get_logger(__name__)


class PageNotFound(Exception):
    """The page does not exist; `text` says what the visitor may do instead.

    `status` is 404, or 410 where it existed once.
    """

    def __init__(self, title: str, text: str, status: int = 404) -> None:
        super().__init__(title)
        self.title = title
        self.text = text
        self.status = status


def _show_fault(
    request: Request, status: int, title: str, text: str, *, old_link: str = ""
) -> Response:
    """Show the page; with `old_link`, the path of an expired link, one click mails a new one.

    Under `/api/` the text is a problem instead (RFC 9457).
    """
    if is_api(request.url.path):
        return answer_problem(ApiProblem(status, f"{title}. {text}"))
    pages = get_context(request).pages
    return pages.show("fault.html", status=status, heading=title, text=text, old_link=old_link)


def show_page_not_found(request: Request, error: PageNotFound) -> Response:
    return _show_fault(request, error.status, error.title, error.text)


_HTTP_TEXTS = {
    401: ("This is for the operator", "Give the password that PAPERBOY_ADMIN_PASSWORD sets."),
    404: (
        "There is no such page",
        "A mail program may have cut off the address. Today’s papers are on the front page.",
    ),
    405: ("Method not allowed", "This address does not accept that kind of request."),
    408: ("The request took too long", "It did not arrive whole in time. Please try again."),
    413: (
        "Request too large",
        "No form here takes so much, and a file of references has at most 2 MB.",
    ),
}
_OTHER_TEXT = ("We could not read the request", "It was not complete. Please try again.")


def show_http_error(request: Request, error: HTTPException) -> Response:
    if is_api(request.url.path):
        return answer_problem(ApiProblem(error.status_code, headers=error.headers))
    title, text = _HTTP_TEXTS.get(error.status_code, _OTHER_TEXT)
    answer = _show_fault(request, error.status_code, title, text)
    answer.headers.update(error.headers or {})
    return answer


def show_problem(_request: Request, problem: ApiProblem) -> Response:
    return answer_problem(problem)


def show_unreadable(request: Request, error: RequestValidationError) -> Response:
    if is_api(request.url.path):
        return answer_problem(_describe_unreadable(error))
    text = "A value in it is not what this page expects."
    return _show_fault(request, 422, "We could not read the request", text)


def _describe_unreadable(error: RequestValidationError) -> ApiProblem:
    """Return which values are wrong. What was sent is left out, since it may be a secret."""
    found = error.errors()
    if any(each["type"] == "json_invalid" for each in found):
        return ApiProblem(400)
    errors = [
        FieldProblem(".".join(map(str, each["loc"][1:])), each["msg"])
        for each in found[:_MOST_SHOWN]
    ]
    return ApiProblem(422, errors=errors)


def show_invalid_link(request: Request, error: TokenError) -> Response:
    if is_api(request.url.path):
        return _refuse_token(error)
    text = (
        "A mail program may have cut it off. Open it from the mail again, or have a new link sent "
        "to your address: you lose nothing by that."
    )
    return _show_fault(request, 404, "This link is not complete", text)


def _refuse_token(error: TokenError) -> Response:
    challenge = {"WWW-Authenticate": 'Bearer realm="Paperboy", error="invalid_token"'}
    return answer_problem(ApiProblem(401, str(error), headers=challenge))


def show_expired_link(request: Request, error: TokenError) -> Response:
    if is_api(request.url.path):
        return _refuse_token(error)
    text = (
        "Links stop working after a while, and once you have left, so that an old mail in wrong "
        "hands does no harm. We send a new one to the address that got this one."
    )
    path = request.url.path
    return _show_fault(request, 410, "This link has expired", text, old_link=path)


def show_out_of_time(request: Request, error: DBAPIError) -> Response:
    """Return 503 where PostgreSQL ended a statement or a transaction at its time limit."""
    if getattr(error.orig, "sqlstate", "") not in OUT_OF_TIME:
        raise error
    log.warning("request.out_of_time", reason=type(error.orig).__name__)
    return show_busy_error(request, Busy(503, _TOO_LONG, _LATER_SECONDS))


def show_busy_error(request: Request, error: Busy) -> Response:
    """Say in one sentence that the request may come again later, in the form that was asked for."""
    path, headers = request.url.path, {"Retry-After": str(error.wait)}
    if is_api(path):
        return answer_problem(ApiProblem(error.status, error.text, headers=headers))
    if path.startswith(("/feeds/", "/feed/")):
        return PlainTextResponse(f"{error.text}\n", error.status, headers)
    if path == "/topics/preview/live":
        body = {"summary": error.text, "fault": "", "result": f"<p>{error.text}</p>"}
        return JSONResponse(body, error.status, headers)
    accepted = request.headers.get("accept", "")
    if "application/json" in accepted and "text/html" not in accepted:
        return JSONResponse({"error": error.text}, error.status, headers)
    answer = _show_fault(request, error.status, "Not right now", error.text)
    answer.headers.update(headers)
    return answer


def show_budget_spent(request: Request, _error: Exception) -> Response:
    return show_busy_error(request, Busy(503, _TOO_COSTLY, RETRY_SECONDS))


def show_ended_link(request: Request, error: TokenError) -> Response:
    if is_api(request.url.path):
        return _refuse_token(error)
    text = (
        "Links end when the address changes, and when their owner ends them all. The newest mail has "
        "working ones, or have one sent to the address that gets your digests."
    )
    return _show_fault(request, 410, "This link was ended", text)


def show_crash(request: Request, error: Exception) -> Response:
    """Return the page of an unexpected error; it promises only what has happened already."""
    text = _CRASH_TEXT.format(get_contextvars().get(REQUEST_ID, "unknown"))
    if _alert(request, error):
        text += _ALERTED
    try:
        answer = _show_fault(request, 500, _CRASH_TITLE, text)
    except Exception:
        # The fault is in what renders pages.
        log.exception("fault_page.broken")
        answer = PlainTextResponse(f"{_CRASH_TITLE}. {text}\n", status_code=500)
    # This handler runs outside of all middleware.
    add_headers(answer.headers, request.url.path)
    return answer


def _alert(request: Request, error: Exception) -> bool:
    """Queue a mail to the operator; return whether there is one about this request."""
    context = get_context(request)
    if not context.settings.alert_to:
        return False
    route = getattr(request.scope.get("route"), "path", "")
    crash = Crash(
        request_id=str(get_contextvars().get(REQUEST_ID, "")),
        # The route has `{token}` where the path has the token itself.
        place=f"{request.method} {route}".strip(),
        error=type(error).__name__,
    )
    try:
        number = report_crash(context.sessions, context.settings, crash, context.clock())
    except Exception:
        # Most likely the database is down, which may be why we are here.
        log.exception("crash.not_reported")
        return False
    if number is not None:
        context.enqueue("deliver_urgent")
    return number is not None


def add_fault_pages(app: FastAPI) -> None:
    app.exception_handler(PageNotFound)(show_page_not_found)
    app.exception_handler(HTTPException)(show_http_error)
    app.exception_handler(ApiProblem)(show_problem)
    app.exception_handler(RequestValidationError)(show_unreadable)
    app.exception_handler(Busy)(show_busy_error)
    app.exception_handler(BudgetSpent)(show_budget_spent)
    app.exception_handler(TokenInvalid)(show_invalid_link)
    app.exception_handler(TokenExpired)(show_expired_link)
    app.exception_handler(TokenEnded)(show_ended_link)
    app.exception_handler(DBAPIError)(show_out_of_time)
    app.exception_handler(Exception)(show_crash)
