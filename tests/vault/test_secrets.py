"""Secrets stay where they are: none is in logs, output, arguments, environment, other files or the vault."""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from overwinter.vault import KeySource, new_recovery_key
from overwinter.vault.keys import unlock
from overwinter.vault.storage import LocalStorage
from tests.vault.softhsm import PIN, new_key, new_token, slots

REPOSITORY = Path(__file__).parents[2]

#: What a secret is called in the scene, and its text.
TEXTS = {
    "passphrase": "correct horse battery staple",
    "wrong_passphrase": "incorrect horse battery staple",
    "pin": PIN,
    "wrong_pin": "pin of another token 5528",
    "vm_name": "mailserver-of-the-board",
    "disk": "plain words of a confidential letter. ",
}


def forms(secret: bytes) -> Iterator[bytes]:
    """A secret as it is, as Python shows it, in hexadecimal, in base64 wherever it may begin, in base32."""
    yield secret
    yield repr(secret)[2:-1].encode()
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret)
        # The first and last characters depend on what stands beside the secret.
        inner = encoded[-(-before * 4 // 3) : len(encoded) // 4 * 4 - 4].rstrip(b"=")
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))
    yield base64.b32encode(secret).rstrip(b"=")


def traces(secrets: dict[str, bytes], content: bytes) -> list[str]:
    """The names of the secrets that are in ``content`` in any form."""
    return [name for name, secret in secrets.items() if any(form in content for form in forms(secret))]


def test_the_search_finds_what_is_there() -> None:
    secret = Random(1).randbytes(32)
    for hidden in (
        secret,
        f"key={secret!r}".encode(),
        secret.hex().encode(),
        secret.hex().upper().encode(),
        base64.b32encode(secret),
        *(base64.b64encode(Random(2).randbytes(n) + secret + b"tail") for n in range(5)),
        *(base64.urlsafe_b64encode(Random(2).randbytes(n) + secret) for n in range(5)),
    ):
        assert traces({"it": secret, "other": b"0" * 32}, b"..." + hidden + b"...") == ["it"]


def files(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """Private files with the secrets of the scene, and a token."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    texts = {
        **TEXTS,
        "recovery_key": new_recovery_key(),
        "key_file": base64.b64encode(os.urandom(32)).decode(),
    }
    for name, text in texts.items():
        (secrets / name).write_text(text)
        (secrets / name).chmod(0o600)
    (tmp_path / "temporary").mkdir()
    (tmp_path / "softhsm").mkdir()
    with slots(tmp_path / "softhsm"):
        new_token("vault")
        new_key("vault", "overwinter")
        yield tmp_path


def test_no_secret_is_found_anywhere(directory: Path) -> None:
    texts = {path.name: path.read_text() for path in (directory / "secrets").iterdir()}
    scene = subprocess.Popen(
        [sys.executable, "-X", "dev", "-m", "tests.vault.secrets_scene", str(directory)],
        cwd=REPOSITORY,
        env={**os.environ, "TMPDIR": str(directory / "temporary"), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=(directory / "stderr").open("wb"),
        text=True,
    )
    assert scene.stdin and scene.stdout
    found: dict[str, bytes] = {}
    printed = ""
    pauses = 0
    for line in scene.stdout:
        printed += line
        if line.startswith("PAUSE"):
            pauses += 1
            for name in ("cmdline", "environ"):
                found[f"{name} {pauses}"] = Path(f"/proc/{scene.pid}/{name}").read_bytes()
            for part in ("temporary", "vault"):
                found |= {f"{name} {pauses}": data for name, data in files(directory / part).items()}
            scene.stdin.write("\n")
            scene.stdin.flush()
    assert scene.wait() == 0, (directory / "stderr").read_text()
    assert pauses == 3
    found |= {"stdout": printed.encode(), **files(directory / "temporary"), **files(directory / "vault")}
    found |= {name: (directory / name).read_bytes() for name in ("log", "stderr")}
    assert "Traceback" in found["log"].decode() and "Traceback" in printed

    with_passphrase = KeySource.from_passphrase(texts["passphrase"])
    secrets = {name: text.encode() for name, text in texts.items()}
    secrets |= {
        "data key": unlock(LocalStorage(directory / "vault"), with_passphrase).data_key,
        "key file's key": base64.b64decode(texts["key_file"]),
        "recovery key without dashes": texts["recovery_key"].replace("-", "").encode(),
        "half a recovery key": texts["recovery_key"][:36].encode(),
        "recovery key's key": b"".join(
            base64.b32decode(group)[:4] for group in texts["recovery_key"].split("-")
        ),
    }
    leaks = {place: names for place, content in found.items() if (names := traces(secrets, content))}
    assert not leaks
    assert len(secrets) == 13
