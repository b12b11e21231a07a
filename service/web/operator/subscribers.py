"""`/admin/subscribers`: the list with search and filter, its export as CSV, and adding one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import SubscriberState
from service.platform.database.engine import transaction
from service.platform.signing.address_hash import email_key
from service.presentation.sanitize import clean
from service.subscribers.bulk_import import add_subscriber
from service.subscribers.directory import write_csv
from service.subscribers.store.directory import DirectoryPage, SubscriberFilter, list_page
from service.subscribers.store.subscribers import count_by_state, find_by_email, get_topics
from service.subscribers.store.suppressions import find_reason
from service.subscribers.validate import FormFault, SignUpError, validate_address, validate_sign_up
from service.web.core.context import AppContext, Context
from service.web.operator.auth import check_operator
from service.web.operator.forms import check_csrf, operator_of, sign_csrf
from service.web.views.posted_preferences import PostedPreferences
from service.web.views.sign_up_form import TypedForm, blank_form, with_example, with_faults

router = APIRouter(include_in_schema=False, dependencies=[Depends(check_operator)])

# The maximum of Postgres' bigint; a larger parameter would be an error.
LARGEST_ID = 2**63 - 1
_LONGEST_TEXT = 320
_CSV_NAME = 'attachment; filename="paperboy-subscribers.csv"'

_KNOWN = FormFault(
    "email", "This address is subscribed already or suppressed; nothing was changed."
)

RowId = Annotated[int | None, Query(ge=0, le=LARGEST_ID)]


def parse_filter(q: str = "", state: str = "") -> SubscriberFilter:
    """Return the filter of a URL; an unknown state is none. A dependency of routes."""
    known = SubscriberState(state) if state in set(SubscriberState) else None
    return SubscriberFilter(clean(q).strip()[:_LONGEST_TEXT], known)


Chosen = Annotated[SubscriberFilter, Depends(parse_filter)]


@router.get("/admin/subscribers")
def show_list(
    context: Context, chosen: Chosen, before: RowId = None, after: RowId = None
) -> HTMLResponse:
    with transaction(context.sessions) as session:
        listed = _load(session, list_page(session, chosen, before=before, after=after))
    return _show(context, chosen, listed)


@dataclass(frozen=True, slots=True)
class ListedSubscribers:
    """A page of the list with its topics, and how many subscribers there are by state."""

    page: DirectoryPage
    topics: Mapping[int, Sequence[tuple[str, str]]]
    counts: Mapping[SubscriberState, int]


def _load(session: Session, page: DirectoryPage) -> ListedSubscribers:
    topics = get_topics(session, [subscriber.id for subscriber in page.subscribers])
    return ListedSubscribers(page, topics, count_by_state(session))


def _show(
    context: AppContext, chosen: SubscriberFilter, listed: ListedSubscribers, fault: str = ""
) -> HTMLResponse:
    return context.pages.show(
        "admin_subscribers.html",
        status=404 if fault else 200,
        page=listed.page,
        topics=listed.topics,
        chosen=chosen,
        states={state: listed.counts.get(state, 0) for state in SubscriberState},
        query=filter_query(chosen),
        fault=fault,
    )


def filter_query(chosen: SubscriberFilter) -> str:
    """Return the filter as a query string, to which further parameters may be added."""
    return urlencode({"q": chosen.text, "state": chosen.state or ""})


@router.post("/admin/subscribers")
def search(
    context: Context, q: Annotated[str, Form()] = "", state: Annotated[str, Form()] = ""
) -> Response:
    """Search: go to the one subscriber with an address, else to the list.

    A POST, so that whole addresses do not come into URLs, and from there into logs and histories.
    """
    chosen = parse_filter(q, state)
    try:
        key = email_key(validate_address(chosen.text, takes_utf8=True))
    except SignUpError:
        return RedirectResponse(f"/admin/subscribers?{filter_query(chosen)}", 303)
    with transaction(context.sessions) as session:
        found = find_by_email(session, key)
        if found is not None:
            return RedirectResponse(f"/admin/subscribers/{found.id}", 303)
        reason = find_reason(session, key, context.settings.secret_key)
        listed = _load(session, DirectoryPage(()))
    why = f" It is suppressed: {reason.replace('_', ' ')}." if reason else ""
    return _show(context, chosen, listed, f"No reader has this address.{why}")


@router.get("/admin/subscribers.csv")
def export_list(context: Context, chosen: Chosen) -> StreamingResponse:
    """Return the listed subscribers in the form that `subscribers import` takes."""
    pieces = write_csv(context.sessions, chosen)
    headers = {"Content-Disposition": _CSV_NAME}
    return StreamingResponse(pieces, media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/admin/subscribers/new")
def show_blank(context: Context) -> HTMLResponse:
    return _show_form(context, blank_form(context.settings), is_confirmed=False)


def _show_form(context: AppContext, form: TypedForm, *, is_confirmed: bool) -> HTMLResponse:
    return context.pages.show(
        "admin_add.html",
        status=422 if form.faults else 200,
        form=with_example(form, context.clock()),
        is_confirmed=is_confirmed,
        token=sign_csrf(context, 0, "add"),
    )


class AddForm(PostedPreferences):
    """The posted form with its CSRF token, the address, and whether the operator vouches for it."""

    token: str = ""
    email: str = ""
    confirmed: str = ""


@router.post("/admin/subscribers/new")
def add(*, context: Context, request: Request, posted: Annotated[AddForm, Form()]) -> Response:
    """Add a subscriber, who is asked to confirm unless the operator vouches for the address."""
    check_csrf(context, posted.token, 0, "add")
    is_confirmed = posted.confirmed == "yes"
    form = replace(
        posted.merge_into(blank_form(context.settings)),
        email=clean(posted.email).strip()[:_LONGEST_TEXT],
        page=operator_of(request),
    )
    keys, now = context.settings.secret_key, context.clock()
    try:
        with transaction(context.sessions) as session:
            takes_utf8 = context.settings.smtputf8
            valid = validate_sign_up(session, form, takes_utf8=takes_utf8, is_public=False)
            added = add_subscriber(session, valid, keys, now, is_confirmed=is_confirmed)
    except SignUpError as error:
        return _show_form(context, with_faults(form, error.faults), is_confirmed=is_confirmed)
    if added is None:
        return _show_form(context, with_faults(form, [_KNOWN]), is_confirmed=is_confirmed)
    context.enqueue("deliver_urgent")
    return RedirectResponse(f"/admin/subscribers/{added.id}?done=added", 303)
