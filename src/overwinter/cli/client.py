"""What the commands ask of the service: a thin typed client that speaks ARM and answers in views."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from overwinter.cli.answers import read_view, refuse_slash, started, vault_address
from overwinter.cli.connection import Arm, Connection
from overwinter.cli.extension_work import ExtensionWork
from overwinter.cli.failure import Failure
from overwinter.cli.point_work import PointWork
from overwinter.cli.policy_views import PolicyView
from overwinter.cli.protection import Protection
from overwinter.cli.repair_work import RepairWork
from overwinter.cli.vault_work import VaultWork
from overwinter.cli.views import ItemView, JobView, MachineView, PointView, VaultView
from overwinter.cli.views_diagnosis import DiagnosisView
from overwinter.cli.views_doctor import ExaminationView
from overwinter.model.errors import DatasourceNotPresent, NotFound
from overwinter.model.names import DEFAULT_RESOURCE_GROUP

_RECOVERY_SERVICES = "/providers/Microsoft.RecoveryServices/vaults"
_COMPUTE = "/providers/Microsoft.Compute/virtualMachines"


class AmbiguousVault(Exception):
    """A VM is in several vaults, and the command does not say which is meant."""


class Client:
    """One service as the commands see it, in parts: ``vault_work``, ``point_work`` and so on."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._group = f"{connection.subscription}/resourceGroups/{DEFAULT_RESOURCE_GROUP}"
        self.vault_work = VaultWork(connection)
        self.point_work = PointWork(connection)
        self.protection = Protection(connection)
        self.extensions = ExtensionWork(connection)
        self.repairs = RepairWork(connection)

    # --- machines

    def machines(self) -> list[MachineView]:
        """All VMs of the host, with the vault each is protected in."""
        vaults = self._vaults_of_machines()
        rows = self._connection.rows(f"{self._connection.subscription}{_COMPUTE}")
        return [read_view(MachineView.read, row, vaults.get(row["name"])) for row in rows]

    def machine(self, name: str, *, ask_guest: bool = False) -> MachineView:
        """One VM; with ``ask_guest`` its guest agent is asked, which may take seconds."""
        vaults = self._vaults_of_machines()
        expand = {"$expand": "instanceView"} if ask_guest else {}
        arm = self._connection.get(self._machine_path(name), **expand)
        return read_view(MachineView.read, arm, vaults.get(arm["name"]))

    def examination(self, name: str) -> ExaminationView:
        """What the doctor finds of a VM, which takes some seconds; also of one that libvirt has no more."""
        answer = self._connection.post(f"{self._machine_path(name)}/overwinter/doctor", {})
        return read_view(ExaminationView.read, answer.json())

    def diagnosis(self, job: JobView) -> DiagnosisView:
        """What was behind the errors of a job."""
        answer = self._connection.post(f"{job.address}/overwinter/doctor", {})
        return read_view(DiagnosisView.read, answer.json())

    def support_bundle(self, name: str) -> bytes:
        """A zip of all that helps somebody from afar with a VM, some MiB; it may take minutes."""
        return self._connection.post_for_content(f"{self._machine_path(name)}/overwinter/supportBundle", {})

    def _vaults_of_machines(self) -> dict[str, str]:
        """The vault of each VM: where it is protected, or else one that has points of it."""
        items = [item for vault in self.vaults() for item in self.items(vault)]
        return {item.vm: item.vault for item in sorted(items, key=lambda each: each.is_active)}

    def _machine_path(self, name: str) -> str:
        refuse_slash("virtual machine", name)
        return f"{self._group}{_COMPUTE}/{name}"

    # --- vaults and policies

    def vaults(self) -> list[VaultView]:
        """All vaults."""
        rows = self._connection.rows(f"{self._connection.subscription}{_RECOVERY_SERVICES}")
        return [read_view(VaultView.read, row) for row in rows]

    def vault(self, name: str) -> VaultView:
        """One vault; NotFound."""
        found = [vault for vault in self.vaults() if vault.name.casefold() == name.casefold()]
        if not found:
            raise NotFound(f"There is no vault {name!r}.")
        return found[0]

    def policies(self, vault: VaultView) -> list[PolicyView]:
        """All policies of a vault."""
        rows = self._connection.rows(f"{vault.address}/backupPolicies")
        return [read_view(PolicyView.read, row) for row in rows]

    def policy(self, vault: VaultView, name: str) -> PolicyView:
        """One policy."""
        refuse_slash("policy", name)
        arm = self._connection.get(f"{vault.address}/backupPolicies/{name}")
        return read_view(PolicyView.read, arm)

    def put_policy(self, vault: VaultView, name: str, properties: dict[str, object]) -> PolicyView:
        """Make or change a policy; ``properties`` are ARM's."""
        refuse_slash("policy", name)
        answer = self._connection.put(f"{vault.address}/backupPolicies/{name}", {"properties": properties})
        return read_view(PolicyView.read, answer.json())

    def delete_policy(self, policy: PolicyView) -> None:
        """Remove a policy that no VM has."""
        self._connection.delete(policy.address)

    # --- protection

    def items(self, vault: VaultView) -> list[ItemView]:
        """The protected items of a vault."""
        rows = self._connection.rows(f"{vault.address}/backupProtectedItems")
        return [read_view(ItemView.read, row) for row in rows]

    def item(self, vm: str, vault_name: str | None) -> ItemView:
        """The item of a VM: in the vault named, or in the only one that has it.

        Raises NotFound for an unknown VM, DatasourceNotPresent for an unprotected one, AmbiguousVault
        when several vaults have it and none is named.
        """
        vaults = self.vaults() if vault_name is None else [self.vault(vault_name)]
        items = [item for vault in vaults for item in self.items(vault)]
        found = [item for item in items if item.vm == vm] or [
            item for item in items if item.vm.casefold() == vm.casefold()
        ]
        if not found:
            machine = self._connection.get(self._machine_path(vm))
            where = "any vault" if vault_name is None else f"vault {vault_name!r}"
            raise DatasourceNotPresent(f"The VM {machine['name']!r} is not protected in {where}.")
        if len(found) > 1:
            names = ", ".join(sorted(item.vault for item in found))
            raise AmbiguousVault(f"The VM {vm!r} is in several vaults: {names}.")
        return found[0]

    # --- backup and restore

    def backup(self, item: ItemView, retain_until: datetime | None = None) -> JobView:
        """Start a backup; its point is kept until a day in UTC."""
        body: Arm = {"properties": {"objectType": "IaasVMBackupRequest"}}
        if retain_until is not None:
            body["properties"]["recoveryPointExpiryTimeInUTC"] = f"{retain_until:%Y-%m-%dT00:00:00Z}"
        answer = self._connection.post(f"{item.address}/backup", body)
        return started(self._connection, vault_address(item.address), answer)

    def points(self, item: ItemView) -> list[PointView]:
        """The recovery points of an item, newest first."""
        rows = self._connection.rows(f"{item.address}/recoveryPoints")
        return [read_view(PointView.read, row, item) for row in rows]

    def restore_as_vm(self, point: PointView, name: str, directory: Path | None, *, start: bool) -> JobView:
        """Restore a point as a new VM."""
        refuse_slash("virtual machine", name)
        extension = {"targetDirectory": None if directory is None else str(directory), "start": start}
        return self._restore(point, "AlternateLocation", extension, self._machine_path(name))

    def restore_disks(self, point: PointView, directory: Path) -> JobView:
        """Restore the disks of a point as files."""
        return self._restore(point, "RestoreDisks", {"targetDirectory": str(directory)}, None)

    def _restore(
        self, point: PointView, kind: str, extension: Mapping[str, object], machine: str | None
    ) -> JobView:
        body = {
            "properties": {
                "objectType": "IaasVMRestoreRequest",
                "recoveryPointId": point.id,
                "recoveryType": kind,
                "targetVirtualMachineId": machine,
                "overwinter": extension,
            }
        }
        answer = self._connection.post(f"{point.address}/restore", body)
        return started(self._connection, vault_address(point.address), answer)

    # --- jobs

    def jobs(self) -> list[JobView]:
        """The jobs of all vaults, newest first."""
        rows = [
            row for vault in self.vaults() for row in self._connection.rows(f"{vault.address}/backupJobs")
        ]
        jobs = [read_view(JobView.read, row) for row in rows]
        return sorted(jobs, key=lambda job: job.started, reverse=True)

    def job(self, job_id: str) -> JobView:
        """The job of that id, whatever vault it is in; NotFound."""
        refuse_slash("job", job_id)
        for vault in self.vaults():
            try:
                return read_view(JobView.read, self._connection.get(f"{vault.address}/backupJobs/{job_id}"))
            except Failure as failure:
                if failure.code != NotFound.code:
                    raise
        raise NotFound(f"There is no job {job_id!r}.")

    def refresh(self, job: JobView) -> JobView:
        """How the job is now."""
        arm = self._connection.get(job.address)
        return read_view(JobView.read, arm)

    def cancel(self, job: JobView) -> JobView:
        """Ask a job to stop."""
        self._connection.post(f"{job.address}/cancel", {})
        return self.refresh(job)
