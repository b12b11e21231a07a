"""What a morning costs: processor time and memory by kind of process, bytes by table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psycopg
from redis import Redis
from sending.cpu import find_children, own_seconds, peak_mib, tree_seconds

from service.cli.processes import COMMANDS

# Of the processes of `paperboy up` those that compose and send; the rest counts as "others".
SENDING = "worker-send"


def share_among(hosts: int, processes: int) -> Mapping[str, Sequence[str]]:
    """Return the commands of `paperboy up` with the processes of `worker-send` shared by so many hosts."""
    if hosts == 1:
        return COMMANDS
    shared: dict[str, Sequence[str]] = {
        name: command for name, command in COMMANDS.items() if name != SENDING
    }
    for name in (f"{SENDING}-{number}" for number in range(hosts)):
        # The last of an option counts.
        own = ["-n", f"{SENDING}@{name}", "-c", str(processes // hosts)]
        shared[name] = [*COMMANDS[SENDING], *own]
    return shared


@dataclass
class Watch:
    """The processes: those of `paperboy up` by name, and the servers' ids."""

    stack: dict[str, int]
    postgres: int
    valkey: int
    sink: int
    peaks: dict[int, float] = field(default_factory=dict)

    def look_at_memory(self) -> None:
        """Note the peak memory of each worker process; one that has grown too large is replaced."""
        for pid in [child for parent in self._senders() for child in find_children(parent)]:
            self.peaks[pid] = max(self.peaks.get(pid, 0.0), peak_mib(pid))

    def read_cpu(self) -> dict[str, float]:
        """Return the processor seconds until now by kind of process."""
        senders = self._senders()
        others = sum(tree_seconds(pid) for pid in self.stack.values() if pid not in senders)
        return {
            "workers": sum(map(tree_seconds, senders)),
            "postgres": tree_seconds(self.postgres),
            "valkey": own_seconds(self.valkey),
            "sink": own_seconds(self.sink),
            "others": others,
        }

    def _senders(self) -> list[int]:
        return [pid for name, pid in self.stack.items() if name.startswith(SENDING)]


def find_valkey(redis_url: str) -> int:
    """Return the process id of a Valkey."""
    with Redis.from_url(redis_url) as client:
        return int(client.info("server")["process_id"])


def read_sizes(database_url: str) -> dict[str, int]:
    """Return the bytes of each table with its indexes and long values; of its partitions together."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT coalesce(pg_partition_root(oid), oid)::regclass::text,"
            " sum(pg_total_relation_size(oid))::bigint FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace GROUP BY 1"
        )
        return dict(rows.fetchall())


def growth(before: dict[str, int], after: dict[str, int], digests: int) -> dict[str, int]:
    """Return the bytes a digest of each table that has grown, the largest first."""
    grown = {name: (size - before.get(name, 0)) / digests for name, size in after.items()}
    return {
        name: round(size)
        for name, size in sorted(grown.items(), key=lambda item: -item[1])
        if round(size) > 0
    }
