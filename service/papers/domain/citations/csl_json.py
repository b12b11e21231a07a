"""Citations as CSL-JSON, version 1.0.2: what citeproc, pandoc and Zotero read.

Schema: https://github.com/citation-style-language/schema/blob/master/schemas/input/csl-data.json.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from service.papers.domain.citations.citation import Citation, CitedName


def write_csl(items: Sequence[Mapping[str, Any]]) -> str:
    """Return a file of CSL-JSON with these items."""
    return json.dumps(items, ensure_ascii=False, indent=1) + "\n"


def to_csl(
    citation: Citation, key: str = "", *, tags: Sequence[str] = (), note: str = ""
) -> dict[str, Any]:
    """Return one item of a CSL-JSON list. `key` replaces the citation's own."""
    values = {
        "id": key or citation.key,
        # Preprints are `article` since CSL 1.0.2.
        "type": "article" if citation.is_preprint else "article-journal",
        "genre": "preprint" if citation.is_preprint else "",
        "title": citation.title,
        "author": [_to_name(name) for name in citation.authors],
        "issued": {"date-parts": [[n for n in (citation.year, citation.month, citation.day) if n]]},
        "container-title": citation.container,
        "publisher": citation.publisher,
        "number": f"arXiv:{citation.arxiv_id}" if citation.arxiv_id else "",
        "DOI": citation.doi,
        "URL": citation.url,
        "abstract": citation.abstract,
        "keyword": ", ".join(tags),
        "annote": note,
        "note": f"Published in {citation.published_in}" if citation.published_in else "",
    }
    return {name: value for name, value in values.items() if value}


def _to_name(name: CitedName) -> dict[str, str]:
    if name.is_group or not name.given:
        return {"literal": name.family}
    parts = {"family": name.family, "given": name.given, "suffix": name.suffix}
    return {part: value for part, value in parts.items() if value}
