"""What a caller may ask of whole vaults: make, attach, forget, verify, repair, copy, free space, measure.

As in ``service``: what takes long becomes a job; what is known to be impossible is raised at once.
"""

import re
from pathlib import Path
from uuid import UUID, uuid4

from overwinter.catalog import items, points, policies, vaults
from overwinter.catalog import jobs as job_table
from overwinter.catalog.database import Transaction
from overwinter.jobs import locking, vault_work
from overwinter.jobs.engine import JobEngine
from overwinter.jobs.runtime import Runtime
from overwinter.jobs.vault_points import TakenIn, take_in
from overwinter.model import names
from overwinter.model.default_policies import default_policies
from overwinter.model.errors import (
    AlreadyExists,
    BackupOperationInProgress,
    NotFound,
    RequestError,
    VaultDataCorrupt,
    VaultNotEmpty,
)
from overwinter.model.job import Job, JobOperation, JobStatus, Task
from overwinter.model.protection import KeyKind, ProtectedItem, Vault
from overwinter.model.vault_rules import Immutability, SoftDelete, VaultRules
from overwinter.vault import KeySource, VaultStats, create_vault, free_bytes, key_at, vault_at

#: Vault names as the reference articles allow them: 2–50 characters, a letter first.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,49}")


class VaultAdmin:
    """Part of the face of the jobs room. Safe to call from many threads."""

    def __init__(self, runtime: Runtime, engine: JobEngine) -> None:
        self._runtime = runtime
        self._engine = engine

    # --- which vaults there are -----------------------------------------------------------------------------

    def every(self) -> list[Vault]:
        """All vaults."""
        with self._runtime.catalog.transaction() as tx:
            return vaults.every(tx)

    def get(self, name: str) -> Vault:
        """One vault by name. Raises NotFound."""
        with self._runtime.catalog.transaction() as tx:
            return vaults.get(tx, name)

    def create(
        self, name: str, resource_group: str, url: str | None = None, key_reference: str | None = None
    ) -> Vault:
        """Make a vault, or return the one of that name.

        Without ``url`` it lies in the service's directory, without ``key_reference`` it gets a new key file
        there. Raises RequestError, AlreadyExists when something lies at ``url``, and the vault room's errors.
        """
        _check_name(name)
        with self._runtime.catalog.transaction() as tx:
            found = vaults.find(tx, name)
        if found is not None:
            _check_same(found, url, key_reference)
            return found
        vault_id = uuid4()
        url = url or (self._directory("vaults") / f"{name.lower()}-{vault_id.hex[:8]}").as_uri()
        if key_reference is None:
            key_reference = str(self._directory("keys") / f"{name.lower()}-{vault_id.hex[:8]}.key")
            key = KeySource.new_key_file(key_reference)
        else:
            key = key_at(key_reference)
        now = self._runtime.clock()
        vault = self._vault(vault_id, name, resource_group, url, key.kind, key_reference)
        store = create_vault(url, key, vault_id=vault_id, label=f"service, vault {name}", created=now)
        store.set_rules(vault.rules)
        store.close()
        self._enter(vault)
        return vault

    def attach(self, name: str, resource_group: str, url: str, key_reference: str) -> tuple[Vault, TakenIn]:
        """Take in a vault that exists at ``url``, with every recovery point in it. Nothing is written to it.

        Once more for an attached vault takes in what was added since. A damaged vault is attached all the
        same, so that it can be repaired. Raises RequestError, AlreadyExists when the name means another vault
        or the vault has another name or place here, VaultKeyWrong, and VaultError when there is no vault.
        """
        _check_name(name)
        key = key_at(key_reference)
        vault_id = vault_at(url, key)
        with self._runtime.catalog.transaction() as tx:
            vault = _attached_before(tx, vault_id, name, url)
        if vault is None:
            vault = self._vault(vault_id, name, resource_group, url, key.kind, key_reference)
            self._enter(vault)
        try:
            store = self._runtime.vaults.open(vault)
            if (rules := store.rules()) is not None:
                with self._runtime.catalog.transaction() as tx:
                    vault = vaults.set_rules(tx, vault.id, rules)
            return vault, take_in(self._runtime, vault, store)
        except VaultDataCorrupt as error:
            return vault, TakenIn(problems=(error.message,))

    def use_key(self, name: str, key_reference: str) -> Vault:
        """From now on open a vault with another secret. Raises VaultKeyWrong when that does not open it."""
        vault = self.get(name)
        self._runtime.vaults.open_new(vault.url, key_reference).close()
        with self._runtime.catalog.transaction() as tx:
            return vaults.set_key(tx, vault.id, key_at(key_reference).kind, key_reference)

    def upgrade_stack(self, name: str) -> Vault:
        """Bring a vault to stack V2, for good. Raises NotFound."""
        with self._runtime.catalog.transaction() as tx:
            return vaults.upgrade_stack(tx, vaults.get(tx, name).id)

    def set_rules(
        self,
        name: str,
        *,
        soft_delete: SoftDelete | None = None,
        soft_delete_days: int | None = None,
        immutability: Immutability | None = None,
    ) -> Vault:
        """Change what a vault forbids; null leaves a rule as it is. The vault itself decides and keeps it.

        Raises VaultSettingIrreversible, RequestError, NotFound.
        """
        vault = self.get(name)
        store = self._runtime.vaults.open(vault)
        old = store.rules() or vault.rules
        new = VaultRules(
            soft_delete=soft_delete or old.soft_delete,
            soft_delete_days=old.soft_delete_days if soft_delete_days is None else soft_delete_days,
            immutability=immutability or old.immutability,
        )
        store.set_rules(new)
        with self._runtime.catalog.transaction() as tx:
            return vaults.set_rules(tx, vault.id, new)

    def detach(self, name: str) -> None:
        """Forget a vault; its content and its key stay as they are, to be attached again.

        Raises VaultNotEmpty while a VM is protected in it, BackupOperationInProgress while a job runs,
        ScopeLocked.
        """
        with self._runtime.catalog.transaction() as tx:
            vault = vaults.get(tx, name)
            _refuse_busy(tx, vault)
            locking.refuse_for_group(tx, vault.resource_group, f"Vault {vault.name}")
            held = items.every(tx, vault.id)
            active = [item.vm_name for item in held if item.is_active]
            if active:
                raise VaultNotEmpty(
                    f"Vault {vault.name} protects {', '.join(active)}. Stop that first: "
                    "overwinter unprotect VM --keep-data"
                )
            for item in held:
                items.delete(tx, item.id)
            vaults.delete(tx, vault.id)
        self._runtime.vaults.forget(vault.id)

    def delete(self, name: str) -> None:
        """Remove an empty vault from the catalog; its (empty) store and its key stay on disk.

        Raises VaultNotEmpty, NotFound, BackupOperationInProgress, ScopeLocked.
        """
        with self._runtime.catalog.transaction() as tx:
            vault = vaults.get(tx, name)
            _refuse_busy(tx, vault)
            locking.refuse_for_group(tx, vault.resource_group, f"Vault {vault.name}")
            held = items.every(tx, vault.id)
            if held:
                raise VaultNotEmpty(
                    f"Vault {vault.name} cannot be deleted as there are existing resources within the vault: "
                    f"{', '.join(_described(item) for item in held)}. Delete their backup data first: "
                    "overwinter unprotect VM --delete-data. Or keep it and forget the vault: "
                    f"overwinter vault detach {vault.name}"
                )
            vaults.delete(tx, vault.id)
        self._runtime.vaults.forget(vault.id)

    # --- work on a vault ------------------------------------------------------------------------------------

    def verify(self, name: str, *, read_percent: float, point_id: str | None) -> Job:
        """Start a verification; ``read_percent`` of the data are read and compared with their hashes.

        ``point_id``: only what that recovery point needs. Raises NotFound, RequestError.
        """
        if not 0 <= read_percent <= 100:
            raise RequestError(f"{read_percent:g} percent cannot be read: 0 to 100 can.")
        vault = self.get(name)
        manifest = None if point_id is None else self._manifests(vault, [point_id])[0]
        with self._runtime.catalog.transaction() as tx:
            earlier = job_table.parameters_of(tx, vault.id, JobOperation.VERIFY)
        # Counted among those of one percentage: only these walk round all the data together.
        turn = sum(each["read_percent"] == read_percent for each in earlier)
        parameters: dict[str, object] = {
            "read_percent": read_percent,
            "turn": turn,
            "point": point_id,
            "manifest": manifest,
        }
        return self._start(vault, JobOperation.VERIFY, parameters)

    def repair(self, name: str, *, remove_lost: bool) -> Job:
        """Start a repair; ``remove_lost`` removes recovery points that cannot be restored."""
        return self._start(self.get(name), JobOperation.REPAIR, {"remove_lost": remove_lost})

    def copy(self, name: str, target: str, point_ids: list[str] | None) -> Job:
        """Start a copy of recovery points, all or those named, into another vault.

        Raises NotFound, RequestError for a vault onto itself.
        """
        source, goal = self.get(name), self.get(target)
        if source.id == goal.id:
            raise RequestError(f"{source.name} cannot be copied onto itself.")
        manifests = None if point_ids is None else ",".join(self._manifests(source, point_ids))
        parameters: dict[str, object] = {
            "target": str(goal.id),
            "target_name": goal.name,
            "points": None if point_ids is None else ",".join(point_ids),
            "manifests": manifests,
        }
        return self._start(source, JobOperation.COPY, parameters)

    def clean_up(self, name: str, *, by_itself: bool = False) -> Job:
        """Start a clean-up: expired and deleted points go, and what no recovery point needs is removed.

        ``by_itself``: nobody asked for it, so space is freed only when that is worthwhile.
        """
        parameters: dict[str, object] = {vault_work.BY_ITSELF: True} if by_itself else {}
        return self._start(self.get(name), JobOperation.CLEAN_UP, parameters)

    def stats(self, name: str) -> tuple[VaultStats, int | None]:
        """What a vault holds and costs, and the bytes left for it, null where there is no known bound.

        Takes seconds for large vaults.
        """
        vault = self.get(name)
        return self._runtime.vaults.open(vault).stats(), free_bytes(vault.url)

    def recovery_points(self, name: str) -> dict[str, str]:
        """Ids of the recovery points of a vault, by their names in the vault."""
        with self._runtime.catalog.transaction() as tx:
            return points.ids_by_manifest(tx, vaults.get(tx, name).id)

    # --- parts ----------------------------------------------------------------------------------------------

    def _directory(self, part: str) -> Path:
        directory = self._runtime.settings.directory / part
        directory.mkdir(mode=0o700, exist_ok=True)
        return directory

    def _vault(
        self, vault_id: UUID, name: str, group: str, url: str, kind: KeyKind, key_reference: str
    ) -> Vault:
        return Vault(
            id=vault_id,
            name=name,
            resource_group=group,
            location=names.LOCATION,
            url=url,
            key_kind=kind,
            key_reference=key_reference,
            created=self._runtime.clock(),
            stack=self._runtime.settings.profile.new_stack,
        )

    def _enter(self, vault: Vault) -> None:
        with self._runtime.catalog.transaction() as tx:
            vaults.insert(tx, vault)
            for policy in default_policies(vault.id, uuid4):
                policies.put(tx, policy)

    def _manifests(self, vault: Vault, point_ids: list[str]) -> list[str]:
        """Names in the vault of recovery points. Raises NotFound, RequestError for one not in the vault."""
        with self._runtime.catalog.transaction() as tx:
            known = {point.id: point for point in points.recovery_points_in(tx, vault.id)}
        found = []
        for point_id in point_ids:
            if point_id not in known:
                raise NotFound(
                    f"There is no recovery point {point_id} in {vault.name}. List them: overwinter points VM"
                )
            manifest = known[point_id].manifest
            if manifest is None:
                raise RequestError(
                    f"Recovery point {point_id} is in the snapshot tier only, not in the vault."
                )
            found.append(manifest)
        return found

    def _start(self, vault: Vault, operation: JobOperation, parameters: dict[str, object]) -> Job:
        job = Job(
            id=uuid4(),
            vault_id=vault.id,
            item_id=None,
            vm_uuid=vault.id,
            vm_name=vault.name,
            operation=operation,
            status=JobStatus.IN_PROGRESS,
            started=self._runtime.clock(),
            tasks=(Task(vault_work.TASKS[operation]),),
            parameters=parameters,
        )
        with self._runtime.catalog.transaction() as tx:
            job_table.insert(tx, job)
        self._engine.enqueue(job)
        return job


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise RequestError(
            f"{name!r} is no name for a vault: 2 to 50 letters, digits and hyphens, a letter first."
        )


def _described(item: ProtectedItem) -> str:
    if item.deleted_until is None:
        return item.vm_name
    return f"{item.vm_name} (deleted, kept until {item.deleted_until:%Y-%m-%d %H:%M} UTC)"


def _check_same(vault: Vault, url: str | None, key_reference: str | None) -> None:
    """A vault that exists stays as it is; whoever wanted another one must be told."""
    if url not in (None, vault.url) or key_reference not in (None, vault.key_reference):
        raise AlreadyExists(
            f"A vault {vault.name} exists already, at {vault.url}, with another place or key than asked for."
        )


def _attached_before(tx: Transaction, vault_id: UUID, name: str, url: str) -> Vault | None:
    """The vault if the catalog has it. Raises AlreadyExists when name, vault and place do not fit."""
    for vault in vaults.every(tx):
        is_it, has_name = vault.id == vault_id, vault.name.casefold() == name.casefold()
        if is_it and has_name and vault.url == url:
            return vault
        if is_it:
            raise AlreadyExists(
                f"This vault is attached already, as {vault.name} at {vault.url}. If it was moved, forget it "
                f"first: overwinter vault detach {vault.name}"
            )
        if has_name:
            raise AlreadyExists(f"Another vault is named {vault.name} here. Choose another: --name NAME")
    return None


def _refuse_busy(tx: Transaction, vault: Vault) -> None:
    running = [
        job
        for job in job_table.active(tx)
        if vault.id == job.vault_id or job.parameters.get("target") == str(vault.id)
    ]
    if running:
        raise BackupOperationInProgress(
            f"Jobs of vault {vault.name} are running: {', '.join(str(job.id) for job in running)}. Wait for "
            "them or cancel them first: overwinter job cancel ID"
        )
