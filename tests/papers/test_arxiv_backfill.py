"""Backfill: a record that arXiv deleted withdraws its paper, once."""

from datetime import datetime

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from support.servers.loopback_http import LoopbackHttp
from support.sources.open_gate import OpenGate
from support.web.papers import FRIDAY, make_announcement, store_papers

from service.papers.arxiv_backfill import heal_arxiv
from service.papers.domain.types import PaperEventKind
from service.papers.sources.arxiv_oai import ArxivOai
from service.papers.sources.http_fetch import Caller, Fetcher
from service.papers.store.models import Paper, PaperEvent
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings

DELETED = """<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">
<responseDate>2026-09-18T05:00:00Z</responseDate><request verb="ListRecords">x</request>
<ListRecords><record><header status="deleted"><identifier>oai:arXiv.org:2609.00001</identifier>
<datestamp>2026-09-18</datestamp></header></record><record><header status="deleted">
<identifier>oai:arXiv.org:2609.77777</identifier><datestamp>2026-09-18</datestamp></header></record>
</ListRecords></OAI-PMH>"""


def test_a_deleted_record_withdraws_its_paper_once_and_an_unknown_record_changes_nothing(
    settings: Settings, engine: Engine, session: Session, loopback_http: LoopbackHttp, now: datetime
) -> None:
    store_papers(session, [make_announcement(1, "Gone"), make_announcement(2, "Stays")], FRIDAY)
    settings = settings.model_copy(update={"arxiv_categories": ("cs.CL",)})
    loopback_http.routes["/oai"] = (200, {}, DELETED.encode())
    oai = ArxivOai(f"{loopback_http.url}/oai", Fetcher(Caller(), OpenGate()))
    first, second = (
        heal_arxiv(make_sessions(engine), settings, oai, now)[0].updated_count for _ in range(2)
    )
    assert (first, second) == (1, 0)
    rows = session.execute(select(Paper.key, Paper.is_withdrawn).order_by(Paper.key)).all()
    assert [tuple(row) for row in rows] == [("arxiv:2609.00001", True), ("arxiv:2609.00002", False)]
    (event,) = session.execute(select(PaperEvent)).scalars()
    assert (event.kind, event.detail) == (PaperEventKind.WITHDRAWN, "deleted")
