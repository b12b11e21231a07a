"""A Python client made from the OpenAPI document, and used against the running site."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest
from openapi_python_client import generate
from openapi_python_client.config import Config, ConfigFile, MetaType
from support.web.api import ApiReader

NAME = "generated_paperboy"


@pytest.fixture
def client(web: httpx2.Client, tmp_path: Path) -> Iterator[ModuleType]:
    """Generate the client as a package, and import it."""
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(web.get("/openapi.json").json()))
    # No hooks: they would only format it.
    file = ConfigFile(post_hooks=[], package_name_override=NAME)
    config = Config.from_sources(
        file, MetaType.NONE, document, "utf-8", overwrite=False, output_path=tmp_path / NAME
    )
    assert generate(config=config) == []
    sys.path.insert(0, str(tmp_path))
    yield importlib.import_module(NAME)
    sys.path.remove(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


def call(operation: str, **arguments: Any) -> Any:
    module = importlib.import_module(f"{NAME}.api.{operation}")
    return module.sync(**arguments)


def test_a_generated_client_reads_papers_and_changes_topics(
    web: httpx2.Client, client: ModuleType, reader: ApiReader
) -> None:
    models = importlib.import_module(f"{NAME}.models")
    with client.Client(base_url=str(web.base_url)) as anybody:
        found = call("public.search_papers", client=anybody, q="cats")
        assert [paper.title for paper in found.items] == ["Cats"]
        paper = call("public.get_paper", client=anybody, key=found.items[0].key)
        assert paper.announcements[0].on == found.items[0].announced_on
        refused = call("public.search_papers", client=anybody, q="cats (")
        assert (refused.status, refused.errors[0].position) == (422, 5)
    with client.AuthenticatedClient(base_url=str(web.base_url), token=reader.token) as me:
        body = models.TopicsChange(topics=[models.TopicInput(query="dogs", name="Pets")])
        changed = call("subscriber.replace_topics", client=me, body=body)
        assert [(each.name, each.query) for each in changed.topics] == [("Pets", "dogs")]
        (digest,) = call("subscriber.list_digests", client=me).items
        assert digest.sections[0].papers[0].title == "Cats"
