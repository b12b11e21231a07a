"""A Message-ID in its row: known again by its signature, written out for people."""

import pytest

from service.deliveries.domain.message_ids import domain_mark, pack_message_id, restore_message_id
from service.deliveries.domain.states import DeliveryKind
from service.messages.mime.mime import message_id

DIGEST, NUMBER = DeliveryKind.DIGEST, 2609000000000042
OURS = message_id(DIGEST, NUMBER, b"a secret key of ours", "Papers.example.org")


def test_a_row_has_14_bytes_of_which_the_message_id_is_made_again() -> None:
    packed = pack_message_id(OURS)
    assert len(packed) == 14
    assert packed[10:] == domain_mark("papers.example.org")
    assert restore_message_id(DIGEST, NUMBER, packed, "Papers.example.org") == OURS


def test_of_a_former_domain_only_the_left_side_is_known() -> None:
    left = OURS.partition("@")[0]
    assert restore_message_id(DIGEST, NUMBER, pack_message_id(OURS), "other.org") == f"{left}@…>"
    assert restore_message_id(DIGEST, NUMBER, b"", "other.org") == ""


def test_another_key_or_domain_is_another_mark() -> None:
    others = [
        message_id(DIGEST, NUMBER, b"another secret key", "papers.example.org"),
        message_id(DIGEST, NUMBER, b"a secret key of ours", "elsewhere.example.org"),
    ]
    assert len({pack_message_id(one) for one in [OURS, *others]}) == 3


@pytest.mark.parametrize(
    "text", ["", "<a@b>", "<digest.1.zz@b>", "<digest.1.00112233445566778899>"]
)
def test_what_is_not_ours_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # also of `bytes.fromhex`
        pack_message_id(text)
