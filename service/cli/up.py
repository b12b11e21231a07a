"""The command `up`: the service with the operator's settings, as child processes."""

import typer

from service.cli.context import CommandError, command_context
from service.cli.mail_target import development_mailbox
from service.cli.processes import Stack, beat_schedule, ending_at_signals, is_free, listening_port

# A relay may take ten minutes to answer the final dot (RFC 5321 §4.5.3.2.6); a worker that is
# killed before that leaves its mails in doubt.
STOP_SECONDS = 700.0


def run(context: typer.Context, *, as_json: bool) -> None:
    """Serve until Ctrl-C or SIGTERM. Raises `CommandError` when a part ends by itself."""
    with (
        ending_at_signals(),
        command_context(context, as_json=as_json) as command,
        development_mailbox(command.settings) as settings,
    ):
        port = listening_port(settings)
        if not is_free(port):
            raise CommandError(f"port {port} is taken; set PAPERBOY_BASE_URL to another one")
        changes = {"PAPERBOY_MAILBOX_URL": settings.mailbox_url}
        with Stack(settings, changes, STOP_SECONDS) as stack:
            stack.start("web", "--port", str(port))
            stack.start("worker")
            stack.start("beat", *beat_schedule(settings.data_dir))
            stack.wait_for_web(f"http://127.0.0.1:{port}")
            mailbox = [] if settings.smtp_url else [f"Mailbox:  {settings.base_url}/mailbox"]
            command.print(
                {"url": settings.base_url, "processes": stack.pids()},
                f"Paperboy: {settings.base_url}",
                *mailbox,
                f"Logs:     {settings.data_dir / 'logs'}",
                "Ctrl-C stops it after the mails that are being sent; a second Ctrl-C stops it at once.",
            )
            stack.stay_up()
