"""`paperboy deliver` while the relay does not answer a message."""

from support.newsletter.press import Press
from support.servers.processes import settings_environ, start_command
from support.smtp.holding import first
from support.smtp.scripted_smtp import ScriptedSmtp

from service.platform.settings.settings import Settings


def test_deliver_waits_for_a_message_that_hangs_and_says_so(
    press: Press, settings: Settings, relay: ScriptedSmtp
) -> None:
    press.add_subscribers("anne@example.org", "bert@example.org", "cleo@example.org")
    press.add_papers(1)
    edition_id = press.publish()
    relay.answers["DOT"] = hold = first(1)
    environ = settings_environ(settings, SMTP_URL=f"smtp://127.0.0.1:{relay.port}?starttls=off")
    with hold, start_command(environ, "--now", "2026-09-18T05:00Z", "deliver") as process:
        try:
            assert process.stderr
            notice = process.stderr.readline()
            assert press.states(edition_id) == {"sent": 2, "in_flight": 1}
            hold.released.set()
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert notice == (
        "paperboy: waiting for the relay's reply to 1 message, up to ten minutes;"
        " everything else is done (Ctrl-C leaves them in doubt)\n"
    )
    assert process.returncode == 0
    assert output.startswith("3 sent, ")
