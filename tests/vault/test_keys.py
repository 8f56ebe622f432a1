"""Keys: passphrases, key files, and what wrong ones say."""

import base64
import os
from pathlib import Path

import pytest

from overwinter.model.errors import AlreadyExists, RequestError, VaultDataCorrupt, VaultKeyWrong
from overwinter.vault import KeySource, create_vault, open_vault
from overwinter.vault.keys import unlock
from tests.vault.disks import VAULT_ID


def test_a_passphrase_opens_its_vault_in_any_unicode_form(tmp_path: Path) -> None:
    create_vault(f"file://{tmp_path}/v", KeySource.from_passphrase("cr\u00e8me"), vault_id=VAULT_ID)
    assert open_vault(f"file://{tmp_path}/v", KeySource.from_passphrase("cre\u0300me")).vault_id == VAULT_ID
    with pytest.raises(VaultKeyWrong, match="passphrase"):
        open_vault(f"file://{tmp_path}/v", KeySource.from_passphrase("creme"))
    with pytest.raises(VaultKeyWrong, match="key file"):
        open_vault(f"file://{tmp_path}/v", KeySource.new_key_file(tmp_path / "key"))


def test_an_empty_passphrase_is_refused() -> None:
    with pytest.raises(RequestError):
        KeySource.from_passphrase("")


def test_a_new_key_file_is_its_owners_only_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key"
    KeySource.new_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    with pytest.raises(AlreadyExists):
        KeySource.new_key_file(path)
    assert path.read_bytes() == before


def test_a_key_file_may_be_hexadecimal_or_base64(tmp_path: Path) -> None:
    secret = os.urandom(32)
    (tmp_path / "hex").write_text(secret.hex() + "\n")
    (tmp_path / "base64").write_text(base64.b64encode(secret).decode())
    wrap = KeySource.from_key_file(tmp_path / "hex").wrap(b"d" * 32, VAULT_ID, os.urandom)
    assert KeySource.from_key_file(tmp_path / "base64").unwrap("keys/1", wrap) == (VAULT_ID, b"d" * 32)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff\xfe", b"A" * 44, b"zz" * 32])
def test_a_file_that_is_no_key_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(VaultKeyWrong, match="Key file"):
        KeySource.from_key_file(tmp_path / "key")
    with pytest.raises(VaultKeyWrong, match="Key file"):
        KeySource.from_key_file(tmp_path / "absent")


def test_any_of_several_wraps_opens_and_damage_to_one_does_not_hide_another(tmp_path: Path) -> None:
    first, second = (KeySource.new_key_file(tmp_path / name) for name in ("1", "2"))
    wraps = {
        "keys/damaged": b"{",
        "keys/first": first.wrap(b"d" * 32, VAULT_ID, os.urandom),
        "keys/second": second.wrap(b"d" * 32, VAULT_ID, os.urandom),
    }
    for source in (first, second):
        assert unlock(source, list(wraps), wraps.__getitem__) == (VAULT_ID, b"d" * 32)
    with pytest.raises(VaultDataCorrupt, match="keys/damaged"):
        unlock(KeySource.new_key_file(tmp_path / "3"), list(wraps), wraps.__getitem__)


def test_the_secret_does_not_show(tmp_path: Path) -> None:
    source = KeySource.from_passphrase("hush")
    assert "hush" not in repr(source)
    assert "hush" not in str(vars(source).get("kind"))
