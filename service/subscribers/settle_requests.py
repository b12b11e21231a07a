"""Settle what forms asked for, after their pages have answered: look the address up, queue a mail."""

from datetime import datetime

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings
from service.platform.signing.address_hash import email_key
from service.subscribers.domain.choices import preferences_from_json
from service.subscribers.domain.sign_up import ValidSignUp
from service.subscribers.personal_link import request_link
from service.subscribers.sign_up import request_subscription
from service.subscribers.store.mail_requests import VOTE_FOR, delete_counted, next_unsettled, settle
from service.subscribers.store.models import MailRequest
from service.subscribers.store.pending_sign_ups import delete_lapsed

# So that one task ends within seconds; the next one goes on.
MOST_AT_ONCE = 500

log = get_logger(__name__)


def settle_requests(sessions: sessionmaker[Session], settings: Settings, now: datetime) -> int:
    """Settle each waiting request in a transaction of its own; return how many there were.

    Idempotent: a settled request is deleted or marked. One that cannot be settled is logged and
    dropped, so that it does not hold up the others.
    """
    with transaction(sessions) as session:
        delete_counted(session, now)
        delete_lapsed(session, now)
    for done in range(MOST_AT_ONCE):
        if not _settle_next(sessions, settings, now):
            return done
    return MOST_AT_ONCE


def _settle_next(sessions: sessionmaker[Session], settings: Settings, now: datetime) -> bool:
    with transaction(sessions) as session:
        request = next_unsettled(session)
        if request is None:
            return False
        try:
            with session.begin_nested():
                is_mailed = _take(session, request, settings, now)
        except OperationalError:
            raise  # The database's fault; the request stays for the next task.
        except Exception:
            log.exception("request.dropped", mail_request_id=request.id)
            is_mailed = False
        settle(session, request, now, is_mailed=is_mailed)
    return True


def _take(session: Session, request: MailRequest, settings: Settings, now: datetime) -> bool:
    """Do what a request asks for; return whether a mail was queued."""
    if request.choices is None or VOTE_FOR in request.choices:
        paper_id = (request.choices or {}).get(VOTE_FOR, 0)
        keys = settings.secret_key
        return request_link(session, request.email, keys, now, vote_for=paper_id)
    chosen = preferences_from_json(request.choices)
    form = ValidSignUp(
        request.email, email_key(request.email), chosen, request.page, request.locale
    )
    return request_subscription(session, form, settings.secret_key, now)
