"""The service's own certificate authority and server certificate, made when missing, renewed when due."""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from overwinter.api.files import PRIVATE, PUBLIC, replace_file

CA_LIFETIME = timedelta(days=3650)
SERVER_LIFETIME = timedelta(days=397)
RENEW_BEFORE = timedelta(days=60)

#: Clocks of clients may be behind ours.
_CLOCK_SLACK = timedelta(hours=1)


@dataclass(frozen=True)
class TlsFiles:
    """Where certificates and keys lie; the keys are readable by their owner only."""

    directory: Path

    @property
    def ca_certificate(self) -> Path:
        """Certificate that clients trust."""
        return self.directory / "ca.pem"

    @property
    def ca_key(self) -> Path:
        """Key of the authority."""
        return self.directory / "ca.key"

    @property
    def certificate(self) -> Path:
        """Certificate of the server."""
        return self.directory / "server.pem"

    @property
    def key(self) -> Path:
        """Key of the server."""
        return self.directory / "server.key"


def ensure_certificates(files: TlsFiles, names: frozenset[str], now: datetime) -> None:
    """Make or renew what is missing, due, or not valid for all of ``names`` (host names and addresses).

    An authority that would end before a new server certificate is replaced; clients read it from its file.
    """
    files.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    authority = _load(files.ca_certificate, files.ca_key)
    if authority is None or _ends(authority.certificate) < now + SERVER_LIFETIME:
        authority = _new_authority(now)
        _save(authority, files.ca_certificate, files.ca_key)
    server = _load(files.certificate, files.key)
    if (
        server is None
        or _ends(server.certificate) < now + RENEW_BEFORE
        or not names <= _names(server.certificate)
        or not _is_signed_by(server.certificate, authority.certificate)
    ):
        _save(_new_server(authority, names, now), files.certificate, files.key)


@dataclass(frozen=True)
class _Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def _load(certificate_file: Path, key_file: Path) -> _Pair | None:
    """The pair in two files; null when it is not there or was not written to its end."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    ) != certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    ):
        return None
    return _Pair(certificate, key)


def _save(pair: _Pair, certificate_file: Path, key_file: Path) -> None:
    key = pair.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    replace_file(key_file, key, PRIVATE)
    replace_file(certificate_file, pair.certificate.public_bytes(serialization.Encoding.PEM), PUBLIC)


def _new_authority(now: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Overwinter local authority")])
    builder = (
        _builder(name, name, key, now, CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
    )
    return _Pair(builder.sign(key, hashes.SHA256()), key)


def _new_server(authority: _Pair, names: frozenset[str], now: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Overwinter service")])
    builder = (
        _builder(subject, authority.certificate.subject, key, now, SERVER_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(n) for n in sorted(names)]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False
        )
    )
    return _Pair(builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SLACK)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names(certificate: x509.Certificate) -> frozenset[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return frozenset(
        [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]
    )


def _ends(certificate: x509.Certificate) -> datetime:
    return certificate.not_valid_after_utc


def _is_signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    key = authority.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey), "we make no other kind"
    try:
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
