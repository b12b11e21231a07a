"""A sample day as the JSON of `GET https://huggingface.co/api/daily_papers`."""

from datetime import UTC, date, datetime, time
from hashlib import sha256
from typing import Final

from service.sample.manuscripts import Fame
from service.sample.papers import SamplePaper, new_papers, sample_day
from service.sample.people import names_in

LISTED_COUNT: Final = 22
_SUBMITTER: Final = "Invented Submitter"
_MANY_COMMENTS: Final = 5


def entries(on: date) -> list[dict[str, object]]:
    """Return the day's most upvoted papers, best first; none on weekends, as the real site."""
    papers = new_papers(on) if sample_day(on) else ()
    famous = [(p, p.manuscript.fame) for p in papers if p.manuscript.fame is not None]
    famous.sort(key=lambda pair: (-pair[1].upvotes, pair[0].identifier))
    return [_entry(paper, fame, on) for paper, fame in famous[:LISTED_COUNT]]


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
