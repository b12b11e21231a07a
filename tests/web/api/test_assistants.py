"""The tools of assistants over streamable HTTP, by the client of the protocol's own package."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

import httpx2
import structlog
from fastapi import FastAPI
from mcp import Client, StdioServerParameters, stdio_client
from support.rules import ROOT
from support.web.api import ApiReader, bearer
from support.web.server import serve

from service.platform.settings.settings import Settings
from service.web.api.operations import OPERATIONS

HEAD = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}


def call(web: httpx2.Client, tool: str, **arguments: object) -> Any:
    """Call a tool; return its result."""
    body = {
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    }  # fmt: skip
    answer = web.post("/mcp", json=body, headers=HEAD)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()["result"]


def test_tools_answer_what_the_api_answers(web: httpx2.Client, reader: ApiReader) -> None:
    for tool, arguments, path in (
        ("search", {"q": "cats"}, "search?q=cats"),
        ("day", {"date": "latest"}, "days/latest"),
        ("paper", {"key": "2609.00001"}, "papers/2609.00001"),
    ):
        found = call(web, tool, **arguments)
        assert found["structuredContent"] == web.get(f"/api/v1/{path}").json()
        assert json.loads(found["content"][0]["text"]) == found["structuredContent"]


def test_a_digest_needs_its_readers_key(web: httpx2.Client, reader: ApiReader) -> None:
    refused = call(web, "my_digest")
    assert refused["isError"]
    assert "Authorization" in refused["content"][0]["text"]
    web.headers.update(bearer(reader.feed))
    with structlog.testing.capture_logs() as lines:
        (digest,) = call(web, "my_digest")["structuredContent"]["items"]
    assert digest["sections"][0]["papers"][0]["title"] == "Cats"
    assert reader.feed not in str(lines)


def test_mistakes_are_told_to_the_assistant(web: httpx2.Client, reader: ApiReader) -> None:
    for tool, arguments, text in (
        ("search", {}, "q: Field required"),
        ("search", {"q": "cats", "limit": 9}, "limit: Extra inputs"),
        ("search", {"q": "cats ("}, "parenthesis"),
        ("day", {"date": "2026-02-30"}, "no such day"),
        ("paper", {"key": "arxiv:1"}, "No paper here"),
        ("erase", {}, "search, "),
    ):
        result = call(web, tool, **arguments)
        assert result["isError"], tool
        assert text in result["content"][0]["text"]


def test_a_tool_takes_the_tokens_of_its_page(web: httpx2.Client) -> None:
    query = " OR ".join(f"word{n}*" for n in range(40))
    results = [call(web, "search", q=query) for _ in range(7)]
    assert [each.get("isError", False) for each in results][0::6] == [False, True]
    assert "lot of work" in results[-1]["content"][0]["text"]


def test_pages_of_other_sites_and_open_streams_are_refused(web: httpx2.Client) -> None:
    assert web.post("/mcp", json={}, headers={"Origin": "https://evil.example"}).status_code == 403
    assert web.get("/mcp", headers=HEAD).status_code == 405


def test_an_assistant_on_this_machine_reads_the_digests_of_the_named_reader(
    settings: Settings, reader: ApiReader
) -> None:
    environment = {
        **os.environ,
        "PAPERBOY_DATABASE_URL": settings.database_url,
        "PAPERBOY_REDIS_URL": settings.redis_url,
        "PAPERBOY_DATA_DIR": str(settings.data_dir),
    }
    words = ["-m", "service.cli", "mcp", "--reader", "Reader@example.org"]
    server = StdioServerParameters(command=sys.executable, args=words, env=environment, cwd=ROOT)

    async def walk() -> Any:
        async with Client(stdio_client(server)) as client:
            return (await client.call_tool("my_digest", {})).structured_content

    (digest,) = asyncio.run(walk())["items"]
    assert digest["sections"][0]["papers"][0]["title"] == "Cats"


def test_a_client_of_the_protocol_finds_the_tools(app: FastAPI, reader: ApiReader) -> None:
    async def walk(address: str) -> tuple[set[str], Mapping[str, Any]]:
        async with Client(f"{address}/mcp") as client:
            tools = (await client.list_tools()).tools
            found = await client.call_tool("search", {"q": "dogs"})
            assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
            return {tool.name for tool in tools}, found.structured_content

    with serve(app) as address:
        names, found = asyncio.run(walk(address))
    assert names == {each.tool for each in OPERATIONS if each.tool}
    assert found["total"] == 1
