"""Routes of what is protected: items, their containers, and VMs that could be."""

from collections.abc import Sequence

from fastapi import APIRouter, Query
from fastapi.responses import Response

from overwinter.api import filters, paths, times
from overwinter.api.context import Api, ItemHere, TheApi, VaultHere
from overwinter.api.documents import Document
from overwinter.api.ids import find, last_name, vm_of_item_name
from overwinter.api.requests import BackupRequest, BackupStatusRequest, ItemChange, ItemRequest
from overwinter.api.shapes_items import backup_status_shape, container_shape, item_shape, protectable_shape
from overwinter.doctor.diagnosis import Diagnosis, diagnose
from overwinter.doctor.diagnosis_record import diagnosis_of
from overwinter.model.errors import ProtectedVmNotFound, RequestError
from overwinter.model.job import Job, JobError, JobOperation
from overwinter.model.names import DEFAULT_RESOURCE_GROUP
from overwinter.model.protection import ProtectedItem, Vault

router = APIRouter()

Shape = dict[str, object]


@router.get(paths.VAULT + "/backupProtectableItems")
def list_protectable(vault: VaultHere, api: TheApi, filter_text: str = Query("", alias="$filter")) -> Shape:
    """The VMs that are actively protected in no vault, and that this vault does not know."""
    taken = {item.vm_uuid for item in api.service.items() if item.is_active or item.vault_id == vault.id}
    rows = [protectable_shape(api.ids, vault, vm) for vm in api.service.machines() if vm.uuid not in taken]
    return api.rows(filters.select(filter_text, rows))


@router.get(paths.VAULT + "/backupProtectionContainers")
def list_containers(vault: VaultHere, api: TheApi, filter_text: str = Query("", alias="$filter")) -> Shape:
    """The containers of the protected items."""
    rows = [container_shape(api.ids, vault, item) for item in api.service.items(vault)]
    return api.rows(filters.select(filter_text, rows, {"status": filters.same_as("registrationStatus")}))


@router.get(paths.VAULT + "/backupProtectedItems")
def list_items(vault: VaultHere, api: TheApi, filter_text: str = Query("", alias="$filter")) -> Shape:
    """The protected items of a vault."""
    jobs = api.service.jobs(vault)
    policies = {policy.id: policy for policy in api.service.policies(vault)}
    rows = [
        item_shape(
            api.ids,
            vault,
            item,
            policies.get(item.policy_id),
            _problems(item, jobs, api),
            api.now,
            api.audience,
        )
        for item in api.service.items(vault)
    ]
    return api.rows(filters.select(filter_text, rows, {"itemType": filters.same_as("workloadType")}))


@router.get(paths.ITEM)
def get_item(item: ItemHere, vault: VaultHere, api: TheApi) -> Shape:
    """One protected item."""
    return shape_of(api, vault, item)


@router.put(paths.ITEM)
def put_item(item: str, vault: VaultHere, document: Document, api: TheApi) -> Response:
    """Protect a VM, change its policy or disks, stop or suspend its protection, have deleted data back."""
    asked = ItemRequest.read(document)
    vm_name = vm_of_item_name(item)
    if asked.change is not ItemChange.PROTECT:
        found = find(api.service.items(vault), vm_name, lambda row: row.vm_name, "protected item")
        if asked.change is ItemChange.UNDELETE:
            job = api.service.protection.undelete(found)
        else:
            job = api.service.protection.stop(found, expire=asked.change is ItemChange.SUSPEND)
        return api.accepted(api.ids.item(vault, found), job)
    source = asked.properties.source_resource_id
    # The id keeps the VM's name as it is written; the name in the address may be in lower case.
    wanted = last_name(source, "virtualMachines") if source else vm_name
    if wanted.casefold() != vm_name.casefold():
        raise RequestError(f"The address names the VM {vm_name!r}, but sourceResourceId names {wanted!r}.")
    policy = last_name(asked.properties.policy_id or "", "backupPolicies")
    machine = find(api.service.machines(), wanted, lambda vm: vm.name, "virtual machine")
    known = find(api.service.policies(vault), policy, lambda row: row.name, "policy")
    job = api.service.protection.protect(vault, machine, known.name, asked.disks)
    return api.accepted(api.ids.item_of_machine(vault, DEFAULT_RESOURCE_GROUP, machine.name), job)


@router.delete(paths.ITEM)
def delete_item(item: ItemHere, vault: VaultHere, api: TheApi) -> Response:
    """Stop protection and delete the recovery points; the vault's rules say for how long they are kept."""
    return api.accepted(api.ids.item(vault, item), api.service.protection.delete_data(item))


@router.post(paths.ITEM + "/backup")
def start_backup(item: ItemHere, vault: VaultHere, document: Document, api: TheApi) -> Response:
    """Start a backup now."""
    asked = BackupRequest.read(document).properties.expires
    expires = None if asked is None else times.parse(asked)
    if expires is not None and expires <= api.now:
        raise RequestError("recoveryPointExpiryTimeInUTC lies in the past.")
    job = api.service.backup(item, expires=expires)
    return api.accepted(api.ids.item(vault, item), job)


@router.post(paths.SUBSCRIPTION + "/providers/Microsoft.RecoveryServices/locations/{location}/backupStatus")
def backup_status(document: Document, api: TheApi) -> Shape:
    """Whether a VM is protected, and in which vault."""
    name = last_name(BackupStatusRequest.read(document).resource_id, "virtualMachines")
    vaults = {vault.id: vault for vault in api.service.vaults.every()}
    for item in sorted(api.service.items(), key=lambda each: not each.is_active):
        if item.vm_name.casefold() == name.casefold():
            vault = vaults[item.vault_id]
            return backup_status_shape(api.ids, (vault, item, api.policy_of(vault, item)))
    return backup_status_shape(api.ids, None)


def shape_of(api: Api, vault: Vault, item: ProtectedItem) -> Shape:
    """One item with everything that belongs to it."""
    return item_shape(
        api.ids,
        vault,
        item,
        api.policy_of(vault, item),
        _problems(item, api.service.jobs(vault), api),
        api.now,
        api.audience,
    )


def _problems(item: ProtectedItem, jobs: Sequence[Job], api: Api) -> list[tuple[JobError, Diagnosis | None]]:
    """What went wrong in the item's last backup that ended, or that its VM is gone; each with its causes."""
    edition = api.service.profile.edition
    if item.is_active and item.missing_since is not None:
        message = f"{item.vm_name} does not exist any more; its recovery points are kept."
        gone = JobError(ProtectedVmNotFound.code, message)
        return [(gone, diagnose(gone, edition, None))]
    ended = [
        job
        for job in jobs
        if job.item_id == item.id and job.operation is JobOperation.BACKUP and job.status.is_final
    ]
    last = max(ended, key=lambda job: job.started, default=None)
    if last is None:
        return []
    return [(problem, diagnosis_of(last, problem, edition)) for problem in last.errors]
