"""A vault keeps what it forbids, whoever asks, and nothing final is ever taken back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from overwinter.model.errors import VaultDataCorrupt, VaultImmutable, VaultSettingIrreversible
from overwinter.model.extent import Extent
from overwinter.model.vault_rules import Immutability, SoftDelete, VaultRules
from overwinter.vault import VaultStore, rules
from tests.vault.disks import NOW, manifest, new_vault, noise, read_from, reopen

DAY = timedelta(days=1)

#: Points by when they expire.
PAST, FUTURE, NEVER = "1", "2", "3"


def with_point(vault: VaultStore, name: str, expires: datetime | None) -> None:
    data = noise(1, 8192)
    with vault.session(name) as session:
        disk_map = session.store_disk(
            target="vda", size=len(data), extents=[Extent(0, len(data))], read=read_from(data), parent=None
        )
        session.commit(replace(manifest(name, disk_map), expires=expires))


def test_a_vault_without_rules_forbids_nothing(tmp_path: Path) -> None:
    vault = new_vault(tmp_path / "vault")
    with_point(vault, "1", NOW + DAY)
    assert vault.rules() is None
    assert vault.delete_point("1", now=NOW) is None
    assert vault.manifests() == []


def test_the_promise_and_the_days(tmp_path: Path) -> None:
    vault = new_vault(tmp_path / "vault")
    vault.set_rules(VaultRules(soft_delete_days=20))
    for name, expires in ((PAST, NOW), (FUTURE, NOW + DAY), (NEVER, None)):
        with_point(vault, name, expires)
    assert reopen(tmp_path / "vault").manifest(FUTURE).expires == NOW + DAY
    assert vault.delete_point(PAST, now=NOW) is None, "it expired as was promised"
    assert vault.delete_point(FUTURE, now=NOW) == NOW + 20 * DAY
    assert vault.delete_point(NEVER, now=NOW, until=NOW + 50 * DAY) == NOW + 50 * DAY
    # No second deletion, no other rules make it go sooner.
    vault.set_rules(VaultRules(SoftDelete.DISABLED))
    assert vault.delete_point(FUTURE, now=NOW + 5 * DAY) == NOW + 20 * DAY
    assert vault.delete_point(FUTURE, now=NOW + 20 * DAY) is None
    assert [each.manifest.point_id for each in vault.deleted_points()] == [NEVER]


def test_immutable_points(tmp_path: Path) -> None:
    vault = new_vault(tmp_path / "vault")
    vault.set_rules(VaultRules(immutability=Immutability.UNLOCKED))
    with_point(vault, "1", NOW + DAY)
    with pytest.raises(VaultImmutable, match="expires"):
        vault.delete_point("1", now=NOW, until=NOW + 90 * DAY)
    assert vault.delete_point("1", now=NOW + DAY) is None


def test_what_was_deleted_before_goes_at_its_date(tmp_path: Path) -> None:
    """Also when the vault has become immutable meanwhile, and the point would have lived longer."""
    vault = new_vault(tmp_path / "vault")
    vault.set_rules(VaultRules())
    with_point(vault, FUTURE, NOW + 99 * DAY)
    assert vault.delete_point(FUTURE, now=NOW) == NOW + 14 * DAY
    vault.set_rules(VaultRules(immutability=Immutability.UNLOCKED))
    assert vault.delete_point(FUTURE, now=NOW + 13 * DAY) == NOW + 14 * DAY
    assert vault.delete_point(FUTURE, now=NOW + 14 * DAY) is None


def test_who_is_overtaken_checks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between a check and its write somebody else makes a rule final: the write is refused."""
    vault = new_vault(tmp_path / "vault")
    vault.set_rules(VaultRules())
    other = reopen(tmp_path / "vault")
    put, overtaken = rules.control.put, []

    def first_the_other(*arguments: object) -> None:
        if not overtaken:
            overtaken.append(True)
            other.set_rules(VaultRules(SoftDelete.ALWAYS_ON))
        put(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(rules.control, "put", first_the_other)
    with pytest.raises(VaultSettingIrreversible):
        vault.set_rules(VaultRules(SoftDelete.DISABLED))
    assert vault.rules() == other.rules() == VaultRules(SoftDelete.ALWAYS_ON)


def test_damaged_rules_allow_nothing_and_are_told(tmp_path: Path) -> None:
    vault = new_vault(tmp_path / "vault")
    with_point(vault, "1", None)
    vault.set_rules(VaultRules())
    (file,) = (tmp_path / "vault" / "rules").iterdir()
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.chmod(0o600)
    file.write_bytes(content)
    with pytest.raises(VaultDataCorrupt):
        vault.delete_point("1", now=NOW)
    assert len(vault.manifests()) == 1
    assert any(damage.object.startswith("rules/") for damage in vault.verify().damages)
    assert any("rules/" in left for left in vault.repair(now=datetime.now(UTC)).left)
