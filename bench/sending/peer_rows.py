"""The digests of an edition as files for django-post_office, the peer of `send.py`.

They are files because the peer has an interpreter of its own. `rows.jsonl` holds a row for each
subscriber, from the same values as our mails: `to`, `sender` (the return path), `message_id`,
`headers`, the finished `subject`, `html` and `text`, and `context`, from which the Django templates
`body.html` and `body.txt` render the same mail. The HTML is ours with more line breaks between tags:
Django sends a text unencoded where no line is longer than 998 bytes.
"""

import json
import re
from collections.abc import Iterator
from email.parser import BytesHeaderParser
from email.policy import default
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from sending.peer_context import make_context
from service.deliveries.store.claimed_rows import Claim
from service.deliveries.store.models import Delivery
from service.messages.build import build_mail, digest_context, render_mail
from service.messages.contexts.digest import DigestContext
from service.messages.edition_data import EditionDataCache, gather_edition_data
from service.messages.identity import make_renderer
from service.messages.rendering.environment import load_templates
from service.messages.rendering.mjml_cache import compile_shape, split_shape
from service.messages.rendering.renderer import TEMPLATE_DIR, Renderer
from service.messages.rendering.text_part import tidy_text
from service.platform.settings.settings import Settings
from service.subscribers.store.models import Subscriber

OWN_DIR = Path(__file__).resolve().parent / "peer"
# Headers that Django does not add by itself.
HEADERS = (
    "From", "List-Id", "List-Post", "List-Unsubscribe", "List-Unsubscribe-Post",
    "X-Auto-Response-Suppress",
)  # fmt: skip
_CHUNK = 500
_BLOCK_BEGINS = re.compile(r">(?=<(?:div|table|p|/div|!--))")


def write_peer_rows(
    sessions: sessionmaker[Session], edition_id: int, settings: Settings, count: int, folder: Path
) -> None:
    """Write the files for the first `count` subscribers of an edition."""
    renderer, environment = (
        make_renderer(settings),
        load_templates(TEMPLATE_DIR, OWN_DIR).environment,
    )
    mail: DigestContext | None = None
    with (folder / "rows.jsonl").open("w") as rows:
        for claim, editions in _read_claims(sessions, edition_id, count):
            subscriber = claim.subscriber
            assert subscriber is not None
            mail = digest_context(claim.delivery, subscriber, editions, settings)
            row = _headers(claim, editions, settings, renderer)
            row |= _contents(claim, mail, settings, renderer)
            row |= {"context": {"subject": row["subject"], **make_context(mail)}}
            rows.write(json.dumps(row) + "\n")
    assert mail is not None
    (folder / "body.html").write_text(_html_template(mail, environment))
    (folder / "body.txt").write_text(_text_template(mail, environment))


def _read_claims(
    sessions: sessionmaker[Session], edition_id: int, count: int
) -> Iterator[tuple[Claim, EditionDataCache]]:
    editions = EditionDataCache()
    query = (
        select(Delivery, Subscriber)
        .join(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .where(Delivery.edition_id == edition_id)
        .order_by(Delivery.id)
    )
    with sessions() as session:
        for start in range(0, count, _CHUNK):
            rows = session.execute(query.offset(start).limit(min(_CHUNK, count - start))).all()
            claims = [Claim(delivery, subscriber) for delivery, subscriber in rows]
            gather_edition_data(session, claims, editions)
            yield from ((claim, editions) for claim in claims)


def _headers(
    claim: Claim, editions: EditionDataCache, settings: Settings, renderer: Renderer
) -> dict[str, Any]:
    """Return the envelope and headers of our own message."""
    built = build_mail(claim, editions, settings, renderer, claim.delivery.created_at)
    message = BytesHeaderParser(policy=default).parsebytes(built.envelope.payload)
    return {
        "to": built.envelope.recipient,
        "sender": built.envelope.sender,
        "message_id": built.message_id,
        "headers": {name: str(message[name]) for name in HEADERS if name in message},
    }


def _contents(
    claim: Claim, mail: DigestContext, settings: Settings, renderer: Renderer
) -> dict[str, Any]:
    written = render_mail(claim.delivery.kind, mail, settings, renderer)
    html = _break_lines(written.html)
    return {"subject": written.subject, "html": html, "text": written.text}


def _break_lines(html: str) -> str:
    return _BLOCK_BEGINS.sub(">\n", html)


def _html_template(mail: DigestContext, environment: Environment) -> str:
    template = environment.get_template("digest/body.mjml")
    written = template.render(mail=mail, subject=Markup("{{ subject }}"))
    shape, contents = split_shape(written)
    pressed = compile_shape(shape)
    pieces = (piece if isinstance(piece, str) else contents[piece] for piece in pressed)
    return _break_lines("".join([*pieces, "\n"]))


def _text_template(mail: DigestContext, environment: Environment) -> str:
    return tidy_text(environment.get_template("digest/body.txt").render(mail=mail))
