"""Preview of the operator's note as a mail: a digest without a subscriber, with the day's best papers."""

from datetime import datetime

from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryKind
from service.editions.domain.coverage import Coverage
from service.messages.contexts.digest import (
    DigestContext,
    DigestPaper,
    DigestSection,
    ShownPaper,
    SubscriberLinks,
)
from service.messages.identity import brand_of
from service.messages.rendering.renderer import Renderer
from service.messages.signed_links import paper_links
from service.papers.best_of_day import find_best_of_day
from service.papers.domain.announcement_days import announcement_date
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings

_PAPERS = 3


def preview_note(
    sessions: sessionmaker[Session],
    settings: Settings,
    renderer: Renderer,
    note: str,
    now: datetime,
) -> str:
    """Return the HTML of a daily digest with this note (Markdown) at its head. Its links open the site."""
    today = announcement_date(now)
    with transaction(sessions) as session:
        best = find_best_of_day(session, today, _PAPERS)
    papers = tuple(
        DigestPaper(ShownPaper(paper=paper, links=paper_links(settings, paper)))
        for paper in (best.papers if best else ())
    )
    home = f"{settings.base_url}/"
    mail = DigestContext(
        cadence=Cadence.DAILY,
        local_date=today,
        coverage=Coverage(announced=len(papers), checked=len(papers)),
        groups=(DigestSection(title="Papers of the day", papers=papers),) if papers else (),
        links=SubscriberLinks(
            preferences=home, unsubscribe=home, pause=home, browser=home, home=home
        ),
        topics=("papers of the day",),
        subscribed_on=today,
        operator_address=settings.operator_address,
        brand=brand_of(settings),
        note=note,
    )
    return renderer.render(DeliveryKind.DIGEST, mail).html
