"""What SpamAssassin thinks of every mail of the gallery, offline: each rule, its score, the total.

    .venv/bin/python .ci/spam_check.py

Only rules about content and headers can speak, since nothing here was relayed: SPF, DKIM, DMARC,
block lists and Bayes are the operator's matter (docs/mail-clients.md). Fails where a mail comes
to more than 1.0 points, and where SpamAssassin is missing: this check is never skipped.
"""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.mail.mail_states import State, every_state, render_state  # noqa: E402  # after the path

from service.messages.mime.mime import MessageHeaders, build_message, message_id  # noqa: E402
from service.messages.rendering.renderer import Renderer  # noqa: E402

MOST_POINTS = 1.0
_RULE = re.compile(r"^\s*(-?\d+\.\d+)\s+([A-Z][A-Z0-9_]+)\s", re.MULTILINE)
# A template marks each report, so that no word of a mail can be taken for one, and names its mail.
_REPORT = "=== report ==="
_ONE_REPORT = re.compile(rf"^{_REPORT} <([^>]+)>\s*$(.*?)^{_REPORT} ends", re.MULTILINE | re.DOTALL)
_SETTINGS = (
    "clear_report_template",
    f"report {_REPORT} _HEADER(Message-ID)_",
    "report _SUMMARY_",
    f"report {_REPORT} ends",
    "use_bayes 0",
    "use_auto_whitelist 0",
)


def as_message(renderer: Renderer, state: State, number: int) -> tuple[str, bytes]:
    """Return the mail's id and the mail."""
    now = datetime.now(UTC).replace(microsecond=0)
    name = message_id(state.kind, number, b"a key for this check", "papers.example.org")
    headers = MessageHeaders(
        sender="Paperboy <digest@papers.example.org>",
        to="reader@example.net",
        message_id=name,
        date=now,
        kind=state.kind,
        list_id="Paperboy digests <digest.papers.example.org>",
        unsubscribe_url="https://papers.example.org/unsubscribe/WzEsMF0.c2lnbmVk",
    )
    return name.strip("<>"), build_message(render_state(renderer, state), headers)


def judge(messages: dict[str, bytes]) -> dict[str, dict[str, float]]:
    """Return id -> rule -> points, from one SpamAssassin for all mails: its start takes seconds."""
    options = [f"--cf={setting}" for setting in _SETTINGS]
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / str(n) for n in range(len(messages))]
        for path, message in zip(paths, messages.values(), strict=True):
            path.write_bytes(message)
        done = subprocess.run(
            ["spamassassin", "--local", "--test-mode", *options, *map(str, paths)],
            capture_output=True,
            check=True,
        )
    reports = _ONE_REPORT.findall(done.stdout.decode(errors="replace"))
    if sorted(name for name, _ in reports) != sorted(messages):
        raise RuntimeError("SpamAssassin did not report each mail once")
    return {
        name: {rule: float(points) for points, rule in _RULE.findall(report)}
        for name, report in reports
    }


def main() -> int:
    if which("spamassassin") is None:
        print("SpamAssassin is missing: apt-get install spamassassin", file=sys.stderr)
        return 1
    renderer, worst = Renderer(), 0.0
    states = every_state()
    mails = [as_message(renderer, state, number) for number, state in enumerate(states, 1)]
    judged = judge(dict(mails))
    for state, (name, _) in zip(states, mails, strict=True):
        points = judged[name]
        total = round(sum(points.values()), 2)
        worst = max(worst, total)
        told = ", ".join(f"{rule} {score:+.1f}" for rule, score in sorted(points.items()))
        print(f"{total:+5.1f}  {state.name:24} {told or 'no rule spoke'}", flush=True)
    print(f"at most {worst:+.1f} of {MOST_POINTS:+.1f} points")
    return 0 if worst <= MOST_POINTS else 1


if __name__ == "__main__":
    sys.exit(main())
