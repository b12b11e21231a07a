"""The command `up`: the service with the operator's settings, as child processes."""

import ipaddress
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import typer

from service.cli.context import command_context
from service.cli.mail_target import development_mailbox
from service.cli.processes import (
    LOOPBACK,
    Stack,
    beat_schedule,
    check_place,
    ending_at_signals,
    listening_port,
)
from service.platform.settings.env_file import env_file_path, find_env_file
from service.platform.settings.faults import PREFIX
from service.platform.settings.kinds import is_loopback
from service.platform.settings.passwords import refuse_weak_password
from service.platform.settings.risks import find_missing
from service.platform.settings.settings import Settings
from service.sending.demo_guard import refuse_any_use

# A relay may take ten minutes to answer the final dot (RFC 5321 §4.5.3.2.6); a worker that is
# killed before that leaves its mails in doubt.
STOP_SECONDS = 700.0


@dataclass(frozen=True, slots=True)
class Place:
    """The address on which the site listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The site's address for this machine; every address of it includes the loopback one."""
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return f"http://{self.host}:{self.port}"
        if address.is_unspecified:
            return f"http://{LOOPBACK if address.version == 4 else '[::1]'}:{self.port}"
        return f"http://{address if address.version == 4 else f'[{address}]'}:{self.port}"


def run(context: typer.Context, *, as_json: bool, host: str, port: int | None) -> None:
    """Serve until Ctrl-C or SIGTERM. Raises `CommandError` when a part ends at its first start."""
    with (
        suppress(KeyboardInterrupt),  # Its ordinary end, also while it starts.
        ending_at_signals(),
        command_context(context, as_json=as_json) as command,
        development_mailbox(command.settings) as settings,
    ):
        refuse_weak_password(settings)
        refuse_any_use(command.sessions, settings)
        place = Place(host, port or listening_port(settings))
        site = _with_local_address(settings, place)
        changes = {"PAPERBOY_MAILBOX_URL": site.mailbox_url, "PAPERBOY_BASE_URL": site.base_url}
        with Stack(site, changes, STOP_SECONDS) as stack:
            # Only now: what a killed `up` left behind may have listened there.
            check_place(place.host, place.port)
            stack.start("web", "--host", place.host, "--port", str(place.port))
            stack.start_workers()
            stack.start("beat", *beat_schedule(settings.data_dir))
            stack.wait_for_web(place.url)
            value = {
                "url": site.base_url,
                "listens_on": place.url,
                "processes": stack.pids(),
                "settings_file": str(find_env_file() or ""),
                "missing": [PREFIX + fault.setting.upper() for fault in find_missing(site)],
            }
            stack.stay_up(lambda: command.print(value, *_lines(site, place)))


def _with_local_address(settings: Settings, place: Place) -> Settings:
    """Return the settings with the address that is served, unless a proxy's address is set."""
    if not is_loopback(urlsplit(settings.base_url).hostname or ""):
        return settings
    # A name such as `localhost` stays: links keep the form that the operator chose.
    is_same = listening_port(settings) == place.port and is_loopback(place.host)
    return settings if is_same else settings.model_copy(update={"base_url": place.url})


def _lines(settings: Settings, place: Place) -> list[str]:
    site = settings.base_url
    places = {"Paperboy": site}
    if place.url != site:
        places["Listens"] = f"{place.url}, for your proxy"
    if settings.has_mailbox_pages:
        places["Mailbox"] = f"{site}/mailbox"
    if settings.admin_password:
        places["Operator"] = f"{site}/admin"
    file = find_env_file()
    none = f"the environment; there is no {env_file_path()} (paperboy init writes one)"
    places["Settings"] = f"{file}, and the environment" if file else none
    places["Logs"] = str(settings.data_dir / "logs")
    lines = [f"{name + ':':10}{where}" for name, where in places.items()]
    missing = find_missing(settings)
    if missing:
        lines += ["Before others can use it, set:"]
        lines += [f"  {PREFIX}{fault.setting.upper()}: now {fault.problem}" for fault in missing]
        lines += ["`paperboy init` writes a settings file, `paperboy doctor` checks everything."]
    stop = "Ctrl-C stops it after the mails that are being sent; a second Ctrl-C stops it at once."
    return [*lines, stop]
