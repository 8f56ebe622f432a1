"""Tokens of SoftHSM, a PKCS#11 module that keeps them in a directory."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pkcs11
import pytest

from overwinter.vault import KeySource

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "pin of the token 7319"
SO_PIN = "pin of the officer 2846"
SIGN = pkcs11.MechanismFlag.SIGN | pkcs11.MechanismFlag.VERIFY


@contextmanager
def slots(directory: Path) -> Iterator[None]:
    """While this holds, this process and its children see the tokens of ``directory``."""
    (directory / "tokens").mkdir()
    configuration = directory / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {directory}/tokens\nlog.level = ERROR\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(configuration))
        yield


def new_token(label: str, pin: str = PIN) -> None:
    """A token like one from the shop, with its PIN set."""
    # softhsm2-util takes PINs as arguments only; these are of tests.
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", SO_PIN],
        check=True,
        capture_output=True,
    )


@contextmanager
def logged_in(label: str, pin: str = PIN) -> Iterator[pkcs11.Session]:
    """A session as the token's own tool has it."""
    library = pkcs11.lib(MODULE)
    try:
        with library.get_token(token_label=label).open(rw=True, user_pin=pin) as session:
            yield session
    finally:
        library.finalize()


def new_key(
    token_label: str, label: str, bits: int = 2048, may: pkcs11.MechanismFlag = SIGN, pin: str = PIN
) -> None:
    """An RSA key pair made on the token."""
    with logged_in(token_label, pin) as session:
        session.generate_keypair(pkcs11.KeyType.RSA, bits, store=True, label=label, capabilities=may)


def token_key(token: str = "vault", key: str = "overwinter", pin: str = PIN) -> KeySource:
    """The key that the tests' vaults open with."""
    return KeySource.from_token(module=MODULE, token_label=token, key_label=key, pin=pin)
