"""References to secrets: each form opens its vault, what is none is refused without being repeated."""

from pathlib import Path

import pytest

from overwinter.model.errors import RequestError, VaultKeyWrong
from overwinter.vault import (
    KeySource,
    create_vault,
    key_at,
    new_recovery_key,
    open_vault,
    vault_at,
    with_absolute_path,
)
from tests.vault.disks import VAULT_ID
from tests.vault.softhsm import MODULE, PIN, new_key, new_token, slots


def private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def opens(directory: Path, reference: str) -> None:
    url = (directory / "vault").as_uri()
    create_vault(url, key_at(reference), vault_id=VAULT_ID).close()
    assert open_vault(url, key_at(reference)).vault_id == VAULT_ID
    assert vault_at(url, key_at(reference)) == VAULT_ID


def test_a_key_file(tmp_path: Path) -> None:
    KeySource.new_key_file(tmp_path / "key")
    opens(tmp_path, str(tmp_path / "key"))


def test_a_recovery_key(tmp_path: Path) -> None:
    path = private(tmp_path / "paper", new_recovery_key())
    opens(tmp_path, f"recovery:{path}")


def test_a_passphrase(tmp_path: Path) -> None:
    path = private(tmp_path / "words", "correct horse\n")
    opens(tmp_path, f"passphrase:{path}")


def test_a_token(tmp_path: Path) -> None:
    pin = private(tmp_path / "pin", PIN)
    with slots(tmp_path):
        new_token("vault")
        new_key("vault", "the key")
        opens(
            tmp_path,
            f"pkcs11:token=vault;object=the%20key?module-path={MODULE}&pin-source=file:{pin}",
        )


@pytest.mark.parametrize(
    "wrong",
    [
        "relative/key",
        "",
        "passphrase:words",
        "pkcs11:token=a;object=b?module-path=/c",
        "pkcs11:object=b?module-path=/c&pin-source=/d",
        "pkcs11:token=a;object=b?module-path=/c&pin-source=/d&pin-value=1234-5678",
    ],
)
def test_what_is_no_reference_is_refused(wrong: str) -> None:
    with pytest.raises(RequestError) as refusal:
        key_at(wrong)
    assert "1234-5678" not in str(refusal.value)


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = private(tmp_path / "words", "correct horse")
    path.chmod(0o644)
    for reference in (f"passphrase:{path}", f"recovery:{path}", str(path)):
        with pytest.raises(VaultKeyWrong):
            key_at(reference)


def test_typed_paths_are_those_of_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert with_absolute_path("a/b") == f"{tmp_path}/a/b"
    assert with_absolute_path("passphrase:w") == f"passphrase:{tmp_path}/w"
    assert with_absolute_path("recovery:/w") == "recovery:/w"
    assert with_absolute_path("pkcs11:token=a") == "pkcs11:token=a"
