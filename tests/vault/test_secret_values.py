"""The secrets that open a vault, as whoever takes them out of texts wants them: in all their meanings."""

import base64
from pathlib import Path

import pytest

from overwinter.model.errors import RequestError, VaultError, VaultKeyWrong
from overwinter.vault import KeySource, new_recovery_key, secret_values


def private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def test_a_key_file_is_its_text_and_its_bytes(tmp_path: Path) -> None:
    KeySource.new_key_file(tmp_path / "key", lambda length: bytes(range(length)))
    text = (tmp_path / "key").read_bytes().strip()
    assert set(secret_values.of_key(str(tmp_path / "key"))) == {text, bytes(range(32))}
    hexadecimal = private(tmp_path / "hex", bytes(range(32)).hex())
    assert bytes(range(32)) in secret_values.of_key(str(hexadecimal))


def test_a_recovery_key_is_what_people_type_and_its_bytes(tmp_path: Path) -> None:
    key = new_recovery_key(lambda length: bytes(range(length)))
    found = set(secret_values.of_key(f"recovery:{private(tmp_path / 'paper', key)}"))
    grouped = key.replace("-", "")
    assert {key, key.lower(), grouped, grouped.lower()} <= {value.decode(errors="replace") for value in found}
    assert bytes(range(32)) in found


def test_a_passphrase_and_a_pin(tmp_path: Path) -> None:
    place = private(tmp_path / "words", "correct horse battery\n")
    assert secret_values.of_key(f"passphrase:{place}") == (b"correct horse battery",)
    pin = private(tmp_path / "pin", "a pin!")
    token = f"pkcs11:token=T;object=K?module-path=/lib/p11.so&pin-source=file:{pin}"
    assert secret_values.of_key(token) == (b"a pin!",)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(VaultKeyWrong):
        secret_values.of_key(str(tmp_path / "missing"))
    with pytest.raises(RequestError):
        secret_values.of_key("passphrase:relative")
    with pytest.raises(VaultError):
        secret_values.of_storage(f"s3://bucket?credentials={tmp_path / 'missing'}")


def test_credentials_of_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = base64.b64encode(b"k" * 64).decode()
    file = private(
        tmp_path / "credentials",
        f"# comment\nAZURE_STORAGE_ACCOUNT_KEY={key}\nAZURE_STORAGE_SAS_TOKEN=sv=1&sig=a%2Fbcdef&se=2\n",
    )
    found = secret_values.of_storage(f"azure://account/container?credentials={file}")
    assert {key.encode(), b"k" * 64, b"sv=1&sig=a%2Fbcdef&se=2", b"a%2Fbcdef", b"a/bcdef"} <= set(found)
    assert secret_values.of_storage("file:///vault") == ()
    assert secret_values.of_storage("s3://bucket") == ()
    monkeypatch.setenv("AWS_SESSION_TOKEN", "from the environment")
    assert b"from the environment" in secret_values.of_environment()
