"""Settings are read once, checked whole, and every problem names its remedy."""

import tomllib
from pathlib import Path

import pytest

from stact_pacs.errors import Misconfigured
from stact_pacs.settings.loading import build, load, read_secret, settings_file
from stact_pacs.settings.whole import Settings, problems
from stact_pacs.settings_template import example_toml

DESTINATION = {"name": "pacs", "host": "127.0.0.1", "port": 104, "ae_title": "PACS"}


def test_the_written_example_loads_to_exactly_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "stact-pacs.toml"
    file.write_text(example_toml(), encoding="utf-8")
    assert load(file) == build({}, base=tmp_path)


def test_every_line_of_the_example_can_be_taken_in_by_removing_its_hash() -> None:
    lines = [line[2:] if line.startswith("# ") and " = " in line else line for line in example_toml().splitlines()]
    usable = [line for line in lines if "(not set)" not in line and not line.startswith(("A line", "Every setting"))]
    values = tomllib.loads("\n".join(line.replace("# [", "[") for line in usable))
    assert Settings(**values).receive.port == 11112


def test_the_safe_defaults_listen_on_loopback_and_accept_nobody(tmp_path: Path) -> None:
    settings = build({}, base=tmp_path)
    assert settings.receive.host == settings.web.host == "127.0.0.1"
    assert [p.where for p in problems(settings) if p.fatal] == ["receive.calling_ae_titles"]


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STACT_PACS__RECEIVE__PORT", "4711")
    settings = build({"receive": {"port": 1, "ae_title": "OURS"}}, base=tmp_path)
    assert (settings.receive.port, settings.receive.ae_title) == (4711, "OURS")


def test_the_environment_names_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STACT_PACS_CONFIG", "/etc/other.toml")
    assert settings_file(None) == Path("/etc/other.toml")
    assert settings_file(Path("given.toml")) == Path("given.toml")


def test_relative_paths_count_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "stact-pacs.toml"
    file.write_text('[storage]\ndata_dir = "here"\n', encoding="utf-8")
    settings = load(file)
    assert settings.data_dir == tmp_path / "here"
    assert settings.reports_dir == tmp_path / "here" / "reports"
    assert settings.database_url == f"sqlite:///{tmp_path / 'here' / 'stact-pacs.sqlite3'}"


def test_all_invalid_settings_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"receive\.port.*web\.colour"):
        build({"receive": {"port": 0}, "web": {"colour": "blue"}}, base=tmp_path)


@pytest.mark.parametrize("content", [b"not toml", b"\xff\xfe"])
def test_an_unreadable_file_is_told_with_its_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(content)
    with pytest.raises(Misconfigured, match=r"bad\.toml"):
        load(file)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as told:
        load(tmp_path / "none.toml")
    assert "stact-pacs init" in told.value.remedy


@pytest.mark.parametrize("title", ["", " ", "SEVENTEEN_LETTERS", "BACK\\SLASH", "NEW\nLINE"])
def test_what_is_no_ae_title_is_refused(tmp_path: Path, title: str) -> None:
    with pytest.raises(Misconfigured, match=r"receive\.ae_title"):
        build({"receive": {"ae_title": title}}, base=tmp_path)


def test_a_rule_that_is_no_regular_expression_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="regular expression"):
        build({"eligibility": {"exclude": [{"field": "modality", "pattern": "("}]}}, base=tmp_path)


def test_two_destinations_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="same name"):
        build({"destinations": [DESTINATION, DESTINATION]}, base=tmp_path)


def test_settings_that_contradict_each_other_are_all_found(tmp_path: Path) -> None:
    settings = build(
        {
            "eligibility": {"min_frames": 20, "max_frames": 10},
            "deliver": {"lease_s": 5, "timeout_s": 9},
            "series": {"quiet_period_s": 60, "longest_wait_s": 30},
        },
        base=tmp_path,
    )
    assert {p.where for p in problems(settings)} == {
        "receive.calling_ae_titles",
        "eligibility.min_frames",
        "deliver.lease_s",
        "series.longest_wait_s",
        "destinations",
    }


TLS = {"certificate_file": "certificate.pem", "key_file": "key.pem", "ca_file": "ca.pem"}


@pytest.mark.parametrize(
    ("receive", "told"),
    [
        ({"peers": [{"ae_title": "A"}], "calling_ae_titles": ["A "]}, "name A more than once"),
        ({"peers": [{"ae_title": "A"}, {"ae_title": "A"}]}, "name A more than once"),
        ({"peers": [{"ae_title": "A", "reserved_associations": 33}]}, "reserve 33 associations"),
        ({"peers": [{"ae_title": "A", "addresses": ["10.1.2.3/8"]}]}, "network"),
        ({"peers": [{"ae_title": "A", "addresses": ["pacs.example.org"]}]}, "network"),
        ({"peers": [{"ae_title": "A", "certificates": ["a"]}]}, r"needs tls\.ca_file"),
        ({"tls": {**TLS, "ca_file": None}}, "require_client_certificate needs ca_file"),
    ],
)
def test_peers_that_could_never_be_told_apart_or_admitted_are_refused(
    tmp_path: Path, receive: dict[str, object], told: str
) -> None:
    with pytest.raises(Misconfigured, match=told):
        build({"receive": receive}, base=tmp_path)


def test_the_files_of_tls_count_from_the_settings_file(tmp_path: Path) -> None:
    tls = build({"receive": {"tls": TLS}}, base=tmp_path).receive.tls
    assert tls is not None
    assert (tls.certificate_file, tls.ca_file) == (tmp_path / "certificate.pem", tmp_path / "ca.pem")


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret\n", encoding="utf-8")
    secret.chmod(0o644)
    with pytest.raises(Misconfigured, match="Others may read"):
        read_secret(secret)
    secret.chmod(0o600)
    assert read_secret(secret) == "s3cret"
