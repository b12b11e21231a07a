"""From a context to a mail: Jinja writes MJML and text, MJML becomes HTML that mail programs read."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from jinja2 import TemplateError
from markupsafe import escape

from service.deliveries.domain.recipients import FULL_CARDS
from service.deliveries.domain.states import DeliveryKind
from service.messages.contexts import transactional as contexts
from service.messages.contexts.digest import DigestContext, split_sections
from service.messages.domain.errors import MailTooLarge, RenderError
from service.messages.rendering import fragments
from service.messages.rendering.environment import load_templates
from service.messages.rendering.fast_path import FastPath
from service.messages.rendering.mjml_cache import compile_shape, split_shape
from service.messages.rendering.text_part import tidy_text
from service.platform.caches import cached
from service.presentation.sanitize import UnsafeOwnLink, require_own_url

TEMPLATE_DIR = Path(__file__).resolve().parents[3] / "email_templates"
DEFAULT_MAX_BYTES = 90_000

CONTEXT_TYPES: dict[DeliveryKind, type[contexts.MailContext]] = {
    DeliveryKind.DIGEST: DigestContext,
    DeliveryKind.CONFIRMATION: contexts.ConfirmationContext,
    DeliveryKind.PERSONAL_LINK: contexts.PersonalLinkContext,
    DeliveryKind.WELCOME: contexts.WelcomeContext,
    DeliveryKind.FAREWELL: contexts.FarewellContext,
    DeliveryKind.TOPICS_CHANGED: contexts.TopicsChangedContext,
    DeliveryKind.PAUSED: contexts.PausedContext,
    DeliveryKind.RESUMED: contexts.ResumedContext,
    DeliveryKind.ADDRESS_CHANGE: contexts.AddressChangeContext,
    DeliveryKind.OPERATOR_ALERT: contexts.OperatorAlertContext,
    DeliveryKind.DAILY_REPORT: contexts.DailyReportContext,
    DeliveryKind.TEST: contexts.TestContext,
    DeliveryKind.ADDRESS_NOTICE: contexts.AddressNoticeContext,
    DeliveryKind.CATCH_UP: DigestContext,
}

# Excerpts get shorter in these steps before the first paper is taken out.
_EXCERPT_STEPS = (220, 120)

_PLACE = re.compile(f"{fragments.CARD_OPENS}(\\d+){fragments.CARD_ENDS}\n?")
_LINE_END = (fragments.encode_private("\n"), 0)


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """What a mail says, before headers: a one-line subject, and the same content twice."""

    subject: str
    html_part: fragments.MailPartFragments = field(repr=False)
    text_part: fragments.MailPartFragments = field(repr=False)

    @property
    def html(self) -> str:
        return self.html_part.text

    @property
    def text(self) -> str:
        return self.text_part.text

    @property
    def wire_size(self) -> int:
        """Bytes of the message with both parts encoded, headers included."""
        return fragments.HEADER_RESERVE + len(self.html_part.wire) + len(self.text_part.wire)


class Renderer:
    """The compiled templates of one process. Rendering changes nothing but caches: threads share it.

    Files in `own_dir` replace ours of the same name. `is_fast` renders digests by the fast path;
    the result is the same without it.
    """

    def __init__(
        self, template_dir: Path | None = None, own_dir: Path | None = None, *, is_fast: bool = True
    ) -> None:
        templates = load_templates(template_dir or TEMPLATE_DIR, own_dir)
        self._environment = templates.environment
        self._fast = FastPath(templates) if is_fast else None

    def load(self) -> None:
        """Compile the digest's templates now, not when the first digest is rendered.

        A template with a fault raises when it is used.
        """
        environment = self._fast.environment if self._fast else self._environment
        for name in environment.list_templates(
            filter_func=lambda name: name.startswith(("_base/layout.", f"{DeliveryKind.DIGEST}/"))
        ):
            with suppress(TemplateError):
                environment.get_template(name)

    def render(self, kind: DeliveryKind, context: contexts.MailContext) -> RenderedMail:
        """Return the mail of `kind`, of any size. Raises `RenderError`, one line without addresses."""
        if type(context) is not CONTEXT_TYPES[kind]:
            raise RenderError(f"the {kind} email cannot be made of a {type(context).__name__}")
        try:
            return self._render_fast(context) or self.render_plain(kind, context)
        except UnsafeOwnLink as error:
            raise RenderError(str(error)) from error
        except (TemplateError, ValueError) as error:
            raise RenderError(f"the {kind} email cannot be rendered: {error}") from error

    def _render_fast(self, context: contexts.MailContext) -> RenderedMail | None:
        if self._fast is None or not isinstance(context, DigestContext):
            return None
        rendered = self._fast.render(context)
        if rendered is None:
            return None
        subject, html, text = rendered
        change = _change_of(context)
        html_part = fragments.MailPartFragments(html, str(escape(change)))
        return RenderedMail(subject, html_part, fragments.MailPartFragments(text, change))

    def render_plain(self, kind: DeliveryKind, context: contexts.MailContext) -> RenderedMail:
        """Return the mail without the fast path, whose results must be equal to this."""
        subject = " ".join(self._write(kind, "subject.txt", context, []).split())
        html = self._html_part(kind, context, subject)
        return RenderedMail(subject, html, self._text_part(kind, context, subject))

    def _html_part(
        self, kind: DeliveryKind, context: contexts.MailContext, subject: str
    ) -> fragments.MailPartFragments:
        places: list[tuple[int, fragments.Place]] = []
        shape, contents = split_shape(self._write(kind, "body.mjml", context, places, subject))
        placed: fragments.Place = []
        for piece in compile_shape(shape):
            if isinstance(piece, str):
                placed.append((_constant(piece), 0))
            else:
                _fill(placed, contents[piece], places)
        placed.append(_LINE_END)
        return fragments.MailPartFragments(tuple(placed), str(escape(_change_of(context))))

    def _text_part(
        self, kind: DeliveryKind, context: contexts.MailContext, subject: str
    ) -> fragments.MailPartFragments:
        places: list[tuple[int, fragments.Place]] = []
        skeleton = tidy_text(self._write(kind, "body.txt", context, places, subject))
        placed: fragments.Place = []
        _fill(placed, skeleton, places)
        return fragments.MailPartFragments(tuple(placed), _change_of(context))

    def fit(self, context: DigestContext, max_bytes: int = DEFAULT_MAX_BYTES) -> RenderedMail:
        """The digest as a message of at most `max_bytes`, both parts encoded and headers counted.

        Gmail hides what comes after 102 kB, and the unsubscribe link comes last. So first the
        excerpts get shorter, then more papers become lines, and then papers move behind "and 23
        more", the last of each topic first. The same context always gives the same mail. Raises `MailTooLarge` where even a
        mail without papers is too large.
        """
        mail = self._within(context, max_bytes)
        for limit in _EXCERPT_STEPS:
            if mail is None and limit < context.excerpt_characters:
                context = replace(context, excerpt_characters=limit)
                mail = self._within(context, max_bytes)
        if mail is None and context.full_cards > FULL_CARDS:
            context = replace(context, full_cards=FULL_CARDS)
            mail = self._within(context, max_bytes)
        return mail or self._with_fewer_papers(context, max_bytes)

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
        context: contexts.MailContext,
        places: list[tuple[int, fragments.Place]],
        subject: str = "",
    ) -> str:
        template = self._environment.get_template(f"{kind}/{name}")
        return template.render(mail=context, subject=subject, places=places)


def _change_of(context: contexts.MailContext) -> str:
    change = context.links.change if isinstance(context, DigestContext) else ""
    return require_own_url(change) if change else ""


def _fill(
    placed: fragments.Place, text: str, places: Sequence[tuple[int, fragments.Place]]
) -> None:
    """Add what stands between the places of cards, encoded, and the cards themselves."""
    for number, piece in enumerate(_PLACE.split(text)):
        if number % 2:
            placed += places[int(piece)][1]
        elif piece:
            encode = _small_fragment if len(piece) <= _SMALL else fragments.encode_private
            placed.append((encode(piece), 0))


# Headings, datelines, the numbers of a list: the same for many readers of an edition.
_small_fragment = cached("small fragments", maxsize=4_096)(fragments.encode_private)
_SMALL = 400
_constant = cached("MJML fragments", maxsize=256)(fragments.encode_shared)


def keep_first(context: DigestContext, count: int) -> DigestContext:
    """`context` with the best `count` papers of `split_sections`, the others counted as cut."""
    groups, _ = split_sections(context.groups, count)
    kept = sum(len(group.papers) for group in groups)
    return replace(context, groups=groups, cut_count=context.total - kept)
