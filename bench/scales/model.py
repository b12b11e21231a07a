"""The load model of docs/scale.md: what a mail costs, and what that makes of hosts and of the database.

Costs are as `bench/morning.py` and `bench/year.py` measured them on one machine; a new measurement goes here
and nowhere else, and `bench/scale.py --write` writes the page's tables again. Bytes are with indexes, and with
the space that an update leaves for the next one.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import ceil

from service.deliveries.domain.months import month_of
from service.operations.domain.retention import is_over
from service.platform.settings.settings import Settings

# -- measured by bench/morning.py: processor time of a digest, and its message -------------------

COMPOSER_CPU_US = 330
COMPOSE_POSTGRES_CPU_US = 123
SENDER_CPU_US = 1_531
POSTGRES_CPU_US = 220
VALKEY_CPU_US = 3
OTHERS_CPU_US = 13
# Of the sink, in place of a relay on the same machine.
SINK_CPU_US = 285
MESSAGE_BYTES = 41_474
# A run of `morning.py` on a quiet machine: so many composed and sent; the seconds of both parts by the clock.
CHECKED_CORES, CHECKED_COMPOSED, CHECKED_SENT = 2, 100_000, 100_000
CHECKED_COMPOSE_S, CHECKED_SEND_S = 24.2, 109.8

# -- measured by bench/year.py ----------------------------------------------------------------

COMPOSE_STATEMENTS, SEND_STATEMENTS = 0.091, 0.33
VACUUM_US_A_ROW = 1.6
# An empty schema, with PostgreSQL's own catalogue; and what each month's partitions add, without rows.
EMPTY_BYTES = 11_000_000
MONTH_BYTES = 400_000
SUBSCRIBER_BYTES = 1_250
# Of every paper that is announced, for ever: texts, words, versions, names, meaning, editions.
PAPER_BYTES = 12_500
DELIVERY_BYTES = 840
COPY_BYTES = 450
EVENT_BYTES = 1
# Fragments that an edition's mails share, of each of its papers.
PART_BYTES_A_PAPER = 5_800

# -- assumed ------------------------------------------------------------------------------------

# Composing begins when the day is complete; sending should end before readers look.
COMPOSE_SECONDS, SEND_SECONDS = 15 * 60, 2 * 3600
# A host's cores, and how much of them a morning may use.
HOST_CORES, USED = 8, 0.7
# Messages a second that a relay takes for good, with a queue on an SSD.
RELAY_RATE = 500
DUMP_BYTES_A_SECOND = 100_000_000
PAPERS_A_DAY = 1_500
# A night, for a dump or a vacuum.
NIGHT_SECONDS = 8 * 3600
DATABASE_CORES = 32
# PostgreSQL's default, and what the site, the other workers and an operator need of it.
MAX_CONNECTIONS, OTHER_CONNECTIONS = 100, 40
# A sender's own, and that of its lock.
CONNECTIONS_EACH = 2
_KEPT = Settings()


@dataclass(frozen=True)
class Installation:
    """What an installation has: subscribers who get a digest a day, papers a day, days since its first."""

    subscribers: int
    papers_a_day: int
    days: int


def kept_days(days: int, term: int, until: date) -> int:
    """Return how many of the last days are in months that are not over: a month goes as a whole."""
    tomorrow = datetime.combine(until + timedelta(days=1), time(0), tzinfo=UTC)
    dates = (tomorrow - timedelta(days=n) for n in range(1, days + 1))
    return sum(not is_over(month_of(at), term, tomorrow) for at in dates)


def database_bytes(installation: Installation, until: date) -> dict[str, int]:
    """Return the bytes of a database after its last day, by what they are for."""
    one = installation

    def kept(term: int) -> int:
        return kept_days(one.days, term, until)

    deliveries, copies = kept(_KEPT.keep_deliveries_days), kept(_KEPT.keep_copies_days)
    return {
        "empty": EMPTY_BYTES + MONTH_BYTES * (deliveries // 30 + 2),
        "subscribers": one.subscribers * SUBSCRIBER_BYTES,
        "papers": one.papers_a_day * one.days * PAPER_BYTES,
        "deliveries": one.subscribers * deliveries * DELIVERY_BYTES,
        "events": one.subscribers * kept(_KEPT.keep_events_days) * EVENT_BYTES,
        "copies": one.subscribers * copies * COPY_BYTES,
        "parts": one.papers_a_day * copies * PART_BYTES_A_PAPER,
    }


@dataclass(frozen=True)
class Load:
    """What so many digests in one morning ask of each part."""

    mails: int

    @property
    def composing_cores(self) -> float:
        return self.mails * COMPOSER_CPU_US / 1e6 / COMPOSE_SECONDS

    @property
    def sending_cores(self) -> float:
        return self.mails * SENDER_CPU_US / 1e6 / SEND_SECONDS

    @property
    def sending_hosts(self) -> int:
        return ceil(max(self.composing_cores, self.sending_cores) / (HOST_CORES * USED))

    @property
    def database_cores(self) -> float:
        composing = self.mails * COMPOSE_POSTGRES_CPU_US / 1e6 / COMPOSE_SECONDS
        return max(composing, self.mails * POSTGRES_CPU_US / 1e6 / SEND_SECONDS)

    @property
    def statements_a_second(self) -> float:
        composing = self.mails * COMPOSE_STATEMENTS / COMPOSE_SECONDS
        return max(composing, self.mails * SEND_STATEMENTS / SEND_SECONDS)

    @property
    def mails_a_second(self) -> float:
        return self.mails / SEND_SECONDS

    @property
    def relays(self) -> int:
        return ceil(self.mails_a_second / RELAY_RATE)

    @property
    def bits_a_second(self) -> float:
        return self.mails_a_second * MESSAGE_BYTES * 8

    @property
    def broker_cores(self) -> float:
        return self.mails * VALKEY_CPU_US / 1e6 / SEND_SECONDS

    @property
    def database_bytes(self) -> int:
        """The database's bytes after years, when each table is as large as it becomes, of a year's papers."""
        until = date(2030, 1, 31)
        one = Installation(self.mails, PAPERS_A_DAY, 1_000)
        bytes_by_kind = database_bytes(one, until)
        bytes_by_kind["papers"] = PAPERS_A_DAY * 365 * PAPER_BYTES
        return sum(bytes_by_kind.values())

    @property
    def vacuum_seconds(self) -> float:
        """The seconds of a vacuum of a month's deliveries, at its end."""
        return self.mails * 31 * VACUUM_US_A_ROW / 1e6


def seconds_on(cores: int, composed: int, sent: int) -> tuple[float, float]:
    """Return the seconds of composing and of sending where everything is on one machine."""
    composing = COMPOSER_CPU_US + COMPOSE_POSTGRES_CPU_US
    sending = SENDER_CPU_US + POSTGRES_CPU_US + VALKEY_CPU_US + OTHERS_CPU_US + SINK_CPU_US
    return composed * composing / 1e6 / cores, sent * sending / 1e6 / cores


def limits() -> dict[str, int]:
    """Return the mails a day at which each part is used up, the first one first."""
    sending = SENDER_CPU_US + POSTGRES_CPU_US + VALKEY_CPU_US + OTHERS_CPU_US
    one = Load(10**9)
    digest = one.database_bytes / one.mails
    senders = (MAX_CONNECTIONS - OTHER_CONNECTIONS) / CONNECTIONS_EACH
    found = {
        "two cores with everything on them": 2 * USED * SEND_SECONDS * 1e6 / sending,
        "one relay": RELAY_RATE * SEND_SECONDS,
        "a dump in one night": NIGHT_SECONDS * DUMP_BYTES_A_SECOND / digest,
        "PostgreSQL's default of 100 connections": senders
        * USED
        * SEND_SECONDS
        * 1e6
        / SENDER_CPU_US,
        "a network of 1 Gbit/s": 1e9 / 8 / MESSAGE_BYTES * SEND_SECONDS,
        "a vacuum of a month in one night": NIGHT_SECONDS * 1e6 / VACUUM_US_A_ROW / 31,
        "composing on a database of 32 cores": DATABASE_CORES
        * USED
        * COMPOSE_SECONDS
        * 1e6
        / COMPOSE_POSTGRES_CPU_US,
        "sending on a database of 32 cores": DATABASE_CORES
        * USED
        * SEND_SECONDS
        * 1e6
        / POSTGRES_CPU_US,
        "one core of the broker": USED * SEND_SECONDS * 1e6 / VALKEY_CPU_US,
    }
    return {name: int(mails) for name, mails in sorted(found.items(), key=lambda each: each[1])}
