"""The sentence of a mail about papers that wait."""

from datetime import date

from service.deliveries.domain.digest import Digest, TopicWait
from service.deliveries.domain.digest_json import digest_from_json, digest_to_json
from service.presentation.waits import waits_line

WAITS = (
    TopicWait("“Robots”", 2, date(2026, 12, 3)),
    TopicWait("Cells", 1, date(2026, 12, 20), at_least=3),
)


def test_it_says_how_many_papers_wait_for_what() -> None:
    assert waits_line(()) == ""
    assert waits_line(WAITS) == (
        "Waiting for a later digest: 2 papers on Robots, until Thursday 3 December; 1 paper on Cells,"
        " until there are 3, at the latest Sunday 20 December."
    )


def test_what_waits_is_frozen_with_the_digest() -> None:
    digest = Digest((), waits=WAITS)
    assert digest_from_json(digest_to_json(digest)) == digest
    assert "waits" not in digest_to_json(Digest(()))
