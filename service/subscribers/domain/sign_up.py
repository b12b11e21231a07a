"""A sign-up as it was typed, and what it is once it was validated."""

from dataclasses import dataclass

from service.deliveries.domain.recipients import Cadence


@dataclass(frozen=True, slots=True)
class SignUpForm:
    """A sign-up as it was typed; a change of preferences is the same form, its address unread.

    `page` is where (for the record of consent), `locale` how the visitor's browser asks for dates
    (`de-AT`), or empty. `has_empty_digests`: a short mail also where nothing matched; no form asks
    a newcomer for it.
    """

    email: str = ""
    topics: tuple[str, ...] = ()
    cadence: str = Cadence.DAILY
    hour: str = "7"
    timezone: str = "UTC"
    page: str = "/"
    locale: str = ""
    has_empty_digests: bool = False

    def written_topics(self) -> list[tuple[int, str]]:
        """Return the topics that are not blank, each with its row, runs of blanks made one."""
        rows = ((row, " ".join(text.split())) for row, text in enumerate(self.topics))
        return [(row, text) for row, text in rows if text]


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a reader chose: cadence, local hour (0..23), tz database zone and topics.

    `has_empty_digests`: a short mail also where nothing matched. `topics`: (text as written,
    canonical form).
    """

    cadence: Cadence
    hour: int
    timezone: str
    has_empty_digests: bool = False
    topics: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ValidSignUp:
    """A sign-up that can be stored. `email_key` is what makes two spellings one address."""

    email: str
    email_key: str
    preferences: Preferences
    page: str = "operator"
    locale: str = ""
