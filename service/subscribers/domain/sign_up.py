"""A sign-up form as typed, and its validated values."""

from dataclasses import dataclass

from service.deliveries.domain.recipients import Cadence


@dataclass(frozen=True, slots=True)
class SignUpForm:
    """A sign-up form as typed; changing preferences uses the same form and ignores its address.

    `page` is the form's page (for the consent), `locale` the browser's preferred locale (`de-AT`)
    or empty. `has_empty_digests`: a short mail also where nothing matched; the sign-up page does
    not offer it.
    """

    email: str = ""
    topics: tuple[str, ...] = ()
    cadence: str = Cadence.DAILY
    hour: str = "7"
    timezone: str = "UTC"
    page: str = "/"
    locale: str = ""
    has_empty_digests: bool = False
    has_ai_summaries: bool = True

    def written_topics(self) -> list[tuple[int, str]]:
        """Return the topics that are not blank, each with its row and with whitespace collapsed."""
        rows = ((row, " ".join(text.split())) for row, text in enumerate(self.topics))
        return [(row, text) for row, text in rows if text]


@dataclass(frozen=True, slots=True)
class Preferences:
    """A subscriber's choices: cadence, local hour (0..23), tz database zone and topics.

    `has_empty_digests`: a short mail also where nothing matched. `has_ai_summaries`: summaries that
    a machine wrote, in place of the abstract. `topics`: (text as written, canonical form).
    """

    cadence: Cadence
    hour: int
    timezone: str
    has_empty_digests: bool = False
    has_ai_summaries: bool = True
    topics: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ValidSignUp:
    """A sign-up that can be stored. `email_key` is equal for all spellings of one address."""

    email: str
    email_key: str
    preferences: Preferences
    page: str = "operator"
    locale: str = ""
