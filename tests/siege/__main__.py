"""A siege: everything that strangers can do to an installation at once, while it does its work.

    make siege                      # ten minutes, an edition of 5,000
    SIEGE_SECONDS=60 make siege     # the short form, an edition of 1,000

`paperboy up` runs with its own servers and default settings. Sources drip and bomb, hostile bounces
arrive, and one process attacks the site (`attacks`). Meanwhile an edition goes to all subscribers, and
another process plays honest visitors (`visitors`), who sign up, confirm, read and leave. All of it is on
loopback; each visitor and attacker has an address of its own in 127.0.0.0/8. Progress on stderr, one JSON
object as the last line on stdout; exit status 1 if a promise was broken.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from siege.stronghold import Stronghold, open_stronghold
from siege.verdict import Figures, broken_promises
from siege.watch import Watch

FULL_SECONDS = 600
SUBSCRIBERS, FEW_SUBSCRIBERS = 5_000, 1_000
# So that the attack is at its height when the edition begins.
HEAD_START_SECONDS = 10.0
# For the edition, before the attack may end.
SETTLE_SECONDS = 120.0

stderr = Console(stderr=True)


def main() -> int:
    seconds = int(os.environ.get("SIEGE_SECONDS", FULL_SECONDS))
    if seconds < 30:
        print("siege: SIEGE_SECONDS is at least 30", file=sys.stderr)
        return 2
    count = SUBSCRIBERS if seconds >= FULL_SECONDS else FEW_SUBSCRIBERS
    with tempfile.TemporaryDirectory(prefix="pb-siege-") as name, ExitStack() as stack:
        home = Path(name)
        home.chmod(0o755)
        stderr.print(f"siege: an installation with {count:,} subscribers …")
        hold = stack.enter_context(open_stronghold(home, count))
        watch = stack.enter_context(Watch(hold.up.pid, home / "data"))
        figures = besiege(hold, watch, count, seconds)
        keep_logs(home, figures)
    faults = broken_promises(figures)
    for fault in faults:
        print(f"siege: {fault}", file=sys.stderr)
    print(json.dumps({**figures.as_json(), "seconds": seconds, "broken": faults}))
    return 1 if faults else 0


def besiege(hold: Stronghold, watch: Watch, count: int, seconds: int) -> Figures:
    """Run attackers and visitors for so long, send the edition meanwhile, and count."""
    with (
        running("siege.attacks", hold.url, str(seconds), str(hold.home)) as attacks,
        running("siege.visitors", hold.url, str(seconds), str(hold.home)) as visitors,
    ):
        began = time.monotonic()
        time.sleep(HEAD_START_SECONDS)
        hold.publish()
        with progress_bar() as progress:
            task = progress.add_task("", total=seconds, sent=0)
            while (gone := time.monotonic() - began) < seconds:
                hold.check()
                progress.update(task, completed=gone, sent=len(hold.sent_to()))
                time.sleep(1)
        attacked = json.loads(attacks.communicate(timeout=60)[0].splitlines()[-1])
        visited = json.loads(visitors.communicate(timeout=180)[0].splitlines()[-1])
    hold.await_edition(count, SETTLE_SECONDS)
    hold.await_bounces(SETTLE_SECONDS)
    return Figures(
        subscribers=count,
        sent=Counter(hold.sent_to()),
        edition_seconds=hold.edition_seconds(),
        balanced=hold.is_balanced(),
        bounces_due=hold.bounces_due(),
        bounces_recorded=hold.bounces_recorded(),
        strangers_mailed=hold.strangers_mailed(),
        attacks=attacked,
        visitors=visited,
        peak_mib=watch.peak_mib,
        peaks=dict(watch.peaks),
        replaced=watch.replaced,
        parts_ended=watch.parts_ended,
    )


@contextmanager
def running(module: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def progress_bar() -> Progress:
    return Progress(
        TextColumn("siege"), BarColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[sent]} digests sent"), console=stderr,
    )  # fmt: skip


def keep_logs(home: Path, figures: Figures) -> None:
    """Show the errors of the service's logs if a promise was broken: the directory goes with the run."""
    if not broken_promises(figures):
        return
    for path in sorted((home / "data" / "logs").glob("*.log")):
        lines = [
            line for line in path.read_text(errors="replace").splitlines() if '"error"' in line
        ]
        for line in lines[-5:]:
            stderr.print(f"{path.name}: {line[:1000]}", markup=False, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
