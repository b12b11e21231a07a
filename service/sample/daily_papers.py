"""A sample day as the JSON of `GET https://huggingface.co/api/daily_papers`."""

from dataclasses import replace
from datetime import UTC, date, datetime, time
from hashlib import sha256
from typing import Final

from service.sample.manuscripts import Fame
from service.sample.papers import SamplePaper, new_papers, sample_day
from service.sample.people import names_in

LISTED_COUNT: Final = 22
_SUBMITTER: Final = "Invented Submitter"
_MANY_COMMENTS: Final = 5
# The share of its upvotes that a paper has on the day of its list, the day after, and so on.
_GROWTH: Final = (0.4, 0.65, 0.8, 0.9, 0.95, 1.0)


def entries(on: date, seen_on: date) -> list[dict[str, object]]:
    """Return a day's most upvoted papers as they are on `seen_on`, best first.

    Weekends have none, as on the real site.
    """
    papers = new_papers(on) if sample_day(on) else ()
    share = _GROWTH[min((seen_on - on).days, len(_GROWTH) - 1)]
    famous = [(p, _grown(p.manuscript.fame, share)) for p in papers if p.manuscript.fame]
    famous.sort(key=lambda pair: (-pair[1].upvotes, pair[0].identifier))
    return [_entry(paper, fame, on) for paper, fame in famous[:LISTED_COUNT]]


def _grown(fame: Fame, share: float) -> Fame:
    return replace(fame, upvotes=max(1, round(fame.upvotes * share)))


def _entry(paper: SamplePaper, fame: Fame, on: date) -> dict[str, object]:
    thumbnails = "https://cdn-thumbnails.huggingface.co/social-thumbnails/papers"
    return {
        "paper": _paper(paper, fame, on),
        "publishedAt": _instant(paper.submitted_at),
        "title": paper.manuscript.title,
        "summary": paper.manuscript.abstract,
        "thumbnail": f"{thumbnails}/{paper.identifier}.png",
        "numComments": fame.comments,
        "submittedBy": _person("name"),
        "isAuthorParticipating": fame.comments > _MANY_COMMENTS,
    }


def _paper(paper: SamplePaper, fame: Fame, on: date) -> dict[str, object]:
    listed_at = datetime.combine(on, time(0, 41, 9), tzinfo=UTC)
    return {
        "id": paper.identifier,
        "authors": [
            {"_id": _key(f"{paper.identifier}/{name}"), "name": name, "hidden": False}
            for name in names_in(paper.manuscript.creator)
        ],
        "publishedAt": _instant(paper.submitted_at),
        "submittedOnDailyAt": _instant(listed_at),
        "title": paper.manuscript.title,
        "submittedOnDailyBy": _person("user"),
        "summary": paper.manuscript.abstract,
        "upvotes": fame.upvotes,
        "discussionId": _key(paper.identifier),
    } | _extras(fame)


def _extras(fame: Fame) -> dict[str, object]:
    """Return the fields that the real API has only for some papers."""
    extras: dict[str, object] = {}
    if fame.repo:
        extras["githubRepo"] = f"https://github.com/paperboy-invented-samples/{fame.repo}"
    if fame.summary:
        extras |= {"ai_summary": fame.summary, "ai_keywords": list(fame.keywords)}
    if fame.stars is not None:
        extras["githubStars"] = fame.stars
    return extras


def _person(name_field: str) -> dict[str, object]:
    return {
        "_id": _key(_SUBMITTER),
        "avatarUrl": f"/avatars/{_key(_SUBMITTER)}.svg",
        "isPro": False,
        "fullname": _SUBMITTER,
        name_field: "invented-submitter",
        "type": "user",
    }


def _key(text: str) -> str:
    """Return an id like the site's, 24 hexadecimal digits, the same on every run."""
    return sha256(text.encode()).hexdigest()[:24]


def _instant(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"
