"""The digest of a delivery row, as it is stored: JSON, deflated with what all digests have in common."""

from collections.abc import Mapping
from itertools import accumulate
from operator import sub
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import Dialect, LargeBinary, TypeDecorator

from service.platform.packing import Packer

PACKER = Packer(
    b'{"sign_up":"","missed":["cat:cs.CL","category",["cs.CL"],false],["cs.AI"],["cs.CV"],["cs.LG"],'
    b'["stat.ML"],"author",true],"published","withdrawn","code","revised","Trending",0,"Newest",0,'
    b'{"reasons":[["","abstract",["learning","model"],false],["\\"language model\\"","title",["language",'
    b'"model"],false]],"notes":[[0,0,0],[0,0,1],[0,0,0,1]],"groups":[["",1,[10,20],'
    b'[0,1,2,0,1,0,1,1,0,0,0,0]]],"cut":[],"updates":[],"also":[[],[]]}'
)


def pack_digest(digest: Mapping[str, Any]) -> bytes:
    """Return what the row stores: some 150 bytes for a dozen papers, a third of the JSON."""
    cut = digest.get("cut")
    if cut:
        # A broad topic cuts hundreds of papers, in the order of an edition: few differences have two digits.
        digest = {**digest, "cut": [cut[0], *map(sub, cut[1:], cut)]}
    return PACKER.pack(to_json(digest))


def unpack_digest(packed: bytes) -> dict[str, Any]:
    """Return the digest; an empty object for what is none, so that building this mail alone fails."""
    try:
        digest: dict[str, Any] = from_json(PACKER.unpack(packed))
        if digest.get("cut"):
            digest["cut"] = [*accumulate(digest["cut"])]
    except (ValueError, AttributeError, TypeError):
        return {}
    return digest


class PackedDigest(TypeDecorator[dict[str, Any]]):
    """A `bytea` column that is a dictionary in Python."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> bytes | None:  # noqa: ARG002  # SQLAlchemy gives it
        return None if value is None else pack_digest(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> dict[str, Any] | None:  # noqa: ARG002  # SQLAlchemy gives it
        return None if value is None else unpack_digest(bytes(value))
