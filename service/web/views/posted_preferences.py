"""A posted form of preferences, the reader's own or the operator's, over the stored values."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from service.web.views.sign_up_form import TypedForm, parse_named_rows, parse_word

Word = Annotated[str, AfterValidator(parse_word)]


class PostedPreferences(BaseModel):
    """Topics and schedule as posted.

    Blank values and `topic=None` were not sent and leave the stored value. `name` has the names of
    the first topics, row by row, `comes` their measures. `ai_summaries` and `empty_digests` are
    `yes` or `no`; the form sends a hidden `no` before the box, so that an unticked
    box differs from a form without the field, and the last value counts.
    """

    topic: list[str] | None = None
    name: list[str] = Field(default_factory=list)
    comes: list[str] = Field(default_factory=list)
    cadence: Word = ""
    hour: Word = ""
    timing: Word = ""
    timezone: Word = ""
    ai_summaries: str = ""
    empty_digests: str = ""
    full_cards: Word = ""
    max_papers: list[str] = Field(default_factory=list)
    weekly_topics_on: Word = ""

    def merge_into(self, stored: TypedForm) -> TypedForm:
        """Return the posted values, with the stored ones where a field was not sent."""
        topics, names = parse_named_rows(self.topic or (), self.name)
        _, measures = parse_named_rows(self.topic or (), self.comes)
        if self.topic is None:
            topics, names, measures = stored.topics, stored.names, stored.measures
        return replace(
            stored,
            topics=topics,
            names=names,
            measures=measures,
            cadence=self.cadence or stored.cadence,
            hour=self.hour or stored.hour,
            timezone=self.timezone or stored.timezone,
            timing=self.timing or stored.timing,
            full_cards=self.full_cards or stored.full_cards,
            max_papers=_read_number(self.max_papers) if self.max_papers else stored.max_papers,
            weekly_topics_on=self.weekly_topics_on or stored.weekly_topics_on,
            has_empty_digests=_read_tick(self.empty_digests, stored.has_empty_digests),
            has_ai_summaries=_read_tick(self.ai_summaries, stored.has_ai_summaries),
        )


def _read_number(sent: Sequence[str]) -> str:
    """Return what was typed; the form sends a hidden `usual` before the field, which may be empty."""
    typed = [word for text in sent if (word := parse_word(text)) not in {"", "usual"}]
    return typed[-1] if typed else ""


def _read_tick(sent: str, stored: bool) -> bool:
    return sent == "yes" if sent else stored
