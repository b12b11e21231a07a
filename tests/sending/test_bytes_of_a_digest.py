"""How much a digest leaves in the database for as long as it is kept: rows, TOAST and indexes."""

import random
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import Engine, text
from support.newsletter.press import PlannedTransport, Press
from support.web.papers import FRIDAY, make_announcement, store_papers

from service.deliveries.domain.states import Phase, SendOutcome
from service.messages.mime.mime import Envelope
from service.papers.domain.types import ParsedAnnouncement
from service.platform.database.engine import make_sessions
from service.sending.deliver import deliver

MOST_BYTES = 1_300
SUBSCRIBERS, PAPERS, MORNINGS = 400, 40, 4
# A paper has three or four texts that all its mails share. A real morning has so many papers for
# 100,000 digests, which is four times as many digests for a paper as here.
REAL_PAPERS, REAL_DIGESTS = 1_500, 100_000
# Each is a topic of its own.
WORDS = [a + b + c for a in ("bra", "cle", "dro", "fli", "gru", "kni", "pla", "sto") for b in "bdgkmnpt" for c in ("on", "um", "ix", "ar", "el", "os", "in", "up")]  # fmt: skip
_SIZES = text("""
SELECT relation.relname, pg_relation_size(relation.oid)
FROM pg_class AS parent
LEFT JOIN pg_index ON indrelid IN (parent.oid, parent.reltoastrelid)
JOIN pg_class AS relation ON relation.oid IN (parent.oid, parent.reltoastrelid, indexrelid)
WHERE parent.relkind = 'r' AND parent.relname ~ '^(deliveries|delivery_events|mail_copies|mail_parts)'
""")

# An analysis of its own accord holds a snapshot, for which dead rows are kept, on a busy machine for long.
_NO_AUTOVACUUM = text("""
SELECT format('ALTER TABLE %s SET (autovacuum_enabled = off)', oid::regclass)
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
""")


def test_a_digest_of_twelve_papers_takes_at_most_1300_bytes(press: Press, engine: Engine) -> None:
    with engine.begin() as connection:
        for statement in connection.scalars(_NO_AUTOVACUUM).all():
            connection.exec_driver_sql(statement)
    chance = random.Random(18)
    for number in range(SUBSCRIBERS):
        topics = chance.sample(WORDS, 3)
        press.add_subscribers(f"subscriber{number}@institute.example.org", topics=topics)
    assert len(WORDS) >= 500
    sizes = [send_morning(press, engine, chance, day) for day in range(MORNINGS)]
    # A relation grows by pages, so of two mornings together.
    _, before, _, after = sizes
    grown = {name: (after[name] - before[name]) / 2 for name in after}
    papers = sum(size for name, size in grown.items() if "mail_parts" in name)
    digests = sum(grown.values()) - papers
    in_all = digests / SUBSCRIBERS + papers / PAPERS * REAL_PAPERS / REAL_DIGESTS
    rows = (f"{size / SUBSCRIBERS:7.0f}  {name}" for name, size in sorted(grown.items()) if size)
    table = "\n".join(["bytes a digest:", *rows])
    assert in_all <= MOST_BYTES, (
        f"{in_all:.0f} bytes a digest, shared texts as of a real day\n{table}"
    )
    shown = [len(row.paper_ids) for row in press.rows()]
    assert 10 < sum(shown) / len(shown) < 14


def send_morning(
    press: Press, engine: Engine, chance: random.Random, day: int
) -> Mapping[str, int]:
    """Send each subscriber a digest of new papers; return the sizes of relations after a vacuum.

    Dead versions of rows count where the next morning does not use their space again.
    """
    on = FRIDAY + timedelta(days=day)
    with make_sessions(engine)() as session:
        store_papers(session, [make_paper(chance, 100 * day + n) for n in range(PAPERS)], on)
    edition_id = press.publish(on)
    sent = deliver(
        press.sender(PlannedTransport(plan=lambda mail: accept(chance, mail))), edition_id
    )
    assert sent.sent == SUBSCRIBERS
    press.clock.forward(days=1)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as direct:
        direct.exec_driver_sql("VACUUM")
        return dict(direct.execute(_SIZES).all())


def accept(chance: random.Random, _mail: Envelope) -> SendOutcome:
    """Return what Postfix answers to a message."""
    queued = f"2.0.0 Ok: queued as {chance.getrandbits(40):011X}"
    return SendOutcome(Phase.REPLIED, 250, queued, "relay1.example.org")


def make_paper(chance: random.Random, number: int) -> ParsedAnnouncement:
    title, abstract = (" ".join(chance.sample(WORDS, count)) for count in (9, 45))
    authors = tuple(f"{chance.choice(WORDS).title()} {word.title()}" for word in WORDS[:4])
    return make_announcement(number, title.title(), abstract=f"{abstract}.", authors=authors)
