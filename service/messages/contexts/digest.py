"""The digest's template context: one frozen value, complete before rendering."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from service.deliveries.domain.recipients import FULL_CARDS, Cadence
from service.deliveries.domain.states import DeliveryKind
from service.editions.domain.coverage import Coverage
from service.messages.contexts.base import MailBase
from service.papers.domain.categories import category_name
from service.papers.domain.types import PaperEventKind, PaperView
from service.presentation.phrases import fields
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

    `revision` is the version announced as a replacement, 0 for a new paper.
    """

    paper: PaperView
    links: PaperLinks
    maybe_seen: bool = False
    revision: int = 0
    codes: frozenset[str] = field(init=False, repr=False, compare=False)
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compute the hash once: each mail looks up its cards by the value of their papers.

        `codes` are those of its byline that have a name.
        """
        values = (self.paper, self.links, self.maybe_seen, self.revision)
        codes = frozenset(code for code in fields(self.paper) if category_name(code) != code)
        object.__setattr__(self, "codes", codes)
        object.__setattr__(self, "_hash", hash(values))

    def __hash__(self) -> int:
        return self._hash


class DigestPaper(NamedTuple):
    """One paper, and what its topic adds: the reasons of its match.

    `is_in_heading`: the topic's heading says them already, so a card does not.
    """

    shown: ShownPaper
    reasons: tuple[Reason, ...] = ()
    is_in_heading: bool = False

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


class DigestSection(NamedTuple):
    """The papers of one topic, best first; `title` is the topic's name when it was composed.

    `topic_id` is the topic's row, 0 where the papers belong to no topic. `codes` are categories in
    the bylines that no section before has; `name_codes` sets them.
    """

    title: str
    papers: tuple[DigestPaper, ...]
    topic_id: int = 0
    codes: tuple[str, ...] = ()


def split_sections(
    groups: Sequence[DigestSection], count: int
) -> tuple[tuple[DigestSection, ...], tuple[DigestSection, ...]]:
    """Return the sections with the best `count` papers, and those with the others, in their order.

    The best of every topic come before the second best of any, so that no topic disappears while
    another shows ten papers.
    """
    taken = [0] * len(groups)
    left = count
    for rank in range(max([len(group.papers) for group in groups], default=0)):
        for place, group in enumerate(groups):
            if left and rank < len(group.papers):
                taken[place] += 1
                left -= 1
        if not left:
            break
    first, others = [], []
    for group, size in zip(groups, taken, strict=True):
        shown, more = group.papers[:size], group.papers[size:]
        if shown:
            first.append(DigestSection(group.title, shown, group.topic_id))
        if more:
            others.append(DigestSection(group.title, more, group.topic_id))
    return tuple(first), tuple(others)


def name_codes(
    sections: Sequence[DigestSection], before: Sequence[DigestSection] = ()
) -> tuple[DigestSection, ...]:
    """Return the sections with the codes that are new in each, after those of the sections `before`,
    in the order of the alphabet.
    """
    seen = {code for section in before for code in section.codes}
    named = []
    for one in sections:
        new = frozenset().union(*[entry.shown.codes for entry in one.papers]) - seen
        if new:
            seen |= new
            one = DigestSection(*one[:-1], tuple(sorted(new)))  # noqa: PLW2901 - the same, with its codes
        named.append(one)
    return tuple(named)


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
    about editions that were missed or late. `waits`: which papers wait for a later digest.
    `cut_count` papers matched but are not in `groups`; the mail says so and links to them.
    The mail shows at most `most_updates` of `updates`, the browser all of them.
    `excerpt_characters` is the longest excerpt of an abstract, 0 for none: `Renderer.fit` lowers
    it, and moves papers from `groups` to `cut_count`, until the mail is small enough. `locale` is
    the subscriber's locale for dates (`de-AT`), empty for plain English. `topics` are their names.
    `full_cards` papers are shown as cards, the best of every topic before the second best of any:
    `note` is the operator's, in Markdown.
    `cards` has them, `briefs` those that are shown as one line each, `suggestions` those in `also`.
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
    full_cards: int = FULL_CARDS
    excerpt_characters: int = 350
    locale: str = ""
    since: date | None = None
    covers: tuple[date, date] | None = None
    remarks: tuple[str, ...] = ()
    silence: str = ""
    note: str = ""
    waits: str = ""

    papers: tuple[DigestPaper, ...] = field(init=False, repr=False, compare=False)
    cards: tuple[DigestSection, ...] = field(init=False, repr=False, compare=False)
    briefs: tuple[DigestSection, ...] = field(init=False, repr=False, compare=False)
    suggestions: DigestSection = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compute what templates use often, once."""
        papers = tuple([paper for group in self.groups for paper in group.papers])
        cards, briefs = self.groups, tuple[DigestSection, ...]()
        if len(papers) > self.full_cards:
            cards, briefs = split_sections(cards, self.full_cards)
        cards = name_codes(cards)
        also = DigestSection(title="", papers=self.also)
        if self.also:
            (also,) = name_codes([also], cards)
        object.__setattr__(self, "papers", papers)
        object.__setattr__(self, "cards", cards)
        object.__setattr__(self, "briefs", name_codes(briefs, cards) if briefs else ())
        object.__setattr__(self, "suggestions", also)

    @property
    def kind(self) -> DeliveryKind:
        """The kind of the email."""
        return DeliveryKind.CATCH_UP if self.since else DeliveryKind.DIGEST

    @property
    def total(self) -> int:
        """The number of papers that matched, shown or cut."""
        return len(self.papers) + self.cut_count
