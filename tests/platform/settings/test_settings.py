"""Settings: valid values, and the errors for invalid ones."""

import multiprocessing
from pathlib import Path

import pytest

from service.papers.domain.source_names import SOURCE_NAMES
from service.platform.settings.faults import SettingsError
from service.platform.settings.load import load_settings, setting_names
from service.platform.settings.risks import find_risks
from service.platform.settings.settings import Settings, broker_url

HUSH = "hush-hush-hush-hush"


def load(tmp_path: Path, **variables: str) -> Settings:
    given = {f"PAPERBOY_{name}": value for name, value in variables.items()}
    return load_settings(SOURCE_NAMES, {"PAPERBOY_DATA_DIR": str(tmp_path / "data"), **given})


def faults_of(tmp_path: Path, **variables: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, **variables)
    return str(caught.value).splitlines()


def test_nothing_needs_to_be_set(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert (settings.database_url, settings.redis_url, settings.admin_password) == ("", "", "")
    assert settings.base_url == "http://127.0.0.1:8000"
    assert settings.sources == ("arxiv", "huggingface")
    assert settings.arxiv_categories == ("cs.AI", "cs.CL", "cs.CV", "cs.LG", "stat.ML")
    assert (settings.digest_hour, settings.digest_timezone) == (7, "UTC")
    assert (settings.digest_max_papers, settings.digest_max_bytes) == (25, 90_000)
    assert (settings.send_rate, settings.send_connections, settings.send_window) == (None, 10, 128)
    assert settings.send_not_after_hours == 20
    assert find_risks(settings) == []


def test_lists_are_separated_by_commas_or_spaces(tmp_path: Path) -> None:
    settings = load(tmp_path, SOURCES="arxiv, biorxiv", ARXIV_CATEGORIES="cs.CL  hep-th")
    assert settings.sources == ("arxiv", "biorxiv")
    assert settings.arxiv_categories == ("cs.CL", "hep-th")


def test_an_empty_variable_counts_as_unset(tmp_path: Path) -> None:
    assert load(tmp_path, DIGEST_HOUR="", SEND_RATE=" ").digest_hour == 7


def test_the_data_directory_stays_where_it_was_when_the_process_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(SOURCE_NAMES, {}).data_dir == tmp_path / ".paperboy"


def test_a_settings_value_cannot_be_changed(tmp_path: Path) -> None:
    settings = load(tmp_path)
    with pytest.raises(ValueError, match="frozen"):
        settings.digest_hour = 8  # type: ignore[misc]  # the point of the test


def test_every_fault_is_named_at_once_on_a_line_of_its_own(tmp_path: Path) -> None:
    lines = faults_of(
        tmp_path,
        DIGEST_HUOR="7",
        DIGEST_HOUR="25",
        DIGEST_TIMEZONE="Europe/Atlantis",
        SEND_WINDOW="many",
        SEND_RATE="0",
        SMTP_URL="http://relay.example",
        SOURCES="arxiv,viXra",
        ARXIV_CATEGORIES="cs/AI",
        BASE_URL="papers.example.org",
        MAIL_FROM="nobody",
    )
    starts = sorted(line.partition(":")[0].removeprefix("PAPERBOY_") for line in lines)
    assert starts == [
        "ARXIV_CATEGORIES",
        "BASE_URL",
        "DIGEST_HOUR",
        "DIGEST_HUOR",
        "DIGEST_TIMEZONE",
        "MAIL_FROM",
        "SEND_RATE",
        "SEND_WINDOW",
        "SMTP_URL",
        "SOURCES",
    ]
    assert (
        "PAPERBOY_DIGEST_HUOR: there is no such setting. Did you mean PAPERBOY_DIGEST_HOUR."
        in lines
    )
    assert (
        "PAPERBOY_DIGEST_HOUR: the value should be less than or equal to 23. The default is 7."
        in lines
    )


def test_hooks_are_kept_by_provider_with_all_their_keys(tmp_path: Path) -> None:
    topics = [f"arn:aws:sns:eu-west-1:123456789012:{name}" for name in "ab"]
    key = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE=="
    words = [
        f"ses={topics[0]}",
        f"sendgrid={key}",
        f"ses={topics[1]}",
        "postmark=user:a-long-password",
    ]
    assert load(tmp_path, HOOKS=" ".join(words)).hook_secrets == {
        "ses": tuple(topics),
        "sendgrid": (key,),
        "postmark": ("user:a-long-password",),
    }
    assert load(tmp_path).hook_secrets == {}


@pytest.mark.parametrize(
    "address",
    [
        "imaps://user:p%40ss@host:993/In%20box",
        "imap://user:pass@host",
        "maildir:/var/mail/x",
        "listener",
    ],
)
def test_a_bounce_mailbox_that_can_be_read_is_taken(tmp_path: Path, address: str) -> None:
    settings = load(tmp_path, BOUNCE_MAILBOX=address)
    assert settings.bounce_mailbox == address
    assert "pass" not in repr(settings)


def test_mail_to_the_bounce_domain_is_read_where_both_settings_are_set(tmp_path: Path) -> None:
    assert load(tmp_path, BOUNCE_MAILBOX="listener", BOUNCE_DOMAIN="b.example").reads_bounce_domain
    assert not load(tmp_path, BOUNCE_MAILBOX="maildir:/var/mail/x").reads_bounce_domain
    assert not load(tmp_path, BOUNCE_DOMAIN="b.example").reads_bounce_domain


def test_proxies_are_addresses_and_networks_but_never_all(tmp_path: Path) -> None:
    given = ("127.0.0.1", "172.30.57.0/24", "fd00::/8")
    assert load(tmp_path, TRUSTED_PROXIES=" ".join(given)).trusted_proxies == given
    for value in ("*", "0.0.0.0/0", "::/0", "proxy.example.org", "10.0.0.1/8"):
        (line,) = faults_of(tmp_path, TRUSTED_PROXIES=value)
        assert line.startswith("PAPERBOY_TRUSTED_PROXIES: ")
        assert line.endswith("Use 127.0.0.1 or 172.30.57.0/24.")


def test_a_site_behind_https_without_a_trusted_proxy_is_a_risk(tmp_path: Path) -> None:
    behind = {"BASE_URL": "https://papers.example.org"}
    assert "trusted_proxies" in {one.setting for one in find_risks(load(tmp_path, **behind))}
    behind["TRUSTED_PROXIES"] = "127.0.0.1"
    assert "trusted_proxies" not in {one.setting for one in find_risks(load(tmp_path, **behind))}


def test_a_variable_like_no_setting_is_to_be_removed(tmp_path: Path) -> None:
    (line,) = faults_of(tmp_path, XYZZY_0815="1")
    assert line == "PAPERBOY_XYZZY_0815: there is no such setting. Remove it."


def test_variables_of_the_tests_and_of_other_programs_are_ignored(tmp_path: Path) -> None:
    given = {"PAPERBOY_REAL_DATA": "x", "PAPERBOY_TEST_REDIS_URL": "y", "HOME": "/nowhere"}
    settings = load_settings(SOURCE_NAMES, {"PAPERBOY_DATA_DIR": str(tmp_path), **given})
    assert settings.digest_hour == 7


@pytest.mark.parametrize(
    ("variable", "value", "shown_text"),
    [
        ("DATABASE_URL", "sqlite:///x", "not a PostgreSQL address"),
        ("REDIS_URL", "amqp://x", "not a Valkey or Redis address"),
        ("LOG_LEVEL", "loud", "the value should be 'DEBUG', 'INFO'"),
        ("SECRET_KEY", "short", "shorter than 16"),
        ("ARXIV_FEED_URL", "rss.arxiv.org", "not a web address"),
        ("ARXIV_FEED_URL", "http://[", "not a web address"),
        ("BASE_URL", "https://[", "not a web address"),
        ("REPLY_TO", "the editor", "has no address"),
        ("ALERT_TO", "the operator", "has no address"),
        ("DKIM_DOMAIN", "localhost", "is not a domain"),
        ("DKIM_DOMAIN", "a_b.example.org", "is not a domain"),
        ("DKIM_KEYS", "/no/name/for/the/key.pem", "not selector="),
        ("DKIM_KEYS", "s=/no/such/key.pem", "cannot be read (No such file or directory)"),
        ("BOUNCE_DOMAIN", "a b", "is not a domain"),
        ("BOUNCE_DOMAIN", "bücher.example", "is not a domain"),
        ("BOUNCE_MAILBOX", "pop3://user:secret-word@host", "no mailbox that can be read"),
        ("BOUNCE_MAILBOX", "imaps://[", "no mailbox that can be read"),
        ("BOUNCE_MAILBOX", "maildir:bounces", "not absolute"),
        ("BOUNCE_MAILBOX", "imaps://host/INBOX", "the host or the user is missing"),
        ("HOOKS", "secret-word-without-a-name", "does not begin with a provider"),
        ("HOOKS", "ses=bounces-of-our-account", "not the ARN"),
        ("HOOKS", "postmark=secret-word-alone-here", "not user:password"),
        ("HOOKS", "generic=short", "shorter than 16"),
        ("SOURCES", ",", "no source is named"),
        ("DIGEST_TIMEZONE", "../etc", "not a time zone"),
        ("DIGEST_MAX_PAPERS", "0", "greater than or equal to 1"),
        ("BRAND_NAME", "x" * 61, "at most 60 characters"),
        ("BRAND_NAME", "a\nb", "no name for a sender"),
        ("BRAND_ACCENT", "red", "red is not a colour"),
        (
            "BRAND_ACCENT",
            "#ff9999",
            "has a contrast of 2.0, and people need 4.5. Take a darker one",
        ),
        ("BRAND_ACCENT_NIGHT", "#552200", "Take a lighter one"),
        ("BRAND_LOGO", "logo.png", "not a web address"),
        ("TEMPLATES_DIR", "/no/such/folder", "there is no folder"),
    ],
)
def test_a_wrong_value_is_refused(
    tmp_path: Path, variable: str, value: str, shown_text: str
) -> None:
    (line,) = faults_of(tmp_path, **{variable: value})
    assert line.startswith(f"PAPERBOY_{variable}: ")
    assert shown_text in line
    assert "secret-word" not in line


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"BASE_URL": "http://papers.example.org"}, "base_url"),
        ({"SMTP_URL": "smtp://u:p@relay.example.org"}, "smtp_url"),
        ({"SMTP_URL": "smtp://relay.example.org"}, "operator_address"),
        ({"SMTP_URL": "smtp://relay.example.org"}, "mail_from"),
        ({"SMTP_URL": "smtp://relay.example.org"}, "alert_to"),
        ({"ADMIN_PASSWORD": "short"}, "admin_password"),
    ],
)
def test_unwise_settings_are_reported_but_allowed(
    tmp_path: Path, variables: dict[str, str], name: str
) -> None:
    found = {fault.setting: fault for fault in find_risks(load(tmp_path, **variables))}
    assert name in found


@pytest.mark.parametrize(
    "variables",
    [
        {"BASE_URL": "http://localhost:8000"},
        {"BASE_URL": "http://[::1]:8000/"},
        {"BASE_URL": "https://papers.example.org", "TRUSTED_PROXIES": "127.0.0.1"},
        {"SMTP_URL": "smtp://u:p@127.0.0.1:2525"},
        {"ARXIV_CATEGORIES": "cond-mat.mes-hall physics.ao-ph astro-ph.CO hep-th q-bio.NC math.AG"},
        {
            "BRAND_NAME": "Reading Room",
            "BRAND_ACCENT": "#14507a",
            "TEMPLATES_DIR": str(Path(__file__).parents[1]),
        },
        {"REPLY_TO": "Editors <editors@example.org>", "BOUNCE_DOMAIN": "bounces.example.org"},
    ],
)
def test_good_settings_are_not_reported(tmp_path: Path, variables: dict[str, str]) -> None:
    assert find_risks(load(tmp_path, **variables)) == []


def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("postgresql://paperboy@db/paperboy\n")
    assert (
        load(tmp_path, DATABASE_URL_FILE=str(path)).database_url
        == "postgresql://paperboy@db/paperboy"
    )


def test_a_secret_in_two_places_is_refused(tmp_path: Path) -> None:
    (line,) = faults_of(tmp_path, ADMIN_PASSWORD=HUSH, ADMIN_PASSWORD_FILE="/run/x")
    assert (
        line
        == "PAPERBOY_ADMIN_PASSWORD: PAPERBOY_ADMIN_PASSWORD_FILE is set as well. Keep one of the two."
    )


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (line,) = faults_of(tmp_path, SECRET_KEY_FILE=str(tmp_path / "gone"))
    assert line.startswith("PAPERBOY_SECRET_KEY_FILE: the file ")
    assert "No such file" in line
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    (line,) = faults_of(tmp_path, SECRET_KEY_FILE=str(binary))
    assert "not text" in line


def test_only_secrets_may_be_in_files(tmp_path: Path) -> None:
    (line,) = faults_of(tmp_path, DIGEST_HOUR_FILE="/run/x")
    assert "there is no such setting" in line
    assert "PAPERBOY_SMTP_URL_FILE" in setting_names()
    assert "PAPERBOY_DIGEST_HOUR_FILE" not in setting_names()


def test_no_secret_is_ever_printed(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        DATABASE_URL=f"postgresql://u:{HUSH}@db/x",
        REDIS_URL=f"redis://:{HUSH}@q",
        SMTP_URL=f"smtps://u:{HUSH}@relay.example.org",
        SECRET_KEY=HUSH,
        ADMIN_PASSWORD=HUSH,
    )
    assert HUSH not in repr(settings) + str(settings) + repr(settings.relays)
    lines = faults_of(
        tmp_path, DATABASE_URL=f"mysql://u:{HUSH}@db", SMTP_URL=f"smtp://u:{HUSH}@h?tls=1"
    )
    assert len(lines) == 2
    assert HUSH not in "\n".join(lines)


def test_the_first_of_several_keys_signs(tmp_path: Path) -> None:
    settings = load(tmp_path, SECRET_KEY="the-new-signing-key the-old-signing-key")
    assert settings.secret_key == ("the-new-signing-key", "the-old-signing-key")


def test_a_key_is_made_once_and_kept_for_the_owner_alone(tmp_path: Path) -> None:
    first = load(tmp_path).secret_key
    path = tmp_path / "data" / "secret_key"
    assert first == (path.read_text(),)
    assert len(first[0]) >= 48
    assert path.stat().st_mode & 0o777 == 0o600
    assert load(tmp_path).secret_key == first
    assert [entry.name for entry in path.parent.iterdir()] == ["secret_key"]


def _read_key(path: Path) -> tuple[str, ...]:
    return load_settings(SOURCE_NAMES, {"PAPERBOY_DATA_DIR": str(path)}).secret_key


def test_processes_that_make_a_key_at_once_agree_on_one(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        keys = pool.map(_read_key, [tmp_path / "data"] * 8, chunksize=1)
        pool.close()
        pool.join()
    assert len(set(keys)) == 1


def test_a_data_directory_that_cannot_hold_a_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file stands here")
    (line,) = faults_of(tmp_path)
    assert line.startswith("PAPERBOY_SECRET_KEY: no key can be kept in ")


def test_bounces_go_to_the_senders_domain_unless_set_otherwise(tmp_path: Path) -> None:
    assert load(tmp_path, MAIL_FROM="P <d@a.example>").envelope_domain == "a.example"
    both = load(tmp_path, MAIL_FROM="P <d@a.example>", BOUNCE_DOMAIN="b.example")
    assert both.envelope_domain == "b.example"


def test_a_broker_of_its_own_has_the_queue_and_redis_the_rest(tmp_path: Path) -> None:
    both = load(tmp_path, REDIS_URL="redis://h/0", BROKER_URL="amqps://u:p@h:5671/news")
    assert (both.queue_url, both.redis_url) == ("amqps://u:p@h:5671/news", "redis://h/0")
    assert load(tmp_path, REDIS_URL="redis://h/0").queue_url == "redis://h/0"
    (line,) = faults_of(tmp_path, BROKER_URL="kafka://u:secret@h")
    assert line.startswith("PAPERBOY_BROKER_URL: this is not a RabbitMQ, Valkey or Redis address")
    assert "secret" not in line


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("redis://:p@h:6379/2", "redis://:p@h:6379/2"),
        ("unix:///run/valkey.sock", "redis+socket:///run/valkey.sock?virtual_host=0"),
        ("unix:///run/valkey.sock?db=3", "redis+socket:///run/valkey.sock?virtual_host=3"),
    ],
)
def test_a_socket_url_is_converted_for_celery(url: str, broker: str) -> None:
    assert broker_url(url) == broker


def test_journals_are_named_addresses() -> None:
    settings = load_settings(
        SOURCE_NAMES,
        {
            "PAPERBOY_SECRET_KEY": "k" * 40,
            "PAPERBOY_JOURNAL_FEEDS": "a-b=https://x.example/rss c=http://y",
        },
    )
    assert settings.journals == (("a-b", "https://x.example/rss"), ("c", "http://y"))


@pytest.mark.parametrize(
    "word", ["https://x.example/rss", "a b=https://x", "a=ftp://x", "=http://x"]
)
def test_a_journal_without_a_name_or_address_is_refused(word: str) -> None:
    with pytest.raises(SettingsError, match="name=https"):
        load_settings(
            SOURCE_NAMES, {"PAPERBOY_SECRET_KEY": "k" * 40, "PAPERBOY_JOURNAL_FEEDS": word}
        )
