"""The files of TLS: what is wrong with them is said with the file and a remedy, before anybody connects."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stact_pacs import app as application
from stact_pacs.checks import check_tls
from stact_pacs.errors import Misconfigured
from stact_pacs.roles import tell_of_certificates
from stact_pacs.settings.loading import build
from stact_pacs.settings.receiving import ReceiveTls
from stact_pacs.tls import expiry_problems, server_context
from tests.certificates import Authority, Issued


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@pytest.fixture
def ours(authority: Authority) -> Issued:
    return authority.issue("stact-pacs")


def settings(ours: Issued, authority: Authority, **changes: object) -> ReceiveTls:
    files = {"certificate_file": ours.certificate_file, "key_file": ours.key_file, "ca_file": authority.ca_file}
    return ReceiveTls.model_validate({**files, **changes})


def test_the_context_takes_no_old_version_no_weak_suite_and_no_stranger(ours: Issued, authority: Authority) -> None:
    context = server_context(settings(ours, authority))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    suites = [suite["name"] for suite in context.get_ciphers()]
    assert suites
    assert all(("GCM" in name or "CHACHA20" in name) and name.startswith(("ECDHE", "TLS_")) for name in suites)


@pytest.mark.parametrize(("required", "mode"), [(True, ssl.CERT_REQUIRED), (False, ssl.CERT_OPTIONAL)])
def test_certificates_of_senders_are_asked_for(
    ours: Issued, authority: Authority, required: bool, mode: ssl.VerifyMode
) -> None:
    changed = settings(ours, authority, require_client_certificate=required)
    assert server_context(changed).verify_mode is mode


def test_without_a_ca_nobody_is_asked(ours: Issued, authority: Authority) -> None:
    changed = settings(ours, authority, ca_file=None, require_client_certificate=False)
    assert server_context(changed).verify_mode is ssl.CERT_NONE


def test_a_key_that_others_may_read_is_refused(ours: Issued, authority: Authority) -> None:
    ours.key_file.chmod(0o640)
    with pytest.raises(Misconfigured, match=r"Others may read .*stact-pacs\.key.*chmod 600"):
        server_context(settings(ours, authority))


def test_a_key_of_another_certificate_is_refused(ours: Issued, authority: Authority) -> None:
    other = authority.issue("other")
    with pytest.raises(Misconfigured, match=r"other\.key does not belong to .*stact-pacs\.pem"):
        server_context(settings(ours, authority, key_file=other.key_file))


@pytest.mark.parametrize("name", ["certificate_file", "key_file", "ca_file"])
@pytest.mark.parametrize("content", [None, b"", b"\x30\x82"], ids=["missing", "empty", "DER"])
def test_a_file_that_cannot_be_used_is_named(
    ours: Issued, authority: Authority, tmp_path: Path, name: str, content: bytes | None
) -> None:
    file = tmp_path / "broken.pem"
    if content is not None:
        file.write_bytes(content)
        file.chmod(0o600)
    with pytest.raises(Misconfigured, match=r"broken\.pem.*Remedy: "):
        server_context(settings(ours, authority, **{name: file}))


def test_a_key_with_a_password_is_refused_without_a_question_at_the_terminal(
    ours: Issued, authority: Authority
) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(ours.key_file.read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"secret")
    ours.key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    )
    with pytest.raises(Misconfigured, match="without a password"):
        server_context(settings(ours, authority))


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (31.5, None),
        (30.5, "ends in 30 days,"),
        (7.5, "7 days, which is urgent"),
        (1.5, "in 1 day,"),
        (-0.5, "has ended"),
    ],
)
def test_a_certificate_that_ends_within_a_month_is_a_problem(
    authority: Authority, days: float, told: str | None
) -> None:
    ours = authority.issue("stact-pacs", days=days)
    problems = list(expiry_problems(settings(ours, authority), datetime.now(UTC)))
    assert len(problems) == (told is not None)
    for problem in problems:
        assert told is not None
        assert told in problem.text
        assert problem.where == str(ours.certificate_file)
        assert not problem.fatal


def application_with(tls: dict[str, Path] | None, folder: Path) -> application.App:
    return application.build(build({"receive": {"tls": tls}}, base=folder))


def test_check_tells_of_the_files_of_tls(ours: Issued, authority: Authority, tmp_path: Path) -> None:
    files = dict(settings(ours, authority))
    files.pop("require_client_certificate")
    assert check_tls(application_with(None, tmp_path)).summary.startswith("off")
    assert check_tls(application_with({**files, "key_file": tmp_path / "none"}, tmp_path)).problems[0].fatal
    soon = authority.issue("soon", days=3.5)
    [problem] = check_tls(
        application_with({**files, "certificate_file": soon.certificate_file, "key_file": soon.key_file}, tmp_path)
    ).problems
    assert "urgent" in problem.text
    assert not problem.fatal


def test_the_service_tells_its_log_of_a_certificate_that_ends_soon_or_is_gone(
    authority: Authority, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = authority.issue("stact-pacs", days=3.5)
    app = application_with(
        {"certificate_file": ours.certificate_file, "key_file": ours.key_file, "ca_file": authority.ca_file}, tmp_path
    )
    tell_of_certificates(app)
    ours.certificate_file.unlink()
    tell_of_certificates(app)
    told = "".join(capsys.readouterr())
    assert "certificate_ends" in told
    assert "certificate_not_readable" in told
