"""From a context to a mail: Jinja writes MJML and text, MJML becomes HTML that mail programs read."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from jinja2 import TemplateError

from service.deliveries.domain.states import DeliveryKind
from service.messages.contexts.digest import DigestContext
from service.messages.contexts.transactional import (
    AddressChangeContext,
    AddressNoticeContext,
    AlreadySubscribedContext,
    ConfirmationContext,
    FarewellContext,
    MailContext,
    OperatorAlertContext,
    PausedContext,
    ResumedContext,
    TestContext,
    TopicsChangedContext,
    WelcomeContext,
)
from service.messages.domain.errors import MailTooLarge, RenderError
from service.messages.rendering.environment import make_environment
from service.messages.rendering.fast_path.fragments import (
    CARD_ENDS,
    CARD_OPENS,
    HEADER_RESERVE,
    MailPartFragments,
    encode_private,
    encode_shared,
    markup_change,
)
from service.messages.rendering.fast_path.paper_cards import Place
from service.messages.rendering.fast_path.skeletons import DigestSkeletons
from service.messages.rendering.fast_path.slot_values import CannotShare
from service.messages.rendering.mjml_cache import press_shape, split_shape
from service.messages.rendering.text_part import tidy_text
from service.platform.caches import cached
from service.presentation.sanitize import UnsafeOwnLink, require_own_url

TEMPLATE_DIR = Path(__file__).resolve().parents[3] / "email_templates"
DEFAULT_MAX_BYTES = 90_000

CONTEXT_TYPES: dict[DeliveryKind, type[MailContext]] = {
    DeliveryKind.DIGEST: DigestContext,
    DeliveryKind.CONFIRMATION: ConfirmationContext,
    DeliveryKind.ALREADY_SUBSCRIBED: AlreadySubscribedContext,
    DeliveryKind.WELCOME: WelcomeContext,
    DeliveryKind.FAREWELL: FarewellContext,
    DeliveryKind.TOPICS_CHANGED: TopicsChangedContext,
    DeliveryKind.PAUSED: PausedContext,
    DeliveryKind.RESUMED: ResumedContext,
    DeliveryKind.ADDRESS_CHANGE: AddressChangeContext,
    DeliveryKind.OPERATOR_ALERT: OperatorAlertContext,
    DeliveryKind.TEST: TestContext,
    DeliveryKind.ADDRESS_NOTICE: AddressNoticeContext,
    DeliveryKind.CATCH_UP: DigestContext,
}

# Excerpts get shorter in these steps before the first paper is taken out.
_EXCERPT_STEPS = (220, 120)

_PLACE = re.compile(f"{CARD_OPENS}(\\d+){CARD_ENDS}\n?")
_LINE_END = (encode_private("\n"), 0)


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """What a mail says, before headers: a one-line subject, and the same content twice."""

    subject: str
    html_part: MailPartFragments = field(repr=False)
    text_part: MailPartFragments = field(repr=False)

    @property
    def html(self) -> str:
        return self.html_part.text

    @property
    def text(self) -> str:
        return self.text_part.text

    @property
    def wire_size(self) -> int:
        """Bytes of the message with both parts encoded, headers included."""
        return HEADER_RESERVE + len(self.html_part.wire) + len(self.text_part.wire)


class Renderer:
    """The compiled templates of one process. Rendering changes nothing in it but caches: threads
    share one. Files in `own_dir` stand in for ours of the same name."""

    def __init__(self, template_dir: Path | None = None, own_dir: Path | None = None) -> None:
        self._environment = make_environment(template_dir or TEMPLATE_DIR, own_dir)
        self._skeletons = DigestSkeletons(self._environment)

    def load(self) -> None:
        """Compile what digests are made of now, and not when the first of a morning is written.

        A template with a fault is left to that.
        """
        # Cards have an environment of their own, which has compiled them already.
        for name in self._environment.list_templates(
            filter_func=lambda name: name.startswith(("_base/layout.", f"{DeliveryKind.DIGEST}/"))
        ):
            with suppress(TemplateError):
                self._environment.get_template(name)

    def render(self, kind: DeliveryKind, context: MailContext) -> RenderedMail:
        """The mail of `kind`, of whatever size. Raises `RenderError`, one line without addresses."""
        if type(context) is not CONTEXT_TYPES[kind]:
            raise RenderError(f"the {kind} email cannot be made of a {type(context).__name__}")
        try:
            if isinstance(context, DigestContext):
                with suppress(CannotShare):
                    return self._fill(context)
            return self.render_alone(kind, context)
        except UnsafeOwnLink as error:
            raise RenderError(str(error)) from error
        except (TemplateError, ValueError) as error:
            raise RenderError(f"the {kind} email cannot be rendered: {error}") from error

    def _fill(self, context: DigestContext) -> RenderedMail:
        subject, html, text = self._skeletons.fill(context)
        change = _change_of(context)
        return RenderedMail(
            subject,
            MailPartFragments(tuple(html), markup_change(change)),
            MailPartFragments(tuple(text), change),
        )

    def render_alone(self, kind: DeliveryKind, context: MailContext) -> RenderedMail:
        """The mail without a frame: what frames must agree with, and slower."""
        subject = " ".join(self._write(kind, "subject.txt", context, []).split())
        html = self._html_part(kind, context, subject)
        return RenderedMail(subject, html, self._text_part(kind, context, subject))

    def _html_part(
        self, kind: DeliveryKind, context: MailContext, subject: str
    ) -> MailPartFragments:
        places: list[Place] = []
        shape, contents = split_shape(self._write(kind, "body.mjml", context, places, subject))
        placed: Place = []
        for piece in press_shape(shape):
            if isinstance(piece, str):
                placed.append((_pressed_run(piece), 0))
            else:
                _fill(placed, contents[piece], places)
        placed.append(_LINE_END)
        return MailPartFragments(tuple(placed), markup_change(_change_of(context)))

    def _text_part(
        self, kind: DeliveryKind, context: MailContext, subject: str
    ) -> MailPartFragments:
        places: list[Place] = []
        skeleton = tidy_text(self._write(kind, "body.txt", context, places, subject))
        placed: Place = []
        _fill(placed, skeleton, places)
        return MailPartFragments(tuple(placed), _change_of(context))

    def fit(self, context: DigestContext, max_bytes: int = DEFAULT_MAX_BYTES) -> RenderedMail:
        """The digest as a message of at most `max_bytes`, both parts encoded and headers counted.

        Gmail hides what comes after 102 kB, and the unsubscribe link comes last. So first the
        excerpts get shorter, then papers move behind "and 23 more", the last of each topic
        first. The same context always gives the same mail. Raises `MailTooLarge` where even a
        mail without papers is too large.
        """
        shorter = min(context.excerpt_characters, _EXCERPT_STEPS[-1])
        for limit in (context.excerpt_characters, *_EXCERPT_STEPS):
            if limit <= context.excerpt_characters:
                is_same = limit == context.excerpt_characters
                tried = context if is_same else replace(context, excerpt_characters=limit)
                mail = self._within(tried, max_bytes)
                if mail:
                    return mail
        return self._with_fewer_papers(replace(context, excerpt_characters=shorter), max_bytes)

    def _with_fewer_papers(self, context: DigestContext, max_bytes: int) -> RenderedMail:
        best = self._within(keep_first(context, 0), max_bytes)
        if best is None:
            raise MailTooLarge(f"a digest without papers is larger than {max_bytes} bytes")
        fits, too_many = 0, len(context.papers)
        while too_many - fits > 1:
            middle = (fits + too_many) // 2
            mail = self._within(keep_first(context, middle), max_bytes)
            if mail:
                best, fits = mail, middle
            else:
                too_many = middle
        return best

    def _within(self, context: DigestContext, max_bytes: int) -> RenderedMail | None:
        mail = self.render(context.kind, context)
        return mail if mail.wire_size <= max_bytes else None

    def _write(
        self,
        kind: DeliveryKind,
        name: str,
        context: MailContext,
        places: list[Place],
        subject: str = "",
    ) -> str:
        template = self._environment.get_template(f"{kind}/{name}")
        return template.render(mail=context, subject=subject, places=places)


def _change_of(context: MailContext) -> str:
    change = context.links.change if isinstance(context, DigestContext) else ""
    return require_own_url(change) if change else ""


def _fill(placed: Place, text: str, places: Sequence[Place]) -> None:
    """Add what stands between the places of cards, encoded, and the cards themselves."""
    for number, piece in enumerate(_PLACE.split(text)):
        if number % 2:
            placed += places[int(piece)]
        elif piece:
            placed.append((_small_run(piece) if len(piece) <= _SMALL else encode_private(piece), 0))


# Headings, datelines, the numbers of a list: the same for many readers of an edition.
_small_run = cached("small fragments", maxsize=4_096)(encode_private)
_SMALL = 400
_pressed_run = cached("MJML fragments", maxsize=256)(encode_shared)


def keep_first(context: DigestContext, count: int) -> DigestContext:
    """`context` with `count` papers, the others counted as cut.

    The best of every topic stay before the second best of any, so that no topic disappears while
    another shows ten papers.
    """
    places = [
        (rank, group)
        for group, value in enumerate(context.groups)
        for rank in range(len(value.papers))
    ]
    kept = [group for _, group in sorted(places)[:count]]
    groups = tuple(
        replace(value, papers=value.papers[: kept.count(group)])
        for group, value in enumerate(context.groups)
        if group in kept
    )
    return replace(context, groups=groups, cut_count=context.total - len(kept))
