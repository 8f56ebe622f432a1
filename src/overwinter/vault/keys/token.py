"""Keys on a PKCS#11 token: the wrapping key comes from a signature that only the token can make.

The token signs a text made of the vault's id and the wrap's salt with an RSA key (CKM_SHA256_RSA_PKCS). The
signature is stretched into the wrapping key; the private key never leaves the token. Such a signature has no
random part (RFC 8017 section 8.2), and only the private key can foresee it. The RSA function of RFC 9381 is
made on the same ground.

Why not RSA-OAEP: encrypting needs the public key alone. Whoever knows that and can write to the storage could
put a vault of their own, with a data key they know, in the place of ours, and our token would open it. OAEP
is also rarer than signing. Why not AES: smart cards and most USB tokens keep no AES keys.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pkcs11
from blake3 import blake3

from overwinter.model.errors import RequestError, TokenPinRefused, TokenUnavailable
from overwinter.model.protection import KeyKind
from overwinter.vault.keys.secret import Derive, stretch
from overwinter.vault.keys.wrap import TokenKey, Wrap

_FEWEST_BITS = 2048

#: PKCS#11 modules are told that one thread at a time calls them, and a login counts for the whole process.
_alone = threading.Lock()

#: PINs that a token refused while this process lives, as keyed hashes. Tokens lock after a few wrong ones, so
#: jobs that come again and again must not try the same one again.
_refused: set[bytes] = set()
_refused_key = os.urandom(32)


class TokenSecret:
    """A key on a token, and the PIN that lets us use it."""

    kind = KeyKind.TOKEN

    def __init__(self, place: TokenKey, pin: str) -> None:
        if not pin or not pin.isprintable():
            raise RequestError(f"The PIN of token {place.token} is empty or does not print.")
        self.parameters = place
        self._pin = pin

    @contextmanager
    def in_use(self) -> Iterator[Derive]:
        """Log in once, and out at the end.

        Raises ``TokenUnavailable`` when module, token or key are not there or refuse, ``TokenPinRefused``
        when the PIN is wrong or may not be tried.
        """
        place = self.parameters
        try:
            with _alone, _present(place) as token:
                self._check_untried(token)
                with self._login(token) as session:
                    yield partial(_wrapping_key, _signing_key(session, place))
        except pkcs11.PKCS11Error as error:
            raise TokenUnavailable(
                f"Token {place.token} failed with key {place.key} (module {place.module}): {_said(error)}."
            ) from error

    def _check_untried(self, token: pkcs11.Token) -> None:
        check_tries(token.label, token.flags)
        if self._fingerprint(token) in _refused:
            raise TokenPinRefused(
                f"Token {token.label} has refused this PIN before; it was not tried again. Give the right "
                "one. If the token takes this one by now, restart this program."
            )

    def _login(self, token: pkcs11.Token) -> pkcs11.Session:
        label = self.parameters.token
        try:
            return token.open(user_pin=self._pin)
        except pkcs11.PinLocked as error:
            raise TokenPinRefused(f"Token {label} is locked after too many wrong PINs.") from error
        except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange) as error:
            _refused.add(self._fingerprint(token))
            raise TokenPinRefused(f"The PIN of token {label} is wrong. It was tried once.") from error

    def _fingerprint(self, token: pkcs11.Token) -> bytes:
        return blake3(repr((token.label, token.serial, self._pin)).encode(), key=_refused_key).digest()


def check_tries(label: str, flags: pkcs11.TokenFlag) -> None:
    """Raise ``TokenPinRefused`` when a token is locked, or one wrong PIN would lock it."""
    if flags & pkcs11.TokenFlag.USER_PIN_LOCKED:
        raise TokenPinRefused(f"Token {label} is locked after too many wrong PINs.")
    if flags & pkcs11.TokenFlag.USER_PIN_FINAL_TRY:
        raise TokenPinRefused(
            f"One more wrong PIN locks token {label}, so none was tried. Log in once with its own tool."
        )


@contextmanager
def _present(place: TokenKey) -> Iterator[pkcs11.Token]:
    """The token, while its module is initialized: only then does the module see what was plugged in since."""
    try:
        library = pkcs11.lib(place.module)
    except pkcs11.PKCS11Error as error:
        raise TokenUnavailable(f"PKCS#11 module {place.module} cannot be loaded: {_said(error)}.") from error
    try:
        tokens = list(library.get_tokens(token_label=place.token))
        if not tokens:
            raise TokenUnavailable(f"Token {place.token} is not there; plug it in.")
        if len(tokens) > 1:
            raise TokenUnavailable(f"There is more than one token {place.token}; leave one in.")
        yield tokens[0]
    finally:
        library.finalize()


def _signing_key(session: pkcs11.Session, place: TokenKey) -> pkcs11.SignMixin:
    keys = list(
        session.get_objects(
            {
                pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY,
                pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.RSA,
                pkcs11.Attribute.LABEL: place.key,
            }
        )
    )
    if not keys:
        raise TokenUnavailable(f"Token {place.token} has no private RSA key {place.key}.")
    if len(keys) > 1:
        raise TokenUnavailable(f"Token {place.token} has more than one key {place.key}.")
    key = keys[0]
    if not isinstance(key, pkcs11.PrivateKey) or not isinstance(key, pkcs11.SignMixin):
        raise TokenUnavailable(f"Key {place.key} of token {place.token} may not sign.")
    if key.key_length < _FEWEST_BITS:
        raise TokenUnavailable(
            f"Key {place.key} of token {place.token} has {key.key_length} bits; {_FEWEST_BITS} are needed."
        )
    return key


def _wrapping_key(key: pkcs11.SignMixin, wrap: Wrap) -> bytes:
    text = b"overwinter vault key 1 token " + wrap.vault.bytes + wrap.salt
    return stretch(key.sign(text, mechanism=pkcs11.Mechanism.SHA256_RSA_PKCS), wrap)


def _said(error: pkcs11.PKCS11Error) -> str:
    return str(error) or type(error).__name__
