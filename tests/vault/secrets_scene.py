"""A process that does with a vault what a service does, and meets every error on the way; it logs all it can.

Run by ``test_secrets`` as ``python -m tests.vault.secrets_scene DIRECTORY``. Secrets come from private files
in ``DIRECTORY/secrets``, one a file. The process stops now and then for a line on its standard input, so that
it can be looked at while it holds an open vault.
"""

import logging
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from overwinter.model.errors import OverwinterError
from overwinter.model.extent import Extent
from overwinter.model.point import Consistency
from overwinter.vault import (
    Argon2id,
    KeySource,
    Manifest,
    ManifestDisk,
    add_wrap,
    create_vault,
    open_vault,
    pin_from_file,
    remove_wrap,
    wraps,
)
from overwinter.vault.storage import open_storage
from tests.vault.softhsm import MODULE

log = logging.getLogger("scene")
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def main(directory: Path) -> None:
    logging.basicConfig(
        level=logging.DEBUG,
        handlers=[logging.FileHandler(directory / "log"), logging.StreamHandler(sys.stderr)],
    )
    secrets = directory / "secrets"
    text = {path.name: path.read_text() for path in secrets.iterdir()}
    disk = text["disk"].encode() * 3000

    def token(pin_file: str) -> KeySource:
        pin = pin_from_file(secrets / pin_file)
        return KeySource.from_token(module=MODULE, token_label="vault", key_label="overwinter", pin=pin)

    cheap = Argon2id(memory_kib=8, passes=1, lanes=1)
    passphrase = KeySource.from_passphrase(text["passphrase"], cost=cheap)
    key_file = KeySource.from_key_file(secrets / "key_file")
    recovery = KeySource.from_recovery_key(text["recovery_key"])
    url = (directory / "vault").as_uri()
    storage = open_storage(url)
    vault = create_vault(url, passphrase, vault_id=UUID(int=7), label="first", created=NOW)
    for key in (recovery, token("pin"), key_file):
        added = add_wrap(storage, passphrase, key, label=f"a {key.kind}", created=NOW)
        log.debug("added %s", added)

    def read(offset: int, buffer: memoryview) -> None:
        buffer[:] = disk[offset : offset + len(buffer)]

    with vault.session("point") as session:
        stored = session.store_disk("vda", len(disk), [Extent(0, len(disk))], read)
        session.commit(
            Manifest(
                point_id="point",
                vm_uuid=UUID(int=8),
                vm_name=text["vm_name"],
                created=NOW,
                consistency=Consistency.CRASH,
                disks=(ManifestDisk("vda", 0, len(disk), "raw", None, stored),),
                domain_xml=f"<domain>{text['vm_name']}</domain>",
            )
        )
    log.debug("stored %r in %r", session.stats, vault)
    pause("backed up")
    for key in (passphrase, key_file, recovery, token("pin")):
        opened = open_vault(url, key)
        restored = bytearray(len(disk))

        def write(offset: int, data: bytes, to: bytearray = restored) -> None:
            to[offset : offset + len(data)] = data

        opened.restore_disk(opened.manifest("point").disks[0].map, write, target="vda")
        assert restored == disk
        log.debug("restored with %r from %r", key, opened)

    pause("restored")
    failing("wrong passphrase", lambda: open_vault(url, KeySource.from_passphrase(text["wrong_passphrase"])))
    failing("wrong PIN", lambda: open_vault(url, token("wrong_pin")))
    failing("wrong PIN again", lambda: open_vault(url, token("wrong_pin")))
    failing("mistyped recovery key", lambda: KeySource.from_recovery_key(text["recovery_key"][:-1] + "1"))
    failing("short recovery key", lambda: KeySource.from_recovery_key(text["recovery_key"][:-1]))
    failing("no key in a file", lambda: KeySource.from_key_file(secrets / "passphrase"))
    failing("PIN with a line break", lambda: from_bad_pin(text["pin"]))
    failing("label", lambda: add_wrap(storage, key_file, recovery_of(text), label="\n", created=NOW))
    (secrets / "key_file").chmod(0o644)
    failing("key file open to others", lambda: KeySource.from_key_file(secrets / "key_file"))
    remove_wrap(storage, token("pin"), added.id)
    failing("removed key file", lambda: open_vault(url, key_file))
    log.debug("left: %s", wraps(storage))
    for stored_object in storage.list(""):
        path = directory / "vault" / stored_object.name
        content = path.read_bytes()
        path.write_bytes(content[:-3] + b"???")
        failing(f"damage in {stored_object.name}", lambda: read_all(url, passphrase))
        failing(f"damage in {stored_object.name}", lambda: read_all(url, token("pin")))
        path.write_bytes(content)
    pause("done")


def read_all(url: str, key: KeySource) -> None:
    vault = open_vault(url, key)
    point = vault.manifest("point")
    vault.restore_disk(point.disks[0].map, lambda offset, data: None, target="vda")


def from_bad_pin(pin: str) -> KeySource:
    return KeySource.from_token(module=MODULE, token_label="vault", key_label="k", pin=f"{pin}\n1")


def recovery_of(text: dict[str, str]) -> KeySource:
    """Another key than those the vault has: the same bytes, held as a passphrase."""
    return KeySource.from_passphrase(text["wrong_passphrase"])


def failing(what: str, action: Callable[[], object]) -> None:
    """Do what should fail, and say everything about the failure that a log can say."""
    try:
        action()
    except OverwinterError as error:
        log.exception("%s: %r", what, error)
        print(what, error, repr(error), vars(error), traceback.format_exc())
    else:
        log.info("%s: no error", what)


def pause(what: str) -> None:
    print(f"PAUSE {what}", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
