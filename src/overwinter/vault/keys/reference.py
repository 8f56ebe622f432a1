"""Where the secret lies that opens a vault, in one line of text that may be shown, logged and kept.

| Reference | The secret |
|---|---|
| ``/absolute/path`` | a key file |
| ``passphrase:/absolute/path`` | the passphrase in that file |
| ``recovery:/absolute/path`` | the recovery key in that file |
| ``pkcs11:token=T;object=K?module-path=M&pin-source=P`` | key ``K`` of token ``T``; library, PIN file |

The last is a PKCS #11 URI (RFC 7512, sections 2.3 and 2.4). Files must be closed to everyone but their owner.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from overwinter.model.errors import RequestError
from overwinter.vault.keys.pin import pin_from_file
from overwinter.vault.keys.private_file import read_private_file
from overwinter.vault.keys.source import KeySource

_PASSPHRASE = "passphrase:"
_RECOVERY = "recovery:"
_TOKEN = "pkcs11:"

_FORMS = "a key file's path, passphrase:FILE, recovery:FILE, or a pkcs11: URI"


def key_at(reference: str) -> KeySource:
    """The secret at a reference.

    Raises ``RequestError`` for what is no reference, ``VaultKeyWrong`` when the file cannot be read, is open
    to others or holds no such secret, and ``TokenPinRefused`` for a PIN file of that kind.
    """
    if reference.startswith(_TOKEN):
        return _token(reference)
    if reference.startswith(_PASSPHRASE):
        path = _absolute(reference, _PASSPHRASE)
        return KeySource.from_passphrase(read_private_file(path, "passphrase file"))
    if reference.startswith(_RECOVERY):
        path = _absolute(reference, _RECOVERY)
        return KeySource.from_recovery_key(read_private_file(path, "recovery key file"))
    return KeySource.from_key_file(_absolute(reference, ""))


def secret_file(reference: str) -> Path:
    """The file with the secret, of a token the one with its PIN. Raises ``RequestError``."""
    for prefix in (_PASSPHRASE, _RECOVERY):
        if reference.startswith(prefix):
            return _absolute(reference, prefix)
    if reference.startswith(_TOKEN):
        return _pin_file(_token_attributes(reference)[1])
    return _absolute(reference, "")


def with_absolute_path(reference: str) -> str:
    """A reference as somebody typed it, whose file is named from the current directory."""
    for prefix in (_PASSPHRASE, _RECOVERY):
        if reference.startswith(prefix):
            return prefix + str(Path(reference.removeprefix(prefix)).absolute())
    return reference if reference.startswith(_TOKEN) else str(Path(reference).absolute())


def _absolute(reference: str, prefix: str) -> Path:
    path = Path(reference.removeprefix(prefix))
    if not path.is_absolute():
        raise RequestError(f"{reference[:200]!r} names no key: give {_FORMS}, with absolute paths.")
    return path


def _token(reference: str) -> KeySource:
    place, how = _token_attributes(reference)
    return KeySource.from_token(
        module=how["module-path"],
        token_label=place["token"],
        key_label=place["object"],
        pin=pin_from_file(_pin_file(how)),
    )


def _pin_file(how: Mapping[str, str]) -> Path:
    return Path(how["pin-source"].removeprefix("file:"))


def _token_attributes(reference: str) -> tuple[dict[str, str], dict[str, str]]:
    """Which key it is, and how it is reached. Raises ``RequestError`` when something lacks or is unknown."""
    uri = urlsplit(reference)
    place = _attributes(uri.path, ";")
    how = _attributes(uri.query, "&")
    unknown = place.keys() - {"token", "object", "type"} | how.keys() - {"module-path", "pin-source"}
    missing = [name for name in ("token", "object") if not place.get(name)]
    missing += [name for name in ("module-path", "pin-source") if not how.get(name)]
    if unknown or missing:
        # The reference is not repeated: somebody may have written a PIN into it.
        wrong = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(sorted(unknown))}"
        raise RequestError(
            f"The pkcs11: URI {wrong}; the form is "
            "pkcs11:token=LABEL;object=LABEL?module-path=/LIBRARY.so&pin-source=/FILE."
        )
    return place, how


def _attributes(text: str, separator: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(separator) if part)
    return {name: unquote(value) for name, _, value in pairs}
