"""Whether the operator's password can be guessed, by zxcvbn's estimate."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from service.platform.settings.faults import SettingFault, SettingsError
from service.platform.settings.settings import Settings

# Of 4: "safely unguessable", at least 100 million guesses. The right password is never locked out, so
# its strength is what stops a flood of wrong ones.
_LEAST_SCORE = 3
# The library raises for more, and no longer password is weak for another reason than its beginning.
_MOST_LETTERS = 72
# In a process of its own: its word lists would take 14 MB of each server for good.
_PROGRAM = Path(__file__).with_name("password_score.py")


def find_weak_password(settings: Settings) -> Iterator[SettingFault]:
    """Yield the fault of a password that can be guessed. It takes a third of a second."""
    if not settings.admin_password:
        return
    done = subprocess.run(
        [sys.executable, "-P", "-X", "utf8", str(_PROGRAM), *_guessers_words(settings)],
        input=settings.admin_password[:_MOST_LETTERS],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    if (score := int(done.stdout)) < _LEAST_SCORE:
        problem = f"the password is easy to guess ({score} of 4 by zxcvbn)"
        hint = "Set a longer one; `openssl rand -base64 24` makes one"
        yield SettingFault("admin_password", problem, hint)


def _guessers_words(settings: Settings) -> list[str]:
    """Return the words that stand on the site and in its mails."""
    shown = (
        f"paperboy admin operator {settings.brand_name} {settings.base_url} {settings.mail_from}"
    )
    return sorted({word.lower() for word in re.findall(r"\w{3,}", shown)})


def refuse_weak_password(settings: Settings) -> None:
    """Raise `SettingsError` where the operator's password can be guessed; call it at start."""
    if faults := list(find_weak_password(settings)):
        raise SettingsError(faults)
