"""What each email is made of: one frozen value per kind, complete before any template sees it."""

from dataclasses import dataclass, field
from datetime import date

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryKind
from service.editions.domain.coverage import Coverage
from service.messages.contexts.base import MailBase
from service.papers.domain.types import PaperEventKind, PaperView
from service.topics.domain.types import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperLinks:
    """Addresses of one paper; an empty or unsafe one is left out of the mail.

    `keep`, `less` and `follow` say only what to change (`?keep=12`): the reader's own signed
    address, `SubscriberLinks.change`, goes before them, so that all readers share the rest.
    """

    abstract: str
    pdf: str = ""
    similar: str = ""
    keep: str = ""
    less: str = ""
    follow: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriberLinks:
    """This reader's own signed addresses. All are http(s); rendering refuses anything else.

    `change` begins the links that change a topic or keep a paper, and `also_off` ends the
    suggestions; a mail without `change` has no such links.
    """

    preferences: str
    unsubscribe: str
    pause: str
    browser: str
    home: str
    change: str = ""
    also_off: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestPaper:
    """One paper with the reasons it is here. `maybe_seen`: an earlier mail may have held it.

    `revision` is the version announced as a replacement, 0 for a new paper. `mutes` are the
    reader's words that can be muted, each with what to change (`?topic=0&mute=survey`; the 0
    stands for the topic of the group). `is_suggested` where no topic asked for it.
    """

    paper: PaperView
    links: PaperLinks
    reasons: tuple[Reason, ...] = ()
    maybe_seen: bool = False
    revision: int = 0
    mutes: tuple[tuple[str, str], ...] = ()
    is_suggested: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestSection:
    """The papers of one topic, best first; `title` is the topic as the reader knows it.

    `topic_id` is the topic's row, 0 where no topic brought the papers.
    """

    title: str
    papers: tuple[DigestPaper, ...]
    topic_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestUpdate:
    """What befell a paper the reader was sent before; `detail` is a version, a DOI or an address."""

    title: str
    url: str
    kind: PaperEventKind
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestContext(MailBase):
    """One reader's digest, of an edition or of those that a pause missed (from `since` on).

    `cut_count` papers matched but are not in `groups`; the mail says so and links to them.
    At most `most_updates` of `updates` stand in the mail, the others in the browser.
    `excerpt_characters` is the longest excerpt of an abstract, 0 for none: `render.fit` lowers
    it, and moves papers from `groups` to `cut_count`, until the mail is small enough. `locale` is
    how the reader writes dates (`de-AT`), empty for plain English.
    """

    cadence: Cadence
    local_date: date
    coverage: Coverage
    groups: tuple[DigestSection, ...]
    links: SubscriberLinks
    topics: tuple[str, ...]
    subscribed_on: date
    updates: tuple[DigestUpdate, ...] = ()
    also: tuple[DigestPaper, ...] = ()
    most_updates: int = 20
    cut_count: int = 0
    excerpt_characters: int = 350
    locale: str = ""
    since: date | None = None

    papers: tuple[DigestPaper, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """`papers`: all that a topic brought, in the order of the mail; templates ask often."""
        papers = tuple(paper for group in self.groups for paper in group.papers)
        object.__setattr__(self, "papers", papers)

    @property
    def kind(self) -> DeliveryKind:
        """The email that tells it."""
        return DeliveryKind.CATCH_UP if self.since else DeliveryKind.DIGEST

    @property
    def total(self) -> int:
        """How many papers matched, shown or cut."""
        return len(self.papers) + self.cut_count
