"""Certificates, keys and token: made once, private, renewed when due; only modern TLS."""

import socket
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from overwinter.api.certificates import (
    CA_LIFETIME,
    RENEW_BEFORE,
    SERVER_LIFETIME,
    TlsFiles,
    ensure_certificates,
)
from overwinter.api.state import StateDirectory
from tests.api.served import Running

NAMES = frozenset({"localhost", "127.0.0.1", "::1", "backup01"})
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def contents(files: TlsFiles) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(files.directory.iterdir())}


def test_files_and_their_modes(tmp_path: Path) -> None:
    files = TlsFiles(tmp_path / "tls")
    ensure_certificates(files, NAMES, NOW)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in files.directory.iterdir()}
    assert modes == {"ca.key": 0o600, "ca.pem": 0o644, "server.key": 0o600, "server.pem": 0o644}


def test_nothing_is_made_twice(tmp_path: Path) -> None:
    files = TlsFiles(tmp_path)
    ensure_certificates(files, NAMES, NOW)
    before = contents(files)
    ensure_certificates(files, NAMES, NOW + SERVER_LIFETIME - RENEW_BEFORE - timedelta(days=1))
    assert contents(files) == before


def test_renewal_keeps_the_authority(tmp_path: Path) -> None:
    files = TlsFiles(tmp_path)
    ensure_certificates(files, NAMES, NOW)
    before = contents(files)
    ensure_certificates(files, NAMES, NOW + SERVER_LIFETIME - RENEW_BEFORE + timedelta(days=1))
    after = contents(files)
    assert after["ca.pem"] == before["ca.pem"] and after["server.pem"] != before["server.pem"]


def test_an_authority_near_its_end_is_replaced(tmp_path: Path) -> None:
    files = TlsFiles(tmp_path)
    ensure_certificates(files, NAMES, NOW)
    before = contents(files)
    ensure_certificates(files, NAMES, NOW + CA_LIFETIME - SERVER_LIFETIME + timedelta(days=1))
    after = contents(files)
    assert all(after[name] != before[name] for name in before)


@pytest.mark.parametrize("damage", ["ca.pem", "ca.key", "server.pem", "server.key", "swapped", "new name"])
def test_what_does_not_fit_is_made_anew(tmp_path: Path, damage: str) -> None:
    files = TlsFiles(tmp_path)
    ensure_certificates(files, NAMES, NOW)
    names = NAMES
    if damage == "swapped":
        files.key.write_bytes(files.ca_key.read_bytes())
    elif damage == "new name":
        names = NAMES | {"10.0.0.5"}
    else:
        (tmp_path / damage).write_bytes(b"-----BEGIN half a file")
    ensure_certificates(files, names, NOW)
    trust = ssl.create_default_context(cafile=str(files.ca_certificate))
    assert trust.cert_store_stats()["x509_ca"] == 1
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate, files.key)
    found = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    shown = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(name.value) for name in shown} == names


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_clients_trust_the_served_certificate(running: Running, host: str) -> None:
    assert handshake(running, host, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert handshake(running, host, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_old_tls_is_refused(running: Running) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(running, "localhost", ssl.TLSVersion.TLSv1_1)


def test_other_names_are_not_trusted(running: Running) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(running, "elsewhere.example", ssl.TLSVersion.TLSv1_3)


def handshake(running: Running, host: str, version: ssl.TLSVersion) -> str | None:
    info = running.state.info()
    trust = ssl.create_default_context(cafile=str(info.ca_file))
    # The lowest security level, so that it is the server who refuses old versions.
    trust.set_ciphers("DEFAULT:@SECLEVEL=0")
    trust.minimum_version = trust.maximum_version = version
    address = ("127.0.0.1", int(info.endpoint.rsplit(":", 1)[1]))
    with (
        socket.create_connection(address, timeout=20) as plain,
        trust.wrap_socket(plain, server_hostname=host) as tls,
    ):
        return tls.version()


def test_token_is_private_and_stays(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    token = state.ensure_token()
    assert len(token) >= 40
    assert stat.S_IMODE(state.token_file.stat().st_mode) == 0o600
    assert StateDirectory(tmp_path).ensure_token() == token
    state.token_file.write_text("chosen by hand\n")
    assert state.ensure_token() == "chosen by hand"
    assert [path.name for path in tmp_path.iterdir()] == ["token"]
