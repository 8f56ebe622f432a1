"""Keys on a PKCS#11 token, tried with SoftHSM: opening, and what is said when something is wrong."""

import os
import pty
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pkcs11
import pytest

from overwinter.model.errors import RequestError, TokenPinRefused, TokenUnavailable, VaultKeyWrong
from overwinter.model.protection import KeyKind
from overwinter.vault import (
    KeySource,
    TokenKey,
    Wrap,
    change_wrap,
    pin_from_file,
    remove_wrap,
    wraps,
)
from overwinter.vault.keys.token import check_tries
from overwinter.vault.store import create_vault_on, open_vault_on
from tests.vault.disks import CHUNK, VAULT_ID
from tests.vault.keyrings import CHEAP, NOW, add, forged, new_vault, number_key, opens
from tests.vault.softhsm import MODULE, PIN, logged_in, new_key, new_token, slots, token_key
from tests.vault.turns import MemoryStorage


@pytest.fixture(scope="module", autouse=True)
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two tokens with a key each."""
    with slots(tmp_path_factory.mktemp("softhsm")):
        new_token("vault")
        new_key("vault", "overwinter")
        new_token("other")
        new_key("other", "overwinter")
        yield


def token_vault() -> MemoryStorage:
    storage = MemoryStorage()
    create_vault_on(storage, "here", token_key(), VAULT_ID, CHUNK, created=NOW)
    return storage


def test_a_token_opens_its_vault_again_and_again() -> None:
    storage = token_vault()
    assert opens(storage, token_key())
    assert opens(storage, token_key())
    (wrap,) = wraps(storage)
    assert isinstance(wrap, Wrap)
    assert wrap.kind is KeyKind.TOKEN
    assert wrap.parameters == TokenKey(module=MODULE, token="vault", key="overwinter")


def test_another_key_does_not_open() -> None:
    storage = token_vault()
    with pytest.raises(VaultKeyWrong, match="This token does not open the vault"):
        open_vault_on(storage, "here", token_key("other"))


def test_two_tokens_a_passphrase_and_a_key_file_side_by_side() -> None:
    storage = MemoryStorage()
    passphrase = KeySource.from_passphrase("hush", cost=CHEAP)
    first, *_ = new_vault(storage, token_key("other"), token_key(), passphrase)
    for key in (number_key(1), passphrase, token_key(), token_key("other")):
        assert opens(storage, key)
    remove_wrap(storage, token_key(), first)
    assert not opens(storage, number_key(1))
    listed = {wrap.parameters.token: wrap.id for wrap in wraps(storage) if is_token(wrap)}
    changed = change_wrap(storage, token_key("other"), listed["other"], number_key(2), label="", created=NOW)
    assert not opens(storage, token_key("other"))
    assert opens(storage, number_key(2))
    assert add(storage, number_key(2), token_key()).id == listed["vault"] != changed.id


def is_token(wrap: object) -> bool:
    return isinstance(wrap, Wrap) and wrap.kind is KeyKind.TOKEN


def test_threads_take_turns_at_the_token() -> None:
    storage = token_vault()
    opened: list[bool] = []
    threads = [threading.Thread(target=lambda: opened.append(opens(storage, token_key()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [True] * 4


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    storage = token_vault()
    (tmp_path / "text.so").write_text("no library")
    libc = Path("/proc/self/maps").read_text().split("libc.so.6")[0].split()[-1] + "libc.so.6"

    def refusal(module: str, token: str, key: str) -> str:
        source = KeySource.from_token(module=module, token_label=token, key_label=key, pin=PIN)
        with pytest.raises(TokenUnavailable) as caught:
            open_vault_on(storage, "here", source)
        return caught.value.message

    assert "Token absent is not there" in refusal(MODULE, "absent", "overwinter")
    assert "Token vault has no private RSA key absent" in refusal(MODULE, "vault", "absent")
    for module in (f"{tmp_path}/absent.so", f"{tmp_path}/text.so", libc):
        assert f"PKCS#11 module {module} cannot be loaded" in refusal(module, "vault", "overwinter")


def test_a_token_plugged_in_later_is_seen() -> None:
    storage = token_vault()
    with pytest.raises(TokenUnavailable, match="Token late is not there"):
        open_vault_on(storage, "here", token_key("late"))
    new_token("late")
    new_key("late", "overwinter")
    with pytest.raises(VaultKeyWrong):
        open_vault_on(storage, "here", token_key("late"))


def test_names_that_fit_twice_are_refused() -> None:
    storage = token_vault()
    for _ in range(2):
        new_token("twin")
    with pytest.raises(TokenUnavailable, match="more than one token twin"):
        open_vault_on(storage, "here", token_key("twin"))
    for _ in range(2):
        new_key("other", "twin")
    with pytest.raises(TokenUnavailable, match="more than one key twin"):
        open_vault_on(storage, "here", token_key("other", "twin"))


def test_a_key_that_does_not_serve_is_refused() -> None:
    storage = token_vault()
    new_key("other", "small", bits=1024)
    new_key("other", "decrypts", may=pkcs11.MechanismFlag.DECRYPT | pkcs11.MechanismFlag.ENCRYPT)
    with logged_in("other") as session:
        session.generate_key(pkcs11.KeyType.AES, 256, store=True, label="aes")
    for key, message in (
        ("small", "1024 bits; 2048 are needed"),
        ("decrypts", "may not sign"),
        ("aes", "no private RSA key aes"),
    ):
        with pytest.raises(TokenUnavailable, match=message):
            open_vault_on(storage, "here", token_key("other", key))


def test_a_wrong_pin_is_tried_once() -> None:
    storage = token_vault()
    new_token("strict")
    new_key("strict", "overwinter")
    wrong = "wrong pin 1234"
    with pytest.raises(TokenPinRefused, match=r"PIN of token strict is wrong\. It was tried once") as first:
        open_vault_on(storage, "here", token_key("strict", pin=wrong))
    # Were it tried again, it would be right by now.
    with logged_in("strict") as session:
        session.set_pin(PIN, wrong)
    with pytest.raises(TokenPinRefused, match="refused this PIN before; it was not tried again") as second:
        open_vault_on(storage, "here", token_key("strict", pin=wrong))
    assert wrong not in f"{first.value!r}{first.value.__cause__!r}{second.value!r}"
    # Another PIN is tried, and so is the same one at another token.
    with pytest.raises(TokenPinRefused, match="is wrong"):
        open_vault_on(storage, "here", token_key("strict", pin=PIN))
    with pytest.raises(TokenPinRefused, match="is wrong"):
        open_vault_on(storage, "here", token_key("other", pin=wrong))


def test_a_wrong_pin_says_so_before_the_vault_is_changed() -> None:
    storage = MemoryStorage()
    new_vault(storage)
    before = dict(storage.objects)
    with pytest.raises(TokenPinRefused):
        add(storage, number_key(1), token_key(pin="wrong pin 5678"))
    with pytest.raises(TokenPinRefused):
        create_vault_on(MemoryStorage(), "here", token_key(pin="wrong pin 5678"), VAULT_ID, CHUNK)
    assert storage.objects == before


@pytest.mark.parametrize("flag", ["USER_PIN_LOCKED", "USER_PIN_FINAL_TRY"])
def test_a_pin_that_could_lock_the_token_is_not_tried(flag: str) -> None:
    flags = pkcs11.TokenFlag.LOGIN_REQUIRED | pkcs11.TokenFlag.USER_PIN_COUNT_LOW
    check_tries("vault", flags)
    with pytest.raises(TokenPinRefused, match=r"[Tt]oken vault"):
        check_tries("vault", flags | pkcs11.TokenFlag[flag])


@pytest.mark.parametrize(
    "change",
    [
        {"module": "opensc-pkcs11.so"},
        {"module": "/m\n.so"},
        {"token_label": ""},
        {"token_label": "x" * 33},
        {"key_label": "\x1b[2J"},
        {"pin": ""},
        {"pin": "12\n34"},
    ],
    ids=repr,
)
def test_what_cannot_be_right_is_refused_at_once(change: dict[str, str]) -> None:
    arguments = {"module": MODULE, "token_label": "vault", "key_label": "k", "pin": "5550123", **change}
    with pytest.raises(RequestError) as caught:
        KeySource.from_token(**arguments)
    assert "5550123" not in f"{caught.value!r}{caught.value.__cause__!r}"


def test_no_module_is_loaded_because_the_storage_says_so(tmp_path: Path) -> None:
    """A path in a wrap is a stranger's; loading it would run their code."""
    strange = tmp_path / "strange.so"
    shutil.copy(MODULE, strange)
    storage = token_vault()
    (own,) = wraps(storage)
    assert isinstance(own, Wrap)
    place = TokenKey(module=str(strange), token="vault", key="overwinter")
    ids = ("0" * 16, "f" * 16)  # tried before and after our own
    for wrap_id in ids:
        fields = own.model_copy(update={"id": wrap_id, "parameters": place}).model_dump_json()
        storage.objects[f"keys/{wrap_id}"] = forged(fields.encode())
    assert [wrap.id for wrap in wraps(storage) if is_token(wrap)] == [ids[0], own.id, ids[1]]
    assert opens(storage, token_key())
    with pytest.raises(VaultKeyWrong):
        open_vault_on(storage, "here", token_key("other"))
    loaded = Path("/proc/self/maps").read_text()
    assert Path(MODULE).resolve().name in loaded
    assert strange.name not in loaded


def test_a_pin_file_must_be_its_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "pin"
    path.write_text(f"{PIN}\n")
    path.chmod(0o640)
    with pytest.raises(VaultKeyWrong, match=r"PIN file .* open to others"):
        pin_from_file(path)
    path.chmod(0o600)
    assert pin_from_file(path) == PIN
    assert opens(token_vault(), token_key(pin=pin_from_file(path)))


ASK = "from overwinter.vault import pin_from_terminal; print(len(pin_from_terminal('vault')), 'characters')"


def test_a_pin_is_asked_on_the_terminal_without_showing_it() -> None:
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", ASK])
    shown = b""
    while b"PIN of token vault: " not in shown:
        shown += os.read(terminal, 1024)
    os.write(terminal, f"{PIN}\n".encode())
    while b"characters" not in shown:
        shown += os.read(terminal, 1024)
    assert os.waitpid(child, 0)[1] == 0
    os.close(terminal)
    assert f"{len(PIN)} characters".encode() in shown
    assert PIN.encode() not in shown


def test_without_a_terminal_no_pin_is_read_in_the_open() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK], input=f"{PIN}\n", capture_output=True, text=True, start_new_session=True
    )
    assert "there is no terminal" in done.stderr
    assert "characters" not in done.stdout
