"""Vault URLs: which storage one names, checked before anything is asked of it.

    file:///absolute/path
    s3://bucket/prefix?endpoint=https://host:port&region=name&credentials=/file
    azure://account/container/prefix?endpoint=https://host:port/account&credentials=/file

The prefix and every setting may be left out. A vault URL is shown, logged and kept in the catalog, so it
never holds a secret, and no message here repeats a part of a URL that might be one.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from overwinter.model.errors import VaultError

#: What a client of S3 takes when nothing is said; most other makers of S3 stores do not mind.
_DEFAULT_REGION = "us-east-1"

#: Bucket, container, account, and each part of a prefix: what every store takes and no URL must quote.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")

_NO_SECRETS = (
    "Credentials are never part of a vault URL: put them into the environment or into a file that "
    "credentials=/path names."
)


@dataclass(frozen=True)
class LocalLocation:
    """A directory of this machine."""

    directory: Path


@dataclass(frozen=True)
class S3Location:
    """A prefix of an S3 bucket; ``credentials`` is a file, null for the environment."""

    bucket: str
    prefix: str
    endpoint: str
    region: str
    credentials: Path | None

    def __str__(self) -> str:
        return f"bucket {self.bucket} at {self.endpoint}"


@dataclass(frozen=True)
class AzureLocation:
    """A prefix of an Azure Blob container; ``credentials`` is a file, null for the environment."""

    account: str
    container: str
    prefix: str
    endpoint: str
    credentials: Path | None

    def __str__(self) -> str:
        return f"container {self.container} at {self.endpoint}"


Location = LocalLocation | S3Location | AzureLocation


def parse_location(url: str) -> Location:
    """What a vault URL names. Raises ``VaultError`` when it is wrong or holds a secret."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # only looking at it finds out whether it is a number
    except ValueError as error:
        raise VaultError("The vault URL is malformed.") from error
    if "@" in parts.netloc:
        raise VaultError(f"The vault URL names a user. {_NO_SECRETS}")
    match parts.scheme:
        case "file":
            return _local(parts)
        case "s3":
            return _s3(parts)
        case "azure":
            return _azure(parts)
    raise VaultError("The vault URL is of no known kind; give file:///path, s3:// or azure://.")


def _local(parts: SplitResult) -> LocalLocation:
    _settings(parts, set())
    path = unquote(parts.path)
    if parts.netloc not in ("", "localhost") or not path.startswith("/"):
        raise VaultError("The vault URL names no directory of this machine; give it as file:///path.")
    return LocalLocation(Path(path))


def _s3(parts: SplitResult) -> S3Location:
    settings = _settings(parts, {"endpoint", "region", "credentials"})
    region = settings.get("region", _DEFAULT_REGION)
    return S3Location(
        bucket=_name("bucket", parts.netloc),
        prefix=_prefix(parts.path.strip("/")),
        endpoint=_endpoint(settings.get("endpoint", f"https://s3.{_name('region', region)}.amazonaws.com")),
        region=region,
        credentials=_credentials(settings),
    )


def _azure(parts: SplitResult) -> AzureLocation:
    settings = _settings(parts, {"endpoint", "credentials"})
    account = _name("storage account", parts.netloc)
    container, _, prefix = parts.path.strip("/").partition("/")
    return AzureLocation(
        account=account,
        container=_name("container", container),
        prefix=_prefix(prefix),
        endpoint=_endpoint(settings.get("endpoint", f"https://{account}.blob.core.windows.net")),
        credentials=_credentials(settings),
    )


def _settings(parts: SplitResult, known: set[str]) -> dict[str, str]:
    """What stands behind the question mark; a setting that nobody knows may be a secret."""
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    settings = dict(pairs)
    if parts.fragment or not settings.keys() <= known or len(pairs) != len(settings):
        allowed = ", ".join(sorted(known)) or "none"
        raise VaultError(f"The vault URL has settings beyond those it may have ({allowed}). {_NO_SECRETS}")
    return settings


def _name(what: str, text: str) -> str:
    if not _NAME.fullmatch(text):
        raise VaultError(
            f"The vault URL names no valid {what}; use letters, digits, '-', '_' and '.', and no other signs."
        )
    return text


def _prefix(path: str) -> str:
    for part in path.split("/") if path else ():
        _name("prefix", part)
    return path


def _endpoint(text: str) -> str:
    """The address of the service: TLS, or plain HTTP to this machine alone."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise VaultError("The endpoint in the vault URL is malformed.") from error
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise VaultError(f"The endpoint in the vault URL is more than an address. {_NO_SECRETS}")
    if not host or parts.scheme not in ("http", "https"):
        raise VaultError(
            "The endpoint in the vault URL is no address; give https://host or https://host:port."
        )
    if parts.scheme == "http" and not _is_this_machine(host):
        raise VaultError(
            f"The endpoint {host} in the vault URL is plain http; over a network only https is used."
        )
    return text.rstrip("/")


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _credentials(settings: dict[str, str]) -> Path | None:
    if "credentials" not in settings:
        return None
    path = Path(settings["credentials"])
    if not path.is_absolute():
        raise VaultError("credentials= in the vault URL must be the absolute path of a file.")
    return path
