"""The life of protection as a table: which request leads from which state to which, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from overwinter.catalog import items, points, vaults
from overwinter.jobs import expiry
from overwinter.model.disk_selection import DiskSelection
from overwinter.model.errors import (
    DatasourceNotPresent,
    DiskSelectionInvalid,
    ItemSoftDeleted,
    JobCancelled,
    NewestPointStays,
    NotFound,
    ProtectedInAnotherVault,
    RequestError,
    VaultImmutable,
    VaultNotEmpty,
    VaultPointLocked,
    VaultSettingIrreversible,
)
from overwinter.model.job import JobOperation, JobStatus
from overwinter.model.protection import ProtectedItem, ProtectionState, Vault
from overwinter.model.vault_rules import Immutability, SoftDelete, VaultRules
from overwinter.model.vm import VirtualMachine
from tests.jobs.desk import DAY, Desk, make_machine

pytestmark = pytest.mark.libvirt

PENDING, PROTECTED = ProtectionState.PENDING, ProtectionState.PROTECTED
STOPPED, SUSPENDED = ProtectionState.STOPPED, ProtectionState.SUSPENDED

#: What a soft-deleted item is called here.
DELETED = "deleted"


@pytest.fixture
def vault(desk: Desk) -> Vault:
    return desk.vault()


@pytest.fixture
def machine() -> VirtualMachine:
    return make_machine()


def in_state(desk: Desk, vault: Vault, machine: VirtualMachine, state: str) -> ProtectedItem:
    """An item in a state, with two points unless it waits for its first backup."""
    item = desk.protect(vault, machine)
    if state == PENDING:
        return item
    for _ in range(2):
        desk.backup(item, desk.clock.now + 30 * DAY)
    if state == STOPPED:
        desk.completed(desk.service.protection.stop(item))
    elif state == SUSPENDED:
        desk.completed(desk.service.protection.stop(item, expire=True))
    elif state == DELETED:
        desk.completed(desk.service.protection.delete_data(item))
    return desk.item(vault, machine)


def state_of(item: ProtectedItem) -> str:
    return DELETED if item.is_deleted else item.state


def request(desk: Desk, vault: Vault, machine: VirtualMachine, name: str) -> None:
    """Make one of the requests of the table."""
    item = desk.item(vault, machine)
    protection = desk.service.protection
    if name == "protect":
        job = protection.protect(vault, machine, "EnhancedPolicy")
    elif name == "stop":
        job = protection.stop(item)
    elif name == "suspend":
        job = protection.stop(item, expire=True)
    elif name == "delete":
        job = protection.delete_data(item)
    else:
        assert name == "undelete"
        job = protection.undelete(item)
    desk.completed(job)


TABLE = {
    #            protect          stop             suspend          delete           undelete
    PENDING: (PENDING, STOPPED, SUSPENDED, None, RequestError),
    PROTECTED: (PROTECTED, STOPPED, SUSPENDED, DELETED, RequestError),
    STOPPED: (PROTECTED, STOPPED, SUSPENDED, DELETED, RequestError),
    SUSPENDED: (PROTECTED, STOPPED, SUSPENDED, DELETED, RequestError),
    DELETED: (ItemSoftDeleted, ItemSoftDeleted, ItemSoftDeleted, ItemSoftDeleted, STOPPED),
}
REQUESTS = ("protect", "stop", "suspend", "delete", "undelete")


@pytest.mark.parametrize("state", TABLE)
@pytest.mark.parametrize("number", range(len(REQUESTS)), ids=REQUESTS)
def test_table(desk: Desk, vault: Vault, machine: VirtualMachine, state: str, number: int) -> None:
    before = in_state(desk, vault, machine, state)
    assert state_of(before) == state
    expected = TABLE[state][number]
    if isinstance(expected, type):
        with pytest.raises(expected):
            request(desk, vault, machine, REQUESTS[number])
        assert desk.item(vault, machine) == before
        return
    request(desk, vault, machine, REQUESTS[number])
    if expected is None:
        with pytest.raises(NotFound):  # an item without data goes at once
            desk.item(vault, machine)
        return
    after = desk.item(vault, machine)
    assert state_of(after) == expected
    assert len(desk.service.recovery_points(after)) == (0 if state == PENDING else 2)
    policy = desk.service.policy_of(after).name
    assert policy == ("EnhancedPolicy" if REQUESTS[number] == "protect" else "DefaultPolicy")


@pytest.mark.parametrize("state", [STOPPED, SUSPENDED, DELETED])
def test_no_backup_unless_protected(desk: Desk, vault: Vault, machine: VirtualMachine, state: str) -> None:
    item = in_state(desk, vault, machine, state)
    with pytest.raises(DatasourceNotPresent):
        desk.service.backup(item, expires=None)


def test_jobs_tell_what_they_did(desk: Desk, vault: Vault, machine: VirtualMachine) -> None:
    item = in_state(desk, vault, machine, PROTECTED)
    configured = desk.newest_job(item.id)
    assert (configured.operation, configured.properties) == (
        JobOperation.CONFIGURE_BACKUP,
        {"policy": "DefaultPolicy"},
    )
    for operation, start in (
        (JobOperation.DELETE_BACKUP_DATA, desk.service.protection.delete_data),
        (JobOperation.UNDELETE, desk.service.protection.undelete),
    ):
        job = desk.completed(start(desk.item(vault, machine)))
        assert (job.operation, job.tasks, job.properties["recovery_points"]) == (operation, (), 2)


def test_deleted_data_waits_for_its_days_and_goes(desk: Desk, vault: Vault, machine: VirtualMachine) -> None:
    desk.service.vaults.set_rules(vault.name, soft_delete_days=20)
    item = in_state(desk, vault, machine, DELETED)
    assert item.deleted_until == desk.clock.now + 20 * DAY
    point = desk.service.recovery_points(item)[0]
    with pytest.raises(ItemSoftDeleted, match="undelete"):
        desk.service.restore_disks(point, directory=Path("/nowhere"))
    with pytest.raises(VaultNotEmpty, match=r"existing resources within the vault.*deleted, kept until"):
        desk.service.vaults.delete(vault.name)
    desk.days_pass(19.9)
    assert len(desk.store(vault).deleted_points()) == 2
    desk.days_pass(0.2)
    with pytest.raises(NotFound):
        desk.item(vault, machine)
    assert desk.store(vault).deleted_points() == []
    assert desk.store(vault).stats().stored_bytes < 4096, "its space is free again"
    desk.service.vaults.delete(vault.name)


def test_too_late_to_have_it_back(desk: Desk, vault: Vault, machine: VirtualMachine) -> None:
    item = in_state(desk, vault, machine, DELETED)
    desk.clock.now += 14 * DAY
    with pytest.raises(RequestError, match="only"):
        desk.service.protection.undelete(item)


def test_stopped_keeps_everything_suspended_keeps_the_newest(desk: Desk) -> None:
    for state, left in ((STOPPED, 2), (SUSPENDED, 1)):
        vault, machine = desk.vault(), make_machine()
        item = in_state(desk, vault, machine, state)
        newest = desk.service.recovery_points(item)[-1]
        desk.days_pass(400)
        kept = desk.service.recovery_points(item)
        assert len(kept) == len(desk.store(vault).manifests()) == left, state
        assert kept[-1] == newest
        assert state_of(desk.item(vault, machine)) == state


def test_one_active_vault(desk: Desk, machine: VirtualMachine) -> None:
    first, second = desk.vault(), desk.vault()
    item = in_state(desk, first, machine, PROTECTED)
    with pytest.raises(ProtectedInAnotherVault, match="unprotect"):
        desk.service.protect(second, machine, "DefaultPolicy")
    with pytest.raises(NotFound):
        desk.item(second, machine)
    desk.completed(desk.service.protection.stop(item))
    moved = desk.protect(second, machine)
    desk.backup(moved, None)
    with pytest.raises(ProtectedInAnotherVault):
        desk.service.protect(first, machine, "DefaultPolicy")
    # The old data can go without touching what is protected now.
    desk.completed(desk.service.protection.delete_data(desk.item(first, machine)))
    assert desk.item(second, machine).is_active
    assert len(desk.service.recovery_points(moved)) == 1


def test_a_deleted_point_comes_back_or_goes(desk: Desk, vault: Vault, machine: VirtualMachine) -> None:
    item = in_state(desk, vault, machine, PROTECTED)
    desk.backup(item, desk.clock.now + 30 * DAY)
    first, second, newest = desk.service.recovery_points(item)
    protection = desk.service.protection
    with pytest.raises(NewestPointStays):
        protection.delete_point(item, newest.id)
    for point in (first, second):
        deleted = protection.delete_point(item, point.id)
        assert deleted is not None and deleted.deleted_until == desk.clock.now + 14 * DAY
    with pytest.raises(ItemSoftDeleted, match="already"):
        protection.delete_point(item, first.id)
    with pytest.raises(ItemSoftDeleted, match="point undelete"):
        desk.service.restore_disks(desk.service.recovery_point(item, first.id), directory=Path("/nowhere"))
    desk.days_pass(13)
    assert protection.undelete_point(item, first.id) == replace(first, expires=first.expires)
    with pytest.raises(RequestError, match="not deleted"):
        protection.undelete_point(item, first.id)
    desk.days_pass(1)
    assert [each.id for each in desk.service.recovery_points(item)] == [first.id, newest.id]
    assert {each.point_id for each in desk.store(vault).manifests()} == {first.manifest, newest.manifest}


def test_an_expired_point_that_is_had_back_stays_a_while(
    desk: Desk, vault: Vault, machine: VirtualMachine
) -> None:
    item = in_state(desk, vault, machine, PROTECTED)
    first = desk.service.recovery_points(item)[0]
    desk.days_pass(29)
    desk.service.protection.delete_point(item, first.id)
    desk.days_pass(5)
    back = desk.service.protection.undelete_point(item, first.id)
    assert back.expires == desk.clock.now + 14 * DAY
    desk.days_pass(13)
    assert back in desk.service.recovery_points(item)
    desk.days_pass(2)
    assert back not in desk.service.recovery_points(item)


def test_what_was_deleted_alone_stays_so(desk: Desk, vault: Vault, machine: VirtualMachine) -> None:
    item = in_state(desk, vault, machine, PROTECTED)
    first = desk.service.recovery_points(item)[0]
    desk.service.protection.delete_point(item, first.id)
    desk.days_pass(1)
    desk.completed(desk.service.protection.delete_data(item))
    desk.completed(desk.service.protection.undelete(desk.item(vault, machine)))
    deleted = [point.deleted_until is not None for point in desk.service.recovery_points(item)]
    assert deleted == [True, False]
    assert [each.manifest.point_id for each in desk.store(vault).deleted_points()] == [first.manifest]


def test_without_soft_delete_data_goes_at_once(desk: Desk, vault: Vault, machine: VirtualMachine) -> None:
    desk.service.vaults.set_rules(vault.name, soft_delete=SoftDelete.DISABLED)
    item = in_state(desk, vault, machine, PROTECTED)
    first = desk.service.recovery_points(item)[0]
    assert desk.service.protection.delete_point(item, first.id) is None
    assert len(desk.store(vault).manifests()) == 1
    desk.completed(desk.service.protection.delete_data(item))
    with pytest.raises(NotFound):
        desk.item(vault, machine)
    assert desk.store(vault).manifests() == desk.store(vault).deleted_points() == []


def test_days_count_from_the_deletion(desk: Desk, vault: Vault, machine: VirtualMachine) -> None:
    """Other rules later change nothing about what is deleted already (reference articles)."""
    item = in_state(desk, vault, machine, DELETED)
    desk.service.vaults.set_rules(vault.name, soft_delete=SoftDelete.DISABLED, soft_delete_days=180)
    assert desk.item(vault, machine).deleted_until == item.deleted_until
    desk.days_pass(13.9)
    assert len(desk.store(vault).deleted_points()) == 2


@pytest.mark.parametrize("immutability", [Immutability.UNLOCKED, Immutability.LOCKED])
def test_immutable(desk: Desk, vault: Vault, machine: VirtualMachine, immutability: Immutability) -> None:
    desk.service.vaults.set_rules(vault.name, immutability=immutability)
    desk.policy(vault, "Short", 7)
    item = in_state(desk, vault, machine, PROTECTED)
    first = desk.service.recovery_points(item)[0]
    for refused in (
        lambda: desk.service.protection.delete_data(item),
        lambda: desk.service.protection.delete_point(item, first.id),
        lambda: desk.service.protect(vault, machine, "Short"),
    ):
        with pytest.raises(VaultImmutable):
            refused()
    with pytest.raises(VaultImmutable):
        desk.policy(vault, "DefaultPolicy", 29)
    desk.policy(vault, "DefaultPolicy", 60)  # longer is possible
    with pytest.raises((VaultImmutable, VaultPointLocked)):
        desk.store(vault).delete_point(str(first.manifest), now=desk.clock.now)
    if immutability is Immutability.LOCKED:
        assert desk.store(vault).locked_points()[str(first.manifest)] == first.expires
        with pytest.raises(VaultSettingIrreversible):
            desk.service.vaults.set_rules(vault.name, immutability=Immutability.UNLOCKED)
    else:
        desk.service.vaults.set_rules(vault.name, immutability=Immutability.DISABLED)
        desk.service.vaults.set_rules(vault.name, immutability=immutability)
    # What has expired goes, as always, and what has expired by itself can be deleted.
    desk.days_pass(31)
    assert first not in desk.service.recovery_points(item)
    desk.completed(desk.service.protection.delete_data(item))
    assert desk.item(vault, machine).is_deleted


def test_points_of_before_are_locked_too(desk: Desk, vault: Vault, machine: VirtualMachine) -> None:
    item = in_state(desk, vault, machine, PROTECTED)
    desk.service.vaults.set_rules(vault.name, immutability=Immutability.LOCKED)
    desk.look()
    expected = {point.manifest: point.expires for point in desk.service.recovery_points(item)}
    assert desk.store(vault).locked_points() == expected
    # Retention that grew makes locks longer, within a day.
    with desk.runtime.catalog.transaction() as tx:
        longer = [
            replace(point, expires=point.expires + 9 * DAY)
            for point in points.recovery_points_of(tx, item.id)
            if point.expires is not None
        ]
        for point in longer:
            points.put_recovery_point(tx, point)
    desk.days_pass(1)
    assert desk.store(vault).locked_points() == {point.manifest: point.expires for point in longer}


def test_always_on_stays_on(desk: Desk, vault: Vault) -> None:
    rules = desk.service.vaults.set_rules(vault.name, soft_delete=SoftDelete.ALWAYS_ON).rules
    for off in (SoftDelete.DISABLED, SoftDelete.ENABLED):
        with pytest.raises(VaultSettingIrreversible):
            desk.service.vaults.set_rules(vault.name, soft_delete=off)
    for days in (13, 181):
        with pytest.raises(RequestError):
            desk.service.vaults.set_rules(vault.name, soft_delete_days=days)
    assert desk.service.vaults.set_rules(vault.name, soft_delete_days=180).rules == replace(
        rules, soft_delete_days=180
    )
    assert desk.store(vault).rules() == desk.service.vaults.get(vault.name).rules


def test_a_thief_with_the_catalog_deletes_nothing(desk: Desk) -> None:
    """Whatever somebody writes into the catalog, our own calls keep what the vault wants kept."""
    for immutability in (Immutability.DISABLED, Immutability.LOCKED):
        vault, other = desk.vault(), make_machine()
        desk.service.vaults.set_rules(vault.name, soft_delete=SoftDelete.ALWAYS_ON, immutability=immutability)
        kept, gone = desk.protect(vault, other), make_machine()
        for _ in range(3):
            desk.backup(kept, desk.clock.now + 30 * DAY)
        softly = desk.protect(vault, gone)
        if immutability is Immutability.DISABLED:
            desk.backup(softly, desk.clock.now + 30 * DAY)
            desk.completed(desk.service.protection.delete_data(softly))
        stored = {each.point_id for each in desk.store(vault).manifests()}
        deleted = {each.manifest.point_id for each in desk.store(vault).deleted_points()}

        past = desk.clock.now - DAY
        with desk.runtime.catalog.transaction() as tx:
            weak = VaultRules(SoftDelete.DISABLED, 14, Immutability.DISABLED)
            vaults.set_rules(tx, vault.id, weak)
            for point in points.recovery_points_in(tx, vault.id):
                points.put_recovery_point(tx, replace(point, expires=past, deleted_until=None))
            for item in items.every(tx, vault.id):
                if item.is_deleted:
                    items.put(tx, replace(item, deleted_until=past))
        desk.upkeep.look()
        job = desk.service.protection.delete_data(desk.item(vault, other))
        ended = desk.service.job(job.id)
        if immutability is Immutability.LOCKED:
            assert (ended.status, ended.errors[0].code) == (JobStatus.FAILED, "VaultPointLocked")
        else:
            assert desk.item(vault, other).is_deleted, "and the catalog says that it is not gone"
        desk.service.vaults.clean_up(vault.name)
        with pytest.raises(VaultSettingIrreversible):
            desk.service.vaults.set_rules(vault.name, soft_delete=SoftDelete.DISABLED)

        store = desk.store(vault)
        still = {each.point_id for each in store.manifests()}
        marked = {each.manifest.point_id: each.until for each in store.deleted_points()}
        assert still | marked.keys() == stored | deleted, "everything is there"
        assert min(marked.values(), default=desk.clock.now + 14 * DAY) >= desk.clock.now + 13.9 * DAY
        if immutability is Immutability.LOCKED:
            assert still == stored


def test_an_attached_vault_brings_its_rules_and_its_deleted_points(
    desk: Desk, vault: Vault, machine: VirtualMachine
) -> None:
    desk.service.vaults.set_rules(vault.name, soft_delete=SoftDelete.ALWAYS_ON, soft_delete_days=33)
    item = in_state(desk, vault, machine, DELETED)
    desk.service.vaults.detach(vault.name)
    again, taken = desk.service.vaults.attach(vault.name, "default", vault.url, vault.key_reference)
    assert again.rules == VaultRules(SoftDelete.ALWAYS_ON, 33)
    assert (taken.points, taken.vms) == (2, 1)
    found = desk.item(again, machine)
    assert found.deleted_until == item.deleted_until
    desk.completed(desk.service.protection.undelete(found))
    first = desk.service.recovery_points(desk.item(again, machine))[0]
    desk.service.protection.delete_point(desk.item(again, machine), first.id)
    desk.service.vaults.detach(vault.name)
    again, _ = desk.service.vaults.attach(vault.name, "default", vault.url, vault.key_reference)
    found = desk.item(again, machine)
    deleted = [point.deleted_until is not None for point in desk.service.recovery_points(found)]
    assert (found.is_deleted, deleted) == (False, [True, False])


def test_disks_are_chosen(desk: Desk, vault: Vault, machine: VirtualMachine) -> None:
    for wrong in (DiskSelection((-1,)), DiskSelection((7,)), DiskSelection((-1,), included=True)):
        with pytest.raises(DiskSelectionInvalid):
            desk.service.protect(vault, machine, "DefaultPolicy", wrong)
    desk.completed(desk.service.protect(vault, machine, "DefaultPolicy", DiskSelection((1,))))
    desk.completed(desk.service.protect(vault, machine, "EnhancedPolicy"))
    item = desk.item(vault, machine)
    assert item.disks == DiskSelection((1,)), "a change of the policy leaves them"
    assert [disk.target for disk in item.disks.applied(machine).disks] == ["vda", "vdb"]
    only = DiskSelection((1,), included=True).applied(machine)
    assert [disk.target for disk in only.disks] == ["vda", "vdc"]
    assert [target for target, _ in only.skipped_disks] == ["vdb"]


def test_a_vm_that_is_gone(desk: Desk, vault: Vault, machine: VirtualMachine) -> None:
    item = in_state(desk, vault, machine, PROTECTED)
    with pytest.raises(NotFound) as refused:
        desk.service.backup(item, expires=None)
    assert refused.value.code == "BCMV2VMNotFound"
    assert desk.item(vault, machine).missing_since == desk.clock.now
    since = desk.clock.now
    desk.days_pass(1)
    assert desk.item(vault, machine).missing_since == since


def test_freeing_space_can_be_cancelled_in_the_middle(desk: Desk, vault: Vault) -> None:
    asked: list[bool] = []

    def check() -> None:
        asked.append(True)
        if len(asked) == 2:  # the first is before the collection
            raise JobCancelled("enough")

    with pytest.raises(JobCancelled):
        expiry.run(desk.runtime, vault, desk.store(vault), check, collect=True)
