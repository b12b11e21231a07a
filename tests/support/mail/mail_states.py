"""Every mail in every relevant state, with invented papers and people: for the gallery and tests."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from service.deliveries.alerts import Alert
from service.deliveries.domain.digest import TRENDING_TITLE
from service.deliveries.domain.recipients import Cadence, Timing
from service.deliveries.domain.states import DeliveryKind
from service.editions.domain.arrivals import Times, find_first_digest
from service.editions.domain.coverage import Coverage
from service.editions.domain.silence import explain_silence
from service.messages.contexts.base import Brand
from service.messages.contexts.digest import DigestContext, DigestPaper, DigestSection, DigestUpdate
from service.messages.contexts.transactional import (
    AddressChangeContext,
    AddressNoticeContext,
    ConfirmationContext,
    DailyReportContext,
    FarewellContext,
    MailContext,
    OperatorAlertContext,
    PausedContext,
    PersonalLinkContext,
    ResumedContext,
    TestContext,
    TopicsChangedContext,
    WelcomeContext,
)
from service.messages.rendering.renderer import RenderedMail, Renderer
from service.papers.domain.types import AnnounceType, PaperEventKind
from service.presentation.arrivals import lateness_text
from service.topics.domain.types import Reason
from support.mail.fixtures import name_queries
from support.mail.invented_digests import (
    ABSTRACT,
    ADDRESS,
    HOME,
    TOKEN,
    TUESDAY,
    make_digest,
    make_entry,
)
from support.mail.unusual_days import missed_days, outage

AT = datetime(2026, 4, 21, 7, 5, tzinfo=UTC)
KNOWN_HOSTS = frozenset({"papers.example.org", "arxiv.org", "github.com", "logo.example.org"})


@dataclass(frozen=True, slots=True)
class State:
    """A mail in one state; `name` is that of its file, `title` says what is special about it."""

    name: str
    title: str
    kind: DeliveryKind
    context: MailContext


def _group(title: str, *entries: DigestPaper, topic_id: int = 12) -> DigestSection:
    return DigestSection(title=title, papers=entries, topic_id=topic_id)


def _digests() -> Iterator[tuple[str, str, DigestContext]]:
    topic = "Prompt tuning, language model"
    yield "one", "One paper", make_digest(_group(topic, make_entry(0)))
    yield "typical", "A typical day", _typical()
    many = tuple(make_entry(n, upvotes=n % 5) for n in range(25))
    yield (
        "forty",
        "Forty papers: a list in brief, and a link to what did not fit",
        make_digest(_group(topic, *many), cut_count=15),
    )
    yield (
        "empty",
        "Nothing today, for readers who want a mail all the same",
        make_digest(topics=("Prompt tuning",)),
    )
    yield (
        "empty-so-far",
        "Nothing yet, and the day is incomplete",
        make_digest(
            topics=("Prompt tuning",),
            coverage=Coverage(
                announced=412, checked=371, is_complete=False, note="Not complete yet: stat.ML."
            ),
        ),
    )
    yield (
        "outage",
        "A category could not be reached",
        replace(_typical(), coverage=outage("cs.LG")),
    )
    everything = outage("cs.LG", "cs.CL")
    yield (
        "outage-empty",
        "Nothing could be reached",
        make_digest(
            topics=("Prompt tuning",),
            coverage=everything,
            silence=explain_silence(everything, ['"prompt tuning"'], ("cs.LG", "cs.CL"), "today"),
        ),
    )
    missed = missed_days()
    yield (
        "missed-days",
        "After days on which the service was down",
        replace(_typical(), coverage=missed.coverage, covers=missed.covers, remarks=missed.remarks),
    )
    yield (
        "catch-up",
        "Papers of a pause",
        replace(
            _typical(),
            since=date(2026, 4, 6),
            coverage=Coverage(announced=4_512, checked=4_512),
            updates=(),
            also=(),
            cut_count=4,
        ),
    )
    yield "hard", "Hard titles: formulas, markup, code, very long words", _hard()
    yield "right-to-left", "Titles and names from right to left", _right_to_left()
    yield "wide", "Chinese, Japanese, Korean", _wide()
    yield (
        "trending",
        "A weekly edition for a reader without topics, in a locale",
        make_digest(
            _group(
                TRENDING_TITLE,
                *(make_entry(n, reasons=(), upvotes=40 - n) for n in range(3)),
                topic_id=0,
            ),
            cadence=Cadence.WEEKLY,
            covers=(date(2026, 4, 13), date(2026, 4, 19)),
            topics=(),
            locale="de-DE",
        ),
    )
    brand = Brand(
        name="The Example Reading Room",
        accent="#14507a",
        accent_night="#8fc3ea",
        footer="Made by the library of the Example Institute.",
    )
    yield "brand", "With an operator's own name and colour", replace(_typical(), brand=brand)
    yield (
        "logo",
        "With a logo that does not load: its text is shown",
        make_digest(
            _group(topic, make_entry(0)),
            brand=Brand(name="Example Reading Room", logo="https://logo.example.org/none.png"),
        ),
    )


def _typical() -> DigestContext:
    return make_digest(
        _group(
            "Prompt tuning, language model",
            make_entry(0, upvotes=14, github_url="https://github.com/example/twelve"),
            make_entry(1, revision=3, announced_as=AnnounceType.REPLACE, version=3),
            make_entry(2, is_late=True, announced_on=date(2026, 4, 20), maybe_seen=True),
        ),
        _group(
            'au:"Ada Example"',
            make_entry(
                3,
                announced_as=AnnounceType.CROSS,
                primary_category="stat.ML",
                categories=("stat.ML", "cs.LG"),
                reasons=(Reason('au:"Ada Example"', "author", ("Ada Example",), True),),
                summary="Soft prompts fail in four ways; each has a sign one can look for.",
            ),
            topic_id=13,
        ),
        also=(make_entry(4, reasons=()),),
        coverage=Coverage(
            announced=412,
            checked=408,
            late=1,
            late_days=((date(2026, 4, 20), 1),),
            is_complete=False,
            note="arXiv had not announced stat.ML when this was sent; its papers come tomorrow.",
        ),
        updates=(
            DigestUpdate(
                title="Soft Prompts for Hard Times",
                url="https://arxiv.org/abs/2603.90001",
                kind=PaperEventKind.WITHDRAWN,
            ),
            DigestUpdate(
                title="How Much Prompt Is Enough?",
                url="https://arxiv.org/abs/2602.90002",
                kind=PaperEventKind.REVISED,
                detail="v3",
            ),
        ),
        topics=("Prompt tuning, language model", "Ada Example"),
    )


def _hard() -> DigestContext:
    titles = (
        "On the $O(n\\log n)$ bound for $a<b$ & $x>y$: an <i>unescaped</i> story",
        "`for i in range(n): x[i] <- f(x[i-1])` considered harmful </p></td>",
        "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2,
        "α → β, ‖x‖₂ ≤ ε, 𝔼[X²] < ∞ and ∇·F = 0: a formula in a title 🤖",
    )
    entries = (
        make_entry(
            10 + n,
            title=title,
            abstract=f"{title}. " + ABSTRACT,
            authors=tuple(f"Firstname{m} Ünusually-Long-Surname" for m in range(3_000)),
            reasons=(Reason('"<script>"', "title", ("<script>", "bound")),),
        )
        for n, title in enumerate(titles)
    )
    return make_digest(_group('"<script>alert(1)</script>" OR bound', *entries))


def _right_to_left() -> DigestContext:
    entries = (
        make_entry(
            20,
            title="כיוונון הנחיות למודלי שפה: מחקר לדוגמה",
            abstract="אנו שואלים כמה וקטורים נדרשים, ומוצאים כי 12 מספיקים. " * 4,
            authors=("עדה לדוגמה", "Bo Sample"),
        ),
        make_entry(
            21,
            title="ضبط التوجيهات لنماذج اللغة: دراسة مثال (Prompt Tuning)",
            abstract="نسأل كم من المتجهات يلزم، ونجد أن 12 منها تكفي في معظم المهام. " * 4,
            authors=("آدا مثال", "Cleo Placeholder"),
        ),
    )
    return make_digest(_group("Prompt tuning", *entries))


def _wide() -> DigestContext:
    entries = (
        make_entry(30, title="言語モデルのプロンプト調整:架空の研究", authors=("見本 花子",)),
        make_entry(
            31, title="语言模型的提示调优:一个虚构的研究", abstract="我们提出一个问题。" * 40
        ),
        make_entry(32, title="언어 모델의 프롬프트 튜닝: 가상의 연구", authors=("홍 길동",)),
    )
    return make_digest(_group("Prompt tuning", *entries))


def _letters() -> Iterator[tuple[str, str, DeliveryKind, MailContext]]:
    own: dict[str, Any] = {"home": f"{HOME}/", "operator_address": ADDRESS}
    ways: dict[str, Any] = {
        "preferences": f"{HOME}/preferences/{TOKEN}",
        "unsubscribe": f"{HOME}/unsubscribe/{TOKEN}",
        **own,
    }
    proof: dict[str, Any] = {
        "confirm_url": f"{HOME}/confirm/{TOKEN}",
        "never_url": f"{HOME}/never/{TOKEN}",
        "expires_days": 7,
        "on": TUESDAY,
        **own,
    }
    hour: dict[str, Any] = {"next_hour": 7, "timezone": "Europe/Berlin"}
    topics = name_queries('"prompt tuning" cat:cs.CL', 'au:"Ada Example"')
    kind = DeliveryKind
    yield ("confirmation", "Confirm the address", kind.CONFIRMATION, ConfirmationContext(**proof))
    yield (
        "personal-link",
        "The link was lost, or the address signed up again",
        kind.PERSONAL_LINK,
        PersonalLinkContext(cadence=Cadence.WEEKDAYS, on=TUESDAY, **hour, **ways),
    )
    yield (
        "personal-link-paused",
        "The link was lost during a pause",
        kind.PERSONAL_LINK,
        PersonalLinkContext(
            is_paused=True, until=date(2026, 5, 4), on=TUESDAY, locale="fr-FR", **hour, **ways
        ),
    )
    shown = DigestSection(title=topics[0].name, papers=(make_entry(0), make_entry(1)))
    berlin, tokyo = (
        Times(Cadence.DAILY, 7, zone, Timing.AT_HOUR) for zone in ("Europe/Berlin", "Asia/Tokyo")
    )
    first = find_first_digest(berlin, AT)
    welcome = WelcomeContext(
        on=TUESDAY, topics=topics, preview=(shown,), first=first, **hour, **ways
    )
    yield "welcome", "Welcome, with papers of the last days", kind.WELCOME, welcome
    yield (
        "welcome-without-topics",
        "Welcome without topics, in Tokyo",
        kind.WELCOME,
        replace(
            welcome,
            topics=(),
            preview=(),
            timezone=tokyo.timezone,
            first=find_first_digest(tokyo, AT),
            lateness=lateness_text(tokyo, AT),
        ),
    )
    yield (
        "topics-changed",
        "Topics were changed",
        kind.TOPICS_CHANGED,
        TopicsChangedContext(topics=topics, on=TUESDAY, **ways),
    )
    paused = PausedContext(
        until=date(2026, 5, 4), on=TUESDAY, catches_up=True, locale="fr-FR", **ways
    )
    yield "paused", "Paused", kind.PAUSED, paused
    yield (
        "paused-open",
        "Paused without an end",
        kind.PAUSED,
        replace(paused, until=None, catches_up=False),
    )
    yield (
        "resumed",
        "After a pause",
        kind.RESUMED,
        ResumedContext(cadence=Cadence.WEEKDAYS, on=TUESDAY, **hour, **ways),
    )
    undo = f"{HOME}/unsubscribe/{TOKEN}/undo"
    yield (
        "farewell",
        "After leaving, where the operator wants it or the person asks for the link",
        kind.FAREWELL,
        FarewellContext(undo_url=undo, preferences=ways["preferences"], on=TUESDAY, **own),
    )
    moving = {**proof, "confirm_url": f"{HOME}/address/{TOKEN}"}
    yield "address-change", "A new address", kind.ADDRESS_CHANGE, AddressChangeContext(**moving)
    undo = f"{HOME}/address/{TOKEN}"
    notice = AddressNoticeContext(undo_url=undo, expires_days=7, on=TUESDAY, **own)
    yield "address-notice", "To the previous address", kind.ADDRESS_NOTICE, notice
    alerts = (
        Alert(
            subject="arXiv has not answered for 6 hours",
            detail="The batches of cs.CL and cs.LG are not complete: 503 Service Unavailable.",
            hint="Nothing to do while arXiv is down; the papers come with the next edition.",
        ),
        Alert(subject="3 deliveries are in doubt", detail="Edition 41, since 07:02 UTC."),
    )
    alert = OperatorAlertContext(alerts=alerts, status_url=f"{HOME}/status", at=AT, **own)
    yield "operator-alert", "An alert to the operator", kind.OPERATOR_ALERT, alert
    report = DailyReportContext(
        figures=(
            ("Sent", 1204),
            ("Failed", 3),
            ("In doubt now", 1),
            ("Readers who joined", 12),
            ("Readers who left", 2),
            ("Bounced", 4),
            ("Complaints", 0),
        ),
        pages=(("Status", f"{HOME}/status"), ("Admin", f"{HOME}/admin")),
        at=AT,
        **own,
    )
    yield "daily-report", "Each morning, to the operator", kind.DAILY_REPORT, report
    yield "test", "A test mail", kind.TEST, TestContext(at=AT, **own)


def every_state() -> tuple[State, ...]:
    digests = tuple(
        State(f"digest-{name}", title, context.kind, context) for name, title, context in _digests()
    )
    return digests + tuple(State(*letter) for letter in _letters())


def render_state(renderer: Renderer, state: State) -> RenderedMail:
    if isinstance(state.context, DigestContext):
        return renderer.fit(state.context)
    return renderer.render(state.kind, state.context)
