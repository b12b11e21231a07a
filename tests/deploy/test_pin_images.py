"""`make pin-images` against a registry on loopback."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest
from support.servers.loopback_http import LoopbackHttp
from support.smtp.smtp_sink import free_port

ROOT = Path(__file__).resolve().parents[2]
TYPE = "application/vnd.docker.distribution.manifest.v2+json"

pytestmark = pytest.mark.program("skopeo")


@pytest.fixture
def digest(loopback_http: LoopbackHttp) -> str:
    """Serve one image and return the digest of its manifest."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers"}})
    blob = "sha256:" + hashlib.sha256(config.encode()).hexdigest()
    described = {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": blob}
    manifest = json.dumps(
        {
            "schemaVersion": 2, "mediaType": TYPE,
            "config": {**described, "size": len(config)}, "layers": [],
        }
    ).encode()  # fmt: skip
    loopback_http.routes |= {
        "/v2/": (200, {}, b"{}"),
        "/v2/valkey/manifests/8.1.2": (200, {"Content-Type": TYPE}, manifest),
        f"/v2/valkey/blobs/{blob}": (200, {}, config.encode()),
    }
    return "sha256:" + hashlib.sha256(manifest).hexdigest()


def pin(*files: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / ".ci/pin_images.sh", *files],
        env={**os.environ, "SKOPEO_OPTIONS": "--tls-verify=false"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_each_image_gets_the_digest_of_its_tag_and_keeps_the_tag(
    loopback_http: LoopbackHttp, digest: str, tmp_path: Path
) -> None:
    image = f"127.0.0.1:{loopback_http.port}/valkey:8.1.2"
    compose, dockerfile = tmp_path / "docker-compose.yml", tmp_path / "Dockerfile"
    old = "@sha256:" + "0" * 64
    compose.write_text(f"  queue:\n    image: {image}{old}\n  web:\n    image: paperboy:0.2.0\n")
    dockerfile.write_text(f"ARG BASE={image}\nFROM ${{BASE}}\n")
    done = pin(compose, dockerfile)
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        compose.read_text()
        == f"  queue:\n    image: {image}@{digest}\n  web:\n    image: paperboy:0.2.0\n"
    )
    assert dockerfile.read_text() == f"ARG BASE={image}@{digest}\nFROM ${{BASE}}\n"


def test_where_no_registry_answers_one_line_says_so_and_nothing_changes(tmp_path: Path) -> None:
    image = f"127.0.0.1:{free_port()}/valkey:8.1.2"
    compose = tmp_path / "docker-compose.yml"
    compose.write_text(f"    image: {image}\n")
    done = pin(compose)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"pin-images: no registry answers for {image}: left as they are\n"
    assert compose.read_text() == f"    image: {image}\n"
