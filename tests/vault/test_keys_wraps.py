"""What lies under ``keys/``: its form, listing it, opening with it, and what strangers may have put there."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.model.errors import VaultDataCorrupt, VaultFormatUnsupported, VaultKeyWrong
from overwinter.model.protection import KeyKind
from overwinter.vault import Argon2id, KeySource, UnreadableWrap, Wrap, new_recovery_key, wraps
from overwinter.vault.keys.random_key import RandomKey
from overwinter.vault.keys.wrap import LONGEST_WRAP, parse_wrap
from overwinter.vault.storage import LocalStorage, StoredObject
from overwinter.vault.store import create_vault_on, open_vault_on
from tests.vault.disks import CHUNK, VAULT_ID
from tests.vault.keyrings import CHEAP, NOW, add, forged, new_vault, number_key, opens
from tests.vault.turns import MemoryStorage

WRAP_ID = "00c0ffee00c0ffee"
PASSPHRASE = """\
overwinter-vault-key 1
{"id":"00c0ffee00c0ffee","vault":"5f0c2b5e-6c1e-4a5f-9a0e-0d6f6a3f0001","kind":"passphrase",\
"label":"in the safe","created":"2026-11-21T14:30:00Z",\
"salt":"6465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f80818283",\
"parameters":{"memory_kib":8,"passes":1,"lanes":1}}
366175bb9b822876c4d567734c703cf7b058211c93a825c6780474cc5aa732eb2f09817497dbec6a3f249de6e79428ca
34b93843d7bd2dc15904b90f9d3e5ff9294af8a2382cd18a7492a91f36a51e5c
"""
RECOVERY = """\
overwinter-vault-key 1
{"id":"00c0ffee00c0ffee","vault":"5f0c2b5e-6c1e-4a5f-9a0e-0d6f6a3f0001","kind":"recovery",\
"label":"in the safe","created":"2026-11-21T14:30:00Z",\
"salt":"6465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f80818283"}
88b3b2d6ce02ee5f2384c4c0a63aee897d267ab9b0f5e33d5cc496a50a990f353f6cada0b7822d64b2f684a48d0749ec
ef891d7a65c9d561c5c1c7798a7017dd1ccc448794b3e735cc8f76df56fae90c
"""
FIELDS: dict[str, Any] = json.loads(PASSPHRASE.splitlines()[1])


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (PASSPHRASE, KeySource.from_passphrase("cr\u00e8me")),
        (RECOVERY, KeySource(RandomKey(KeyKind.RECOVERY, bytes(range(32))))),
    ],
    ids=["passphrase", "recovery"],
)
def test_the_form_of_a_wrap_is_frozen(content: str, key: KeySource) -> None:
    """What opened a vault once must open it for ever."""
    stored = parse_wrap(WRAP_ID, content.encode())
    assert (stored.wrap.vault, stored.wrap.label, stored.wrap.created) == (VAULT_ID, "in the safe", NOW)
    with key.secret.in_use() as derive:
        assert stored.open(derive(stored.wrap)) == b"d" * 32


def test_wraps_are_listed_with_what_was_given(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    (first,) = new_vault(storage)
    recovery = KeySource.from_recovery_key(new_recovery_key())
    passphrase = KeySource.from_passphrase("hush", cost=CHEAP)
    added = [
        add(storage, number_key(1), passphrase, "the lock's own"),
        add(storage, passphrase, recovery, "in the safe"),
    ]
    listed = {wrap.id: wrap for wrap in wraps(storage) if isinstance(wrap, Wrap)}
    assert [wrap.id for wrap in wraps(storage)] == sorted(listed)
    assert [listed.pop(wrap.id) for wrap in added] == added
    assert [(wrap.kind, wrap.label, wrap.created) for wrap in added] == [
        (KeyKind.PASSPHRASE, "the lock's own", NOW),
        (KeyKind.RECOVERY, "in the safe", NOW),
    ]
    assert [(wrap.id, wrap.kind, wrap.label, wrap.created) for wrap in listed.values()] == [
        (first, KeyKind.KEY_FILE, "", None)
    ]
    for key in (number_key(1), passphrase, recovery):
        assert opens(storage, key)


def test_the_first_wrap_may_have_label_and_time_too() -> None:
    storage = MemoryStorage()
    create_vault_on(storage, "here", number_key(1), VAULT_ID, CHUNK, label="first", created=NOW)
    (wrap,) = wraps(storage)
    assert isinstance(wrap, Wrap)
    assert (wrap.label, wrap.created) == ("first", NOW)


def test_opening_tells_which_kinds_there_are_and_what_is_damaged() -> None:
    storage = MemoryStorage()
    first, _ = new_vault(storage, KeySource.from_passphrase("hush", cost=CHEAP))
    recovery = KeySource.from_recovery_key(new_recovery_key())
    with pytest.raises(VaultKeyWrong, match="a recovery key, but with: key file, passphrase"):
        open_vault_on(storage, "here", recovery)
    storage.objects[f"keys/{first}"] = b"{"
    with pytest.raises(VaultKeyWrong, match=f"could not be tried: keys/{first}: its checksum is wrong"):
        open_vault_on(storage, "here", KeySource.from_passphrase("other"))
    # No key file could be tried: damage is likelier than a wrong key.
    with pytest.raises(VaultDataCorrupt, match=f"but with: passphrase. .*keys/{first}"):
        open_vault_on(storage, "here", number_key(1))
    assert opens(storage, KeySource.from_passphrase("hush"))
    for name in [name for name in storage.objects if name.startswith("keys/")]:
        del storage.objects[name]
    with pytest.raises(VaultDataCorrupt, match="nothing opens it"):
        open_vault_on(storage, "here", number_key(1))


class WatchedStorage(MemoryStorage):
    """Tells what was read, and how many bytes of it."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        super().__init__()
        self.objects = objects
        self.read: dict[str, int] = {}

    def get(self, name: str) -> bytes:
        content = super().get(name)
        self.read[name] = len(content)
        return content

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        content = super().get(name)[offset : offset + length]
        self.read[name] = len(content)
        return content

    def list(self, prefix: str) -> list[StoredObject]:
        self.read[prefix] = 0
        return super().list(prefix)


def test_a_wrong_key_is_told_before_any_other_work() -> None:
    """Nothing but ``config`` and ``keys/`` is looked at, and nothing is written."""
    storage = MemoryStorage()
    new_vault(storage, KeySource.from_passphrase("hush", cost=CHEAP))
    watched = WatchedStorage(dict(storage.objects))
    with pytest.raises(VaultKeyWrong):
        open_vault_on(watched, "here", number_key(9))
    assert {name.partition("/")[0] for name in watched.read} == {"config", "keys"}
    assert watched.objects == storage.objects


def test_objects_that_are_too_large_are_not_read() -> None:
    storage = MemoryStorage()
    new_vault(storage)
    large = {f"keys/{number:016x}": bytes(10 * 1024 * 1024) for number in range(3)}
    watched = WatchedStorage({**storage.objects, **large, "keys/readme": bytes(10 * 1024 * 1024)})
    assert opens(watched, number_key(1))
    assert UnreadableWrap("0" * 16, "it has 10485760 bytes") in wraps(watched)
    assert max(watched.read.values()) <= LONGEST_WRAP


def test_more_wraps_than_a_vault_can_have_are_not_tried() -> None:
    storage = MemoryStorage()
    new_vault(storage)
    storage.objects |= {f"keys/{number:016x}": PASSPHRASE.encode() for number in range(64)}
    watched = WatchedStorage(storage.objects)
    with pytest.raises(VaultDataCorrupt, match="65 wraps"):
        open_vault_on(watched, "here", number_key(1))
    assert watched.read.keys() == {"config", "keys/"}


def test_strangers_wraps_keep_nobody_out() -> None:
    storage = MemoryStorage()
    new_vault(storage, KeySource.from_passphrase("hush", cost=CHEAP))
    first, second = (name for name in storage.objects if name.startswith("keys/"))
    hostile = [
        b"",
        b"\xff" * 4096,
        b"[" * 4096,
        forged(b'{"id":' + b"[" * 3900),
        forged(b"null"),
        forged(json.dumps({**FIELDS, "id": f"{4:016x}", "parameters": {"memory_kib": 2**40}}).encode()),
        storage.objects[first],  # another wrap under a second name
        storage.objects[second],
        PASSPHRASE.replace("key 1", "key 2").encode(),
        forged(b"", b"overwinter-vault-key 2"),
    ]
    storage.objects |= {f"keys/{number:016x}": content for number, content in enumerate(hostile)}
    assert opens(storage, number_key(1))
    assert opens(storage, KeySource.from_passphrase("hush"))
    found = [wrap for wrap in wraps(storage) if isinstance(wrap, UnreadableWrap)]
    assert len(found) == len(hostile)
    assert found[-1].reason == "it has a version this program does not know"
    with pytest.raises(VaultKeyWrong, match="keys/0000000000000003: its fields are not those of a wrap"):
        open_vault_on(storage, "here", number_key(2))


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": {"memory_kib": 256 * 1024 + 1, "passes": 1, "lanes": 1}},
        {"parameters": {"memory_kib": 256 * 1024, "passes": 3, "lanes": 1}},
        {"parameters": {"memory_kib": 64, "passes": 17, "lanes": 1}},
        {"parameters": {"memory_kib": 1024, "passes": 1, "lanes": 17}},
        {"parameters": {"memory_kib": 8, "passes": 1, "lanes": 2}},
        {"parameters": {"memory_kib": 8, "passes": 0, "lanes": 1}},
        {"parameters": {"memory_kib": -8, "passes": 1, "lanes": 1}},
        {"parameters": {"memory_kib": True, "passes": 1, "lanes": 1}},
        {"parameters": {"memory_kib": 8.0, "passes": 1, "lanes": 1}},
        {"parameters": {"memory_kib": "8", "passes": 1, "lanes": 1}},
        {"parameters": {"memory_kib": 10**400, "passes": 1, "lanes": 1}},
        {"parameters": {"memory_kib": 8, "passes": 1, "lanes": 1, "threads": 1}},
        {"parameters": {"module": "/lib/x.so", "token": "t", "key": "k"}},
        {"parameters": None},
        {"kind": "recovery"},
        {"kind": "token", "parameters": {"module": "x.so", "token": "t", "key": "k"}},
        {"kind": "token", "parameters": {"module": "/\x1b[2J", "token": "t", "key": "k"}},
        {"kind": "password"},
        {"label": "x" * 101},
        {"label": "two\nlines"},
        {"label": None},
        {"created": "2026-11-21T14:30:00"},
        {"created": 1},
        {"salt": "64" * 31},
        {"salt": "zz" * 32},
        {"vault": "none"},
        {"id": "00c0ffee00c0ffef"},
        {"\x1b[2J": 1},
    ],
    ids=repr,
)
def test_a_wrong_field_is_damage_and_named_without_its_content(change: dict[str, Any]) -> None:
    with pytest.raises(VaultDataCorrupt) as caught:
        parse_wrap(WRAP_ID, forged(json.dumps({**FIELDS, **change}).encode()))
    assert caught.value.message.isprintable()
    assert any(name in caught.value.message for name in (*change, "wrap of another name", "not those of"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def check_parsed(content: bytes) -> None:
    """A wrap within its bounds, or one of the two errors."""
    try:
        stored = parse_wrap(WRAP_ID, content)
    except (VaultDataCorrupt, VaultFormatUnsupported) as error:
        assert error.message.isprintable()
        return
    cost = stored.wrap.parameters
    assert not isinstance(cost, Argon2id) or cost.memory_kib * cost.passes <= 512 * 1024
    assert stored.open(bytes(32)) is None


@given(st.binary(max_size=LONGEST_WRAP))
def test_any_bytes(content: bytes) -> None:
    check_parsed(content)
    check_parsed(forged(content))
    check_parsed(forged(json.dumps(FIELDS).encode(), content[:40], content[40:]))


@given(json_values, st.sampled_from([*FIELDS, "other"]))
def test_any_json(value: Any, name: str) -> None:
    check_parsed(forged(json.dumps(value).encode()))
    check_parsed(forged(json.dumps({**FIELDS, name: value}).encode()))
    check_parsed(forged(json.dumps({**FIELDS, "parameters": {**CHEAP.model_dump(), name: value}}).encode()))


@given(st.integers(0, len(PASSPHRASE) - 1), st.integers(1, 255))
def test_every_changed_byte_is_found(place: int, change: int) -> None:
    content = bytearray(PASSPHRASE.encode())
    content[place] ^= change
    with pytest.raises(VaultDataCorrupt):
        parse_wrap(WRAP_ID, bytes(content))


@given(st.integers(0, len(PASSPHRASE)))
def test_every_changed_field_is_bound(place: int) -> None:
    """Whoever makes the checksum right again still cannot make the wrap open with other fields."""
    fields = bytearray(PASSPHRASE.splitlines()[1].encode())
    fields[place % len(fields)] ^= 1
    sealed = PASSPHRASE.splitlines()[2].encode()
    key = KeySource.from_passphrase("cr\u00e8me")
    try:
        stored = parse_wrap(WRAP_ID, forged(bytes(fields), sealed=sealed))
    except VaultDataCorrupt:
        return
    if stored.wrap.kind is KeyKind.PASSPHRASE:
        with key.secret.in_use() as derive:
            assert stored.open(derive(stored.wrap)) is None
