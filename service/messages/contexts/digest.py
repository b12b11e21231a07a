"""The digest's template context: one frozen value, complete before rendering."""

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

    `keep` and `more` are only queries (`?keep=12`), shared by all subscribers: the subscriber's own
    signed address, `SubscriberLinks.change`, is put before them.
    """

    abstract: str
    pdf: str = ""
    keep: str = ""
    more: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriberLinks:
    """One subscriber's signed links. All are http(s); rendering refuses anything else.

    `change` is the base of links that change a topic or save a paper, `also_off` switches
    suggestions off; a mail without `change` has no such links.
    """

    preferences: str
    unsubscribe: str
    pause: str
    browser: str
    home: str
    change: str = ""
    also_off: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPaper:
    """What a mail shows of a paper for every topic. `maybe_seen`: an earlier mail may contain it.

    `revision` is the version announced as a replacement, 0 for a new paper; `is_suggested` where it
    matched no topic.
    """

    paper: PaperView
    links: PaperLinks
    maybe_seen: bool = False
    revision: int = 0
    is_suggested: bool = False
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compute the hash once: each mail looks up its cards by the value of their papers."""
        fields = (self.paper, self.links, self.maybe_seen, self.revision, self.is_suggested)
        object.__setattr__(self, "_hash", hash(fields))

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True, slots=True)
class DigestPaper:
    """One paper, and what its topic adds: the reasons of its match."""

    shown: ShownPaper
    reasons: tuple[Reason, ...] = ()

    @property
    def paper(self) -> PaperView:
        """The paper itself."""
        return self.shown.paper

    @property
    def links(self) -> PaperLinks:
        """The addresses of the paper."""
        return self.shown.links

    @property
    def maybe_seen(self) -> bool:
        """Whether an earlier mail may contain it."""
        return self.shown.maybe_seen

    @property
    def revision(self) -> int:
        """The version announced as a replacement, 0 for a new paper."""
        return self.shown.revision

    @property
    def is_suggested(self) -> bool:
        """Whether it matched no topic."""
        return self.shown.is_suggested


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestSection:
    """The papers of one topic, best first; `title` is the topic's name when it was composed.

    `topic_id` is the topic's row, 0 where the papers belong to no topic.
    """

    title: str
    papers: tuple[DigestPaper, ...]
    topic_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestUpdate:
    """An update to a paper that was sent before; `detail` is a version, a DOI or an address."""

    title: str
    url: str
    kind: PaperEventKind
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestContext(MailBase):
    """One subscriber's digest of an edition, or of those missed in a pause (from `since` on).

    `covers`: the first and last day of an edition that has more than its date; `remarks`: sentences
    about editions that were missed or late.
    `cut_count` papers matched but are not in `groups`; the mail says so and links to them.
    The mail shows at most `most_updates` of `updates`, the browser all of them.
    `excerpt_characters` is the longest excerpt of an abstract, 0 for none: `Renderer.fit` lowers
    it, and moves papers from `groups` to `cut_count`, until the mail is small enough. `locale` is
    the subscriber's locale for dates (`de-AT`), empty for plain English. `topics` are their names.
    `silence` says why a digest has no papers where the topics' categories could not be read.
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
    covers: tuple[date, date] | None = None
    remarks: tuple[str, ...] = ()
    silence: str = ""

    papers: tuple[DigestPaper, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compute `papers` once, in the order of the mail; templates use it often."""
        papers = tuple(paper for group in self.groups for paper in group.papers)
        object.__setattr__(self, "papers", papers)

    @property
    def kind(self) -> DeliveryKind:
        """The kind of the email."""
        return DeliveryKind.CATCH_UP if self.since else DeliveryKind.DIGEST

    @property
    def total(self) -> int:
        """The number of papers that matched, shown or cut."""
        return len(self.papers) + self.cut_count
