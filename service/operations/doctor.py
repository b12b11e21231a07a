"""The doctor: check every part that a morning depends on, with a hint for each fault."""

import smtplib
import ssl
from collections.abc import Iterator
from datetime import timedelta
from email.utils import parseaddr

import httpx2
import redis
from dns.resolver import Resolver
from kombu.exceptions import OperationalError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.states import DeliveryKind, Phase
from service.deliveries.store.demo_mark import is_demo
from service.deliveries.store.restores import get_installation, get_marked_at
from service.messages.contexts.transactional import TestContext
from service.messages.domain.errors import MailError
from service.messages.identity import make_renderer, sender_fields, signer_of
from service.messages.mime.addresses import ascii_address, wire_address
from service.messages.mime.mime import Envelope, MessageHeaders, build_message, message_id
from service.operations.dns_lookup import DnsLookup
from service.operations.domain.finding import Finding
from service.operations.figures import gate_line, warm_up_line
from service.operations.mail_setup import check_mail_setup
from service.operations.monitoring import FORBIDDEN
from service.operations.relay_checks import Greeting, check_tls, greet
from service.papers.domain.categories import SUBSUMED, suggested_category
from service.papers.domain.category_names import ARCHIVE_NAMES, CATEGORY_NAMES
from service.papers.domain.crawl_delay import RateLimited, Reply, read_status
from service.papers.domain.source_names import SOURCES
from service.papers.sources.http_fetch import Caller, retry_after_seconds
from service.papers.store.crawl_gate import SharedRateLimiter
from service.papers.store.gates import list_closed_gates
from service.platform.clock import system_clock
from service.platform.database.engine import transaction
from service.platform.database.migrate import current_revision, head_revision
from service.platform.outgoing_http import Request, open_answer
from service.platform.queue import ping_broker
from service.platform.settings.faults import SettingsError
from service.platform.settings.relays import SmtpRelay
from service.platform.settings.risks import find_risks
from service.platform.settings.settings import Settings
from service.sending.restore_guard import find_suspicion
from service.sending.smtp.transport import SmtpTransport
from service.sending.store.claim import count_due
from service.sending.store.warm_up import count_sent
from service.sending.watermark_files import watermark_places
from service.similarity.availability import describe_missing
from service.similarity.embeddings.embedders import load_embedder

HTTP_SECONDS = 5.0
# A domain that sent so many mails from here needs no warm-up any more.
MANY_SENT = 1_000
# Below PostgreSQL 18 text search has the case rules of LC_CTYPE, whatever the locale's provider.
_KNOWS_LETTERS = text("""
    SELECT lower('É') = 'é' AND to_tsvector('simple', 'É') = to_tsvector('simple', 'é')
""")


def examine(
    settings: Settings,
    sessions: sessionmaker[Session],
    probe: str | None,
    resolver: Resolver | None = None,
) -> list[Finding]:
    """Return all checks, in the order in which a morning needs the parts; mail only `probe`.

    DNS is asked through `resolver`, or else as this machine is configured.
    """
    findings = [
        Finding(fault.setting, "warn", fault.problem, fault.hint) for fault in find_risks(settings)
    ]
    findings.append(_database(settings, sessions))
    findings += _sent_marks(settings, sessions)
    findings.append(_model(settings, sessions))
    findings += _broker(settings)
    greetings: list[Greeting] = []
    findings += _relays(settings, greetings)
    findings.append(_contact(settings))
    findings += _sources(settings, sessions)
    findings += _gates(sessions)
    findings += _categories(settings)
    findings += check_mail_setup(settings, DnsLookup(resolver), greetings)
    findings += _warm_up(settings, sessions)
    findings.append(_one_click(settings))
    if probe:
        findings.append(_probe(settings, probe))
    return findings


def _database(settings: Settings, sessions: sessionmaker[Session]) -> Finding:
    try:
        revision = current_revision(settings.database_url)
        if revision != head_revision():
            detail = f"schema at {revision or 'no revision'}"
            return Finding("database", "bad", detail, "Run: paperboy migrate")
        with transaction(sessions) as session:
            version = session.execute(text("SHOW server_version")).scalar_one()
            due_count, oldest = count_due(session, system_clock())
            is_of_demo = is_demo(session)
            knows_letters = session.execute(_KNOWS_LETTERS).scalar_one()
    except SQLAlchemyError as error:
        return Finding("database", "bad", str(error).partition("\n")[0], "Check DATABASE_URL")
    detail = f"PostgreSQL {version}, schema {revision}, {due_count} due"
    if is_of_demo:
        hint = "Set DATA_DIR or DATABASE_URL to a place of your own"
        return Finding("database", "bad", "made by `paperboy demo`, so nothing is sent", hint)
    if not knows_letters:
        hint = "Make a new database with another locale (docs/install.md)"
        return Finding("database", "warn", f"{detail}; É does not match é in it", hint)
    if oldest is not None and system_clock() - oldest > timedelta(minutes=30):
        return Finding(
            "database", "warn", detail, f"Due since {oldest:%Y-%m-%d %H:%M}: see the worker"
        )
    return Finding("database", "good", detail)


def _warm_up(settings: Settings, sessions: sessionmaker[Session]) -> Iterator[Finding]:
    """Say that a domain that has hardly sent anything should begin with little."""
    if not settings.smtp_url or "." not in settings.from_domain:
        return
    try:
        with transaction(sessions) as session:
            line = warm_up_line(session, settings, system_clock())
            sent_count = count_sent(session, settings.envelope_domain, MANY_SENT)
    except SQLAlchemyError:
        return  # `_database` says so
    if line is not None:
        limit = f"day {line.day} of {line.days}, {line.limit:,} mails to each provider"
        yield Finding("warm-up", "good", limit)
    elif not settings.warm_up_days and sent_count < MANY_SENT:
        detail = f"{settings.from_domain} sent {sent_count} mails from here"
        hint = "If the domain is new: PAPERBOY_WARM_UP_DAYS=14 (docs/delivery.md)"
        yield Finding("warm-up", "warn", detail, hint)


def _sent_marks(settings: Settings, sessions: sessionmaker[Session]) -> Iterator[Finding]:
    """Check whether the database is known to be the newest, and every place that shows it."""
    try:
        suspicion = find_suspicion(sessions, settings, system_clock())
        with transaction(sessions) as session:
            installation, is_marked = get_installation(session), bool(get_marked_at(session))
    except SQLAlchemyError:
        return  # The check of the database says it.
    if suspicion:
        yield Finding("sent mark", "bad", str(suspicion), "docs/operations.md, Backup")
        return
    lost = [place.name for place in watermark_places(settings) if not place.read(installation)]
    if is_marked and lost:
        hint = "It is written again when mail is sent; if not, see the worker's log"
        yield Finding("sent mark", "warn", f"missing in {' and '.join(lost)}", hint)
    else:
        detail = "in every place" if is_marked else "written before the first mail"
        yield Finding("sent mark", "good", detail)


def _model(settings: Settings, sessions: sessionmaker[Session]) -> Finding:
    """Check what `like:` needs; running without it, or without a model (BM25 only), is no fault."""
    try:
        with transaction(sessions) as session:
            missing = describe_missing(session)
        if missing:
            off = f"like: and similar papers are off: {missing[0]}"
            return Finding("model", "warn", off, missing[1])
    except SQLAlchemyError:
        pass  # The check of the database says it.
    try:
        return Finding("model", "good", load_embedder(settings.embedder).name)
    except SettingsError as error:
        return Finding("model", "bad", error.faults[0].problem, error.faults[0].hint)


def _broker(settings: Settings) -> Iterator[Finding]:
    """Check the broker, and Redis beside it where that is another server."""
    if settings.broker_url:
        try:
            ping_broker(settings.queue_url, 3)
            yield Finding("broker", "good", "answers")
        except (OperationalError, OSError) as error:
            hint = "Check BROKER_URL; nothing is lost meanwhile"
            yield Finding("broker", "bad", " ".join(str(error).split()), hint)
    name = "redis" if settings.broker_url else "broker"
    try:
        with redis.Redis.from_url(settings.redis_url, socket_timeout=3) as client:
            client.ping()
        yield Finding(name, "good", "answers")
    except (redis.RedisError, OSError) as error:
        yield Finding(name, "bad", str(error), "Check REDIS_URL; nothing is lost meanwhile")


def _relays(settings: Settings, greetings: list[Greeting]) -> Iterator[Finding]:
    """Check each relay; add those that answered to `greetings`."""
    for relay in settings.relays:
        name = f"relay {relay.name}"
        try:
            greeting = greet(relay)
        except (smtplib.SMTPException, OSError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            yield Finding(name, "bad", reason, "Check SMTP_URL and the firewall")
            continue
        yield Finding(name, "good", "listens" if settings.smtp_url else "development mailbox")
        if settings.smtp_url:
            greetings.append(greeting)
            yield from check_tls(relay)
        if settings.smtputf8:
            yield _smtputf8(relay)


def _smtputf8(relay: SmtpRelay) -> Finding:
    """Check that a relay accepts addresses with letters outside ASCII before the @ (RFC 6531)."""
    name = f"SMTPUTF8 {relay.name}"
    connect = smtplib.SMTP_SSL if relay.use_tls else smtplib.SMTP
    try:
        with connect(relay.host, relay.port, timeout=HTTP_SECONDS) as client:
            client.ehlo()
            if relay.starttls != "off" and client.has_extn("starttls"):
                client.starttls(context=ssl.create_default_context())
                client.ehlo()
            is_offered = client.has_extn("smtputf8")
    except (smtplib.SMTPException, OSError) as error:
        return Finding(name, "warn", " ".join(str(error).split()))
    if is_offered:
        return Finding(name, "good", "offered")
    hint = "Unset PAPERBOY_SMTPUTF8, or readers with such addresses get nothing"
    return Finding(name, "bad", "not offered", hint)


def _contact(settings: Settings) -> Finding:
    """Check that our requests name whom a source can write to."""
    agent = Caller(settings.base_url, settings.contact).user_agent
    if settings.contact:
        return Finding("contact", "good", agent)
    detail = f"sources see {agent}: they can write to nobody before they block us"
    hint = "Set PAPERBOY_CONTACT to an address or page of yours"
    return Finding("contact", "warn", detail, hint)


def _sources(settings: Settings, sessions: sessionmaker[Session]) -> Iterator[Finding]:
    """Ask each source for a head, with the manners of every other request."""
    gate = SharedRateLimiter(sessions.kw["bind"], longest_hold_seconds=int(2 * HTTP_SECONDS))
    for source in SOURCES:
        if source.name not in settings.sources or not source.doctor_setting:
            continue
        name, url = f"source {source.name}", getattr(settings, source.doctor_setting)
        try:
            status, reply = _ask(url, settings, gate)
        except httpx2.HTTPError as error:
            reason = " ".join(str(error).split())
            yield Finding(name, "warn", reason, "Is the network closed?")
        except RateLimited as error:
            yield Finding(name, "warn", f"not asked: {error}", "Try again then, or see its gate")
        except SQLAlchemyError:
            yield Finding(name, "warn", "not asked: its gate is in the database")
        else:
            if reply in {Reply.WELCOME, Reply.FAULTY}:
                yield Finding(name, "good", "answers")
            else:
                hint = "Ask the source why, if a fetch is refused as well: paperboy ingest"
                yield Finding(name, "warn", f"refuses us: HTTP {status}", hint)


def _ask(url: str, settings: Settings, gate: SharedRateLimiter) -> tuple[int, Reply]:
    """Return the answer to a HEAD. A source may forbid just that, which closes no gate."""
    agent = Caller(settings.base_url, settings.contact).user_agent
    wanted = Request(
        url,
        HTTP_SECONDS,
        HTTP_SECONDS,
        "HEAD",
        headers={"User-Agent": agent},
        follows=False,
        before=gate.wait,
    )
    with gate.hold(url), open_answer(wanted) as answer:
        status = answer.response.status_code
        wait = retry_after_seconds(answer.response.headers.get("Retry-After"), system_clock())
        reply = read_status(status, wait)
        if reply in {Reply.TOO_MANY, Reply.BUSY}:
            gate.report(url, status, wait)
        return status, reply


def _gates(sessions: sessionmaker[Session]) -> Iterator[Finding]:
    """Name the hosts that refused us, and until when they are left alone."""
    try:
        with transaction(sessions) as session:
            closed = [gate_line(row) for row in list_closed_gates(session)]
    except SQLAlchemyError:
        return  # The check of the database says it.
    for gate in closed:
        until = f"closed until {gate.until:%Y-%m-%d %H:%M} UTC, since it answered {gate.reason}"
        hint = f"When it is settled with the source, run: paperboy reopen {gate.host}"
        yield Finding(
            f"gate {gate.host}", "bad" if gate.reason == FORBIDDEN else "warn", until, hint
        )


def _categories(settings: Settings) -> Iterator[Finding]:
    """Check the watched categories: one that arXiv does not have would be awaited every day."""
    for category in settings.arxiv_categories if "arxiv" in settings.sources else ():
        if category in CATEGORY_NAMES or category in ARCHIVE_NAMES:
            continue
        similar = SUBSUMED.get(category) or suggested_category(category)
        hint = f"Write {similar}" if similar else "See arxiv.org/category_taxonomy"
        yield Finding("arxiv_categories", "bad", f"arXiv has no category {category}", hint)


def _one_click(settings: Settings) -> Finding:
    """Check RFC 8058 on our site: a POST without cookies gets no redirect and no cookie."""
    url = f"{settings.base_url}/unsubscribe/not-a-real-token"
    try:
        response = httpx2.post(url, data={"List-Unsubscribe": "One-Click"}, timeout=HTTP_SECONDS)
    except httpx2.HTTPError as error:
        return Finding(
            "one-click", "warn", f"{settings.base_url} does not answer: {error}", "Is the site up?"
        )
    if response.is_redirect or "set-cookie" in response.headers:
        return Finding(
            "one-click", "bad", "redirected or set a cookie", "Check the proxy: RFC 8058 forbids it"
        )
    detail = f"answers {response.status_code} without redirect or cookie"
    return Finding("one-click", "good", detail)


def _probe(settings: Settings, address: str) -> Finding:
    now = system_clock()
    context = TestContext(at=now, **sender_fields(settings))
    number = int(now.timestamp())
    identity = message_id(
        DeliveryKind.TEST, number, settings.secret_key[0].encode(), settings.envelope_domain
    )
    headers = MessageHeaders(
        sender=settings.mail_from, to=address, message_id=identity, date=now, kind=DeliveryKind.TEST
    )
    try:
        rendered = make_renderer(settings).render(DeliveryKind.TEST, context)
        payload = build_message(rendered, headers)
        signer = signer_of(settings)
        if signer is not None:
            payload = signer.sign(payload, now)
        sender = ascii_address(parseaddr(settings.mail_from)[1], "From")
        envelope = Envelope(1, sender, wire_address(address), payload)
    except MailError as error:
        return Finding("probe", "bad", str(error))
    transport = SmtpTransport(settings.relays, connections=1)
    try:
        outcome = transport.send([envelope])[1]
    finally:
        transport.close()
    is_sent = outcome.phase is Phase.REPLIED and outcome.code < 300
    return Finding("probe", "good" if is_sent else "bad", outcome.reply)
