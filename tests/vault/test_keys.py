"""What people hold: passphrases and key files, what wrong ones say, and that no secret shows."""

import base64
import copy
import os
import pickle
import stat
from pathlib import Path

import pytest

from overwinter.model.errors import AlreadyExists, OverwinterError, RequestError, VaultKeyWrong
from overwinter.vault import Argon2id, KeySource, create_vault, new_recovery_key, open_vault
from overwinter.vault.keys.passphrase import DEFAULT_COST
from tests.vault.disks import VAULT_ID
from tests.vault.keyrings import CHEAP


def key_file(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_passphrase_opens_its_vault_in_any_unicode_form(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/v"
    create_vault(url, KeySource.from_passphrase("cr\u00e8me", cost=CHEAP), vault_id=VAULT_ID)
    assert open_vault(url, KeySource.from_passphrase("cre\u0300me")).vault_id == VAULT_ID
    with pytest.raises(VaultKeyWrong, match="This passphrase does not open"):
        open_vault(url, KeySource.from_passphrase("creme"))
    with pytest.raises(VaultKeyWrong, match="not open with a key file, but with: passphrase"):
        open_vault(url, KeySource.new_key_file(tmp_path / "key"))


def test_the_default_cost_is_that_of_rfc_9106(tmp_path: Path) -> None:
    assert Argon2id(memory_kib=65536, passes=3, lanes=4) == DEFAULT_COST
    url = f"file://{tmp_path}/v"
    create_vault(url, KeySource.from_passphrase("words"), vault_id=VAULT_ID)
    (wrap,) = (tmp_path / "v/keys").iterdir()
    assert '"parameters":{"memory_kib":65536,"passes":3,"lanes":4}' in wrap.read_text()
    assert open_vault(url, KeySource.from_passphrase("words")).vault_id == VAULT_ID


@pytest.mark.parametrize("text", ["", "\ud800"])
def test_a_passphrase_that_is_no_text_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="passphrase"):
        KeySource.from_passphrase(text)


def test_a_new_key_file_is_its_owners_only_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key"
    mask = os.umask(0)
    try:
        KeySource.new_key_file(path)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    with pytest.raises(AlreadyExists):
        KeySource.new_key_file(path)
    assert path.read_bytes() == before


def test_a_key_file_may_be_hexadecimal_or_base64(tmp_path: Path) -> None:
    secret = os.urandom(32)
    url = f"file://{tmp_path}/v"
    first = key_file(tmp_path / "hex", secret.hex().encode() + b"\n")
    create_vault(url, KeySource.from_key_file(first), vault_id=VAULT_ID)
    second = key_file(tmp_path / "base64", base64.b64encode(secret))
    assert open_vault(url, KeySource.from_key_file(second)).vault_id == VAULT_ID


@pytest.mark.parametrize(
    "content", [b"", b"short", b"\xff\xfe", b"A" * 44, b"zz" * 32, b"\xff" * 44, b"A" * 100_000]
)
def test_a_file_that_is_no_key_is_named_and_not_shown(tmp_path: Path, content: bytes) -> None:
    path = key_file(tmp_path / "key", content)
    with pytest.raises(VaultKeyWrong, match=f"Key file {path}") as caught:
        KeySource.from_key_file(path)
    # Not even in the cause: a log may print the whole chain.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o620, 0o644, 0o666, 0o777])
def test_a_key_file_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = key_file(tmp_path / "key", os.urandom(32).hex().encode(), mode)
    with pytest.raises(VaultKeyWrong, match=f"open to others .mode {mode:04o}.*chmod 600 {path}"):
        KeySource.from_key_file(path)
    path.chmod(0o400)
    KeySource.from_key_file(path)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in ("pipe", "absent", "."):
        with pytest.raises(VaultKeyWrong, match="Key file"):
            KeySource.from_key_file(tmp_path / path)


def sources(tmp_path: Path) -> list[tuple[str, KeySource]]:
    """Secrets, as a person knows them, and what is made of them."""
    recovery = new_recovery_key()
    secret = os.urandom(32).hex()
    key_file(tmp_path / "key", secret.encode())
    return [
        ("hush-hush", KeySource.from_passphrase("hush-hush", cost=CHEAP)),
        (secret, KeySource.from_key_file(tmp_path / "key")),
        (recovery, KeySource.from_recovery_key(recovery)),
        (
            "24681357",
            KeySource.from_token(module="/m.so", token_label="t", key_label="k", pin="24681357"),
        ),
    ]


def test_secrets_do_not_show(tmp_path: Path) -> None:
    create_vault(f"file://{tmp_path}/v", KeySource.new_key_file(tmp_path / "other"), vault_id=VAULT_ID)
    for secret, source in sources(tmp_path):
        shown = [repr(source), str(source), f"{source}", repr([source]), repr(vars(source))]
        shown.append(repr(source.secret))
        try:
            open_vault(f"file://{tmp_path}/v", source)
        except OverwinterError as error:
            shown += [repr(error), str(error), repr(error.__cause__), repr(error.__context__)]
        assert not [text for text in shown if secret in text]
        assert source.kind.value in repr(source)


def test_secrets_are_not_pickled(tmp_path: Path) -> None:
    for _, source in sources(tmp_path):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(source)
        with pytest.raises(TypeError, match="not pickled"):
            copy.deepcopy({"key": source})
