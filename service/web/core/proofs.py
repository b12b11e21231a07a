"""A proof of work, or without a script a wait, in place of a refusal.

ALTCHA's challenge (https://altcha.org/docs/v2/proof-of-work) is made and verified here and solved in
the browser by our own script: no third party, no cookie. Both kinds of proof are used once.
"""

import json
import secrets
from base64 import b64decode
from binascii import Error as NotBase64
from datetime import timedelta
from hashlib import sha256

from altcha import Payload, create_challenge, verify_solution

from service.platform.signing.address_hash import email_key, fingerprint
from service.platform.signing.tokens import Purpose, Token, TokenError, sign_token
from service.web.core.context import AppContext
from service.web.core.signed_links import open_link

# A second or two in a browser, under a millisecond here: the browser tries as many keys as the
# counter says, and we make one and verify its signature.
_COST, _FEWEST, _MOST = 2_000, 1_000, 2_000
# A visitor who needs many proofs, such as a program, works and waits longer for each.
_PROOFS_A_STEP, _MOST_STEPS = 10, 8
_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 30, 900
_LIFETIME = timedelta(minutes=30)


def make_challenge(context: AppContext, shown: int) -> str:
    """Return a new challenge as JSON; `shown` is how many the visitor got in the last hour."""
    steps = min(1 + shown // _PROOFS_A_STEP, _MOST_STEPS)
    counter = steps * (_FEWEST + secrets.randbelow(_MOST - _FEWEST))
    key = _hmac_key(context.settings.secret_key[0])
    challenge = create_challenge(
        "PBKDF2/SHA-256",
        _COST,
        counter=counter,
        data={"at": int(context.clock().timestamp()), "most": steps * _MOST},
        hmac_secret=key,
        hmac_key_secret=key,
    )
    return json.dumps(challenge.to_dict())


def is_solved(context: AppContext, solution: str) -> bool:
    """Return whether a text solves a challenge of ours that is not old and was not solved before."""
    try:
        parameters = Payload.from_dict(json.loads(b64decode(solution))).challenge.parameters
        made_at = int((parameters.data or {})["at"])
    except (NotBase64, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
    age = context.clock().timestamp() - made_at
    is_ours = any(
        verify_solution(solution, key, hmac_key_secret=key).verified
        for key in map(_hmac_key, context.settings.secret_key)
    )
    return (
        is_ours and age <= _LIFETIME.total_seconds() and context.limits.use_once(parameters.nonce)
    )


def _hmac_key(secret: str) -> str:
    return f"altcha {secret}"


def wait_seconds(shown: int) -> int:
    """Return how long a visitor waits who has no script and got so many proofs already."""
    return min(_WAIT_SECONDS << min(shown // 3, 10), _LONGEST_WAIT_SECONDS)


def sign_wait(context: AppContext, address: str, seconds: int) -> str:
    """Return a token that lets a form for this address pass once, after so many seconds."""
    token = Token(Purpose.WAIT, seconds, context.clock(), fingerprint(email_key(address)))
    return sign_token(token, context.settings.secret_key)


def seconds_left(context: AppContext, text: str, address: str) -> int | None:
    """Return the seconds until a wait is over, 0 after that, or None where it is no wait of ours."""
    try:
        token = open_link(context, text, Purpose.WAIT)
    except TokenError:
        return None
    if token.detail != fingerprint(email_key(address)):
        return None
    passed = (context.clock() - token.issued_at).total_seconds()
    return max(0, -int(-(token.subject - passed) // 1))


def has_waited(context: AppContext, text: str, address: str) -> bool:
    """Return whether a wait is over, which is used up by this."""
    if seconds_left(context, text, address) != 0:
        return False
    return context.limits.use_once(sha256(text.encode()).hexdigest())
