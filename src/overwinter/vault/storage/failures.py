"""What the failures of an object store mean to a vault.

``obstore`` gives the status, the store's XML and the cause of a broken connection in its message only, and
lists and bulk deletes fail as ``GenericError`` whatever the reason, so the message is what is read here. It
holds no secret: keys are not part of requests, and of requests with a shared access signature the address is
left out.
"""

import re

from obstore.exceptions import BaseError, UnauthenticatedError

from overwinter.model.errors import VaultDataCorrupt, VaultError, VaultObjectMissing, VaultStorageFull

#: What ``obstore`` raises when a request fails; that an object is missing is a built-in error.
REQUEST_FAILED = (BaseError, FileNotFoundError)

#: Status and the store's own name of the reason; single names of a bulk delete have one or the other.
_STATUS = re.compile(r"(?:status code: |\(code: )(\d{3})")
_REASON = re.compile(r"(?:<Code>|\(code: )([A-Za-z]\w*)")

#: Stores' own names: no such bucket or container; credentials that do not do, whatever the status; no room
#: (Ceph's, and MinIO's two).
_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound"}
_REFUSED = {"AccessDenied", "ExpiredToken", "InvalidToken"}
_FULL = {"QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "XMinioStorageFull"}

#: How the client says that a range begins where the object ends; no server is wrong then.
_BEYOND_THE_END = "but object was only"

#: Why there was no answer, where the message says it deep inside.
_CAUSE = re.compile(r'(?:message|error): "([^"]+)"')
_CAUSES = {"InvalidCertificate": "its certificate is not trusted here", "TimedOut": "no answer in time"}

#: How much of a store's own words is repeated.
_MOST_WORDS = 300


def lost(error: BaseException) -> bool:
    """Whether there was no answer, so that nobody knows what became of the request."""
    text = str(error)
    return "HTTP error" in text and not _STATUS.search(text)


def failure(error: BaseException, where: object, name: str) -> VaultError:
    """The house's error for what ``obstore`` raised about the object or prefix ``name`` in ``where``."""
    text = str(error)
    status, reason = _first(_STATUS, text), _first(_REASON, text)
    place = name or "its listing"
    if lost(error):
        return VaultError(f"The {where} does not answer ({_cause(text)}). Check that it can be reached.")
    if reason in _NO_BUCKET:
        return VaultError(f"There is no {where}; make it there, or correct the vault's URL.")
    if status == "507" or reason in _FULL:
        return VaultStorageFull(
            f"The {where} is full or at its quota; nothing was lost. Make room there, then run the job again."
        )
    if status in ("401", "403") or reason in _REFUSED or isinstance(error, UnauthenticatedError):
        return VaultError(
            f"The {where} refused the credentials at {place} ({reason or _words(text)}). Check that they are "
            "right, not expired, and may list, read, write and delete there; and check this machine's clock."
        )
    if status == "416" or _BEYOND_THE_END in text:
        return VaultDataCorrupt(f"Vault object {name} is shorter than it must be: it was truncated.")
    if isinstance(error, FileNotFoundError):
        return VaultObjectMissing(f"Vault object {name} is missing in {where}.")
    return VaultError(f"The {where} failed at {place}: {_words(text)}")


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found[1] if found else None


def _cause(text: str) -> str:
    """Why a connection failed: the innermost reason that is given."""
    said = [words for mark, words in _CAUSES.items() if mark in text] or _CAUSE.findall(text)
    return said[-1] if said else _words(text)


def _words(text: str) -> str:
    """The store's own words in one line, without the library's inner structures."""
    return " ".join(text.partition("\n\nDebug source")[0].split())[:_MOST_WORDS]
