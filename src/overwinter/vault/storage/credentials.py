"""The secrets that open an object store: from the environment, or from a file that only its owner reads.

Both hold the same variables under the names the providers' own programs use. A file has one ``NAME=value`` a
line, without quotes; it is for a service whose vaults need different credentials.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from overwinter.model.errors import VaultError

if TYPE_CHECKING:
    from obstore.store import AzureAccessKey, AzureSASToken, S3Credential

#: Everything that a client of an object store reads from the environment and nobody should see.
_SECRET_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY",
)

#: A file larger than this holds something else.
_MOST_BYTES = 64 * 1024


def s3_credential(file: Path | None) -> "S3Credential":
    """Access key, secret key and, for temporary ones, session token. Raises ``VaultError``."""
    variables, source = _variables(file)
    key, secret = variables.get("AWS_ACCESS_KEY_ID"), variables.get("AWS_SECRET_ACCESS_KEY")
    if not key or not secret:
        raise VaultError(f"{source} lacks AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; the vault needs both.")
    return {
        "access_key_id": key,
        "secret_access_key": secret,
        "token": variables.get("AWS_SESSION_TOKEN"),
        "expires_at": None,
    }


def azure_credential(file: Path | None) -> "AzureAccessKey | AzureSASToken":
    """The shared access signature if there is one, as it can do less, else the account's key.

    Raises ``VaultError``.
    """
    variables, source = _variables(file)
    if sas := variables.get("AZURE_STORAGE_SAS_TOKEN"):
        return {"sas_token": sas.removeprefix("?"), "expires_at": None}
    if key := variables.get("AZURE_STORAGE_ACCOUNT_KEY"):
        return {"access_key": key, "expires_at": None}
    raise VaultError(
        f"{source} lacks AZURE_STORAGE_SAS_TOKEN and AZURE_STORAGE_ACCOUNT_KEY; the vault needs one of them."
    )


def secret_values(file: Path | None) -> tuple[str, ...]:
    """The secrets in a file, or in the environment: for whoever must keep them out of what is shown.

    Raises ``VaultError`` when the file cannot be read.
    """
    variables, _ = _variables(file)
    names = _SECRET_VARIABLES if file is None else variables.keys()
    return tuple(value for name in names if (value := variables.get(name)))


def _variables(file: Path | None) -> tuple[Mapping[str, str], str]:
    """The variables, and where they are from for messages."""
    if file is None:
        return os.environ, "The service's environment"
    lines = (line.strip() for line in _read_secret(file).splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}, f"Credentials file {file}"


def _read_secret(file: Path) -> str:
    """The text of a file of ours that nobody else may read or write."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as opened:
            status = os.fstat(opened.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
                raise VaultError(
                    f"Credentials file {file} is not safe: it must be a file of the service's own user that "
                    f"nobody else may read (chmod 600)."
                )
            return opened.read(_MOST_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise VaultError(f"Credentials file {file} cannot be read: {error}") from error
