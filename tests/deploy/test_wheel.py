"""The built wheel in an empty environment, outside any checkout: what somebody gets who has only Python.

The wheel is built from the source distribution, so that both are known to be complete. Pinned
dependencies are installed as an operator would, over the network and by hash.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
from support.smtp.smtp_sink import free_port

from service.platform.release import release
from service.similarity.availability import NOT_HERE

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("service", "workers", "migrations", "email_templates")
SOURCES = (*PACKAGES, "requirements", "pyproject.toml", "README.md", "LICENSE")
MOST_MB = 400
MOST_BARE_MB = 225
# Nothing answers there, so a demo takes its built-in papers.
CLOSED = "http://127.0.0.1:9"
EXTRA = "pip install 'paperboy-digest[embedded]'"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def run(*command: object, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command with nothing of our environment but the way to programs and packages."""
    return subprocess.run(
        [*map(str, command)],
        cwd=cwd, env={**_surroundings(), **environ}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def _surroundings() -> dict[str, str]:
    kept = ("PATH", "HOME", "TMPDIR", "LANG")
    names = [name for name in os.environ if name in kept or name.startswith(("PIP_", "SSL_"))]
    return {name: os.environ[name] for name in names}


def succeed(*command: object, cwd: Path) -> str:
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the source distribution, built from a copy that has no other files."""
    copy = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            no_caches = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, copy / name, ignore=no_caches)
        else:
            shutil.copy(ROOT / name, copy)
    build = "from setuptools.build_meta import build_sdist; build_sdist('dist')"
    succeed(sys.executable, "-c", build, cwd=copy)
    (made,) = (copy / "dist").iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    succeed(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, archive, cwd=folder)
    (made,) = folder.iterdir()
    return made


class Environment:
    """An environment with nothing but what this installs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        succeed(sys.executable, "-m", "venv", folder, cwd=folder.parent)

    def install(self, *arguments: object) -> None:
        pip = (self.folder / "bin/python", "-m", "pip", "--disable-pip-version-check", "install")
        succeed(*pip, "--quiet", "--no-compile", *arguments, cwd=self.folder)

    def install_pins(self, name: str) -> None:
        self.install("--no-deps", "--require-hashes", "-r", ROOT / "requirements" / name)

    def paperboy(
        self, *arguments: str, cwd: Path, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        return run(self.folder / "bin/paperboy", *arguments, cwd=cwd, **environ)

    def compile(self) -> None:
        """Write the byte code of everything, as pip does by default."""
        succeed(self.folder / "bin/python", "-m", "compileall", "-q", "lib", cwd=self.folder)

    @property
    def megabytes(self) -> float:
        return sum(file.stat().st_size for file in self._files()) / 1e6

    @property
    def megabytes_on_disk_without_tools(self) -> float:
        """What the file system gives to it, without pip and setuptools, as in the image."""
        tools = {"pip", "setuptools", "pkg_resources", "_distutils_hack"}
        files = [file for file in self._files() if not tools & set(file.parts)]
        return sum(file.stat().st_blocks * 512 for file in files) / 1e6

    def _files(self) -> list[Path]:
        found = self.folder.rglob("*")
        return [file for file in found if file.is_file() and not file.is_symlink()]


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return an environment with the wheel and no extra."""
    made = Environment(tmp_path_factory.mktemp("base") / "venv")
    made.install_pins("run.txt")
    made.install("--no-index", wheel)
    return made


@pytest.fixture(scope="module")
def embedded(base: Environment, wheel: Path) -> Environment:
    """Return the same environment with the extra; to be requested after what needs none."""
    base.install_pins("embedded.txt")
    base.install("--no-index", f"{wheel}[embedded]")
    return base


def test_archive_and_wheel_carry_every_file_of_the_packages(archive: Path, wheel: Path) -> None:
    files = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {"email_templates/digest/body.mjml", "service/web/static/site.css"} < files
    with zipfile.ZipFile(wheel) as packed:
        assert files <= set(packed.namelist())
        assert not [name for name in packed.namelist() if "__pycache__" in name]
    with tarfile.open(archive) as packed_sources:
        inside = {name.partition("/")[2] for name in packed_sources.getnames()}
    assert files <= inside


def test_without_extras_it_has_at_most_225_megabytes_byte_code_included(
    base: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    base.compile()
    everything, on_disk = base.megabytes, base.megabytes_on_disk_without_tools
    with capsys.disabled():
        sys.stdout.write(f"\nwheel: {everything:.0f} MB of files, {on_disk:.0f} MB on the disk\n")
    assert everything <= MOST_BARE_MB
    assert on_disk <= MOST_BARE_MB


@pytest.mark.parametrize("command", [("demo", "--once"), ("up",)])
def test_without_the_extra_one_line_names_it(
    base: Environment, command: tuple[str, ...], tmp_path: Path
) -> None:
    done = base.paperboy(*command, cwd=tmp_path, PAPERBOY_ARXIV_FEED_URL=CLOSED)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert EXTRA in line


def test_a_demo_runs_outside_a_checkout_and_its_mail_arrives(
    embedded: Environment, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = data_dir.parent
    assert embedded.paperboy("--version", cwd=here).stdout == f"paperboy {release()}\n"
    started = time.monotonic()
    done = embedded.paperboy(
        "demo", "--once",
        cwd=here, PAPERBOY_ARXIV_FEED_URL=CLOSED, PAPERBOY_BASE_URL=f"http://127.0.0.1:{free_port()}",
    )  # fmt: skip
    seconds = time.monotonic() - started
    assert (done.returncode, done.stderr) == (0, "")
    assert "The balance closes." in done.stdout
    subjects = [mail["Subject"] for mail in mails_of(here / ".paperboy/demo/mailbox/new")]
    assert len([subject for subject in subjects if " new " in subject]) == 1, subjects
    megabytes = embedded.megabytes
    assert megabytes <= MOST_MB
    with capsys.disabled():
        sys.stdout.write(f"\nwheel: demo --once in {seconds:.0f} s, {megabytes:.0f} MB installed\n")


def test_without_the_other_extra_like_is_refused_and_nothing_else(
    embedded: Environment, data_dir: Path
) -> None:
    here = data_dir.parent
    refused = embedded.paperboy("topics", "test", 'like:"robots that learn"', cwd=here)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert NOT_HERE in refused.stderr
    assert embedded.paperboy("topics", "test", "robots", cwd=here).returncode == 0


def mails_of(folder: Path) -> list[EmailMessage]:
    return [message_from_bytes(file.read_bytes(), policy=default) for file in folder.iterdir()]
