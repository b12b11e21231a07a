"""Ask pip-audit for known vulnerabilities of what is pinned.

    .ci/audit_check.py PIP_AUDIT [--must-answer] REQUIREMENTS…

Exit status 1 if there is one. Where the service that knows them does not answer, or does not know our
packages, nothing was audited: a line says so, and with `--must-answer` that is an error, too.
"""

import json
import subprocess
import sys


def main(words: list[str]) -> int:
    must_answer = "--must-answer" in words
    program, *files = [word for word in words if word != "--must-answer"]
    status = 0
    for file in files:
        done = subprocess.run(
            [program, "--disable-pip", "--require-hashes", "--progress-spinner", "off",
             "--timeout", "5", "--format", "json", "--requirement", file],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        problem, is_vulnerable = judge(done.stdout, done.stderr)
        print(f"{file}: {problem}", file=sys.stderr)
        if is_vulnerable is None:
            status |= must_answer
        else:
            status |= is_vulnerable
    return int(status)


def judge(output: str, complaint: str) -> tuple[str, bool | None]:
    """Return a sentence, and whether there are vulnerabilities; None where nobody knows."""
    try:
        packages = json.loads(output)["dependencies"]
    except (ValueError, KeyError):
        last_line = (complaint.strip().splitlines() or ["no answer"])[-1]
        return f"not audited: {last_line[:200]}", None
    audited = [one for one in packages if "skip_reason" not in one]
    if not audited:
        return f"not audited: the service knows none of {len(packages)} packages", None
    found = [
        f"{one['name']} {one['version']}: {', '.join(each['id'] for each in one['vulns'])}"
        for one in audited
        if one["vulns"]
    ]
    skipped = f", {len(packages) - len(audited)} unknown" if len(audited) < len(packages) else ""
    verdict = "; ".join(found) or "no known vulnerability"
    return f"{len(audited)} packages audited{skipped}: {verdict}", bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
