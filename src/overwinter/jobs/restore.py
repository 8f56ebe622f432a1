"""A recovery point becomes disks in a directory, or a new VM.

Nothing that exists is overwritten. Three steps, each repeatable after a crash:

1. ``write``: all files under names ending in ``.partial-<job>``; a run after a crash starts over
2. ``publish``: all files get their real names by link, which never replaces a file
3. ``create_machine``: the VM is defined (its UUID follows from the job, so it is made once) and started
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid5

from overwinter.catalog import jobs as job_table
from overwinter.catalog import points, vaults
from overwinter.catalog.points import MachineState
from overwinter.hypervisor import inventory
from overwinter.hypervisor.define import define, start
from overwinter.hypervisor.restore_xml import rewrite_for_restore
from overwinter.images.reader import open_frozen
from overwinter.images.writer import create_image, open_writer, sync
from overwinter.jobs import faults
from overwinter.jobs.progress import TaskReporter, task
from overwinter.jobs.restored_disk import restored_disk
from overwinter.jobs.runtime import Runtime
from overwinter.model.errors import AlreadyExists, NotFound, RequestError
from overwinter.model.job import CREATE_VM, RESTORE_DISKS, Job
from overwinter.model.point import DiskCapture, PointDisk
from overwinter.model.vm import DiskFormat, ImageLayer
from overwinter.vault import Manifest, VaultStore

#: Bytes copied at once out of a frozen chain.
COPY_STEP = 4 << 20


@dataclass(frozen=True)
class Target:
    """Where one restore goes. ``vm_name`` is null when only disks are wanted."""

    directory: Path
    stem: str
    vm_name: str | None
    start: bool

    def disk(self, disk: PointDisk) -> Path:
        """File of one restored disk."""
        return self.directory / f"{self.stem}-{disk.target}.{disk.format}"

    @property
    def definition(self) -> Path:
        """The VM's definition as it was at the point, put beside disks restored without a VM."""
        return self.directory / f"{self.stem}.xml"

    @property
    def nvram(self) -> Path:
        """The firmware's variables, when the VM has some."""
        return self.directory / f"{self.stem}_VARS.fd"

    def to_parameters(self) -> dict[str, object]:
        """As a job keeps it."""
        return {
            "directory": str(self.directory),
            "stem": self.stem,
            "vm_name": self.vm_name,
            "start": self.start,
        }

    @classmethod
    def from_job(cls, job: Job) -> "Target":
        """The reverse of ``to_parameters``."""
        wanted = job.parameters
        vm_name = wanted["vm_name"]
        return cls(
            directory=Path(str(wanted["directory"])),
            stem=str(wanted["stem"]),
            vm_name=None if vm_name is None else str(vm_name),
            start=bool(wanted["start"]),
        )


def check_target(runtime: Runtime, target: Target, disks: Sequence[PointDisk]) -> None:
    """Refuse a restore whose target exists or cannot be written, before anything is done.

    Raises AlreadyExists, RequestError.
    """
    if not target.directory.is_absolute():
        raise RequestError(f"The target directory must be an absolute path, not {target.directory}.")
    if not target.directory.is_dir():
        raise RequestError(f"The target directory {target.directory} does not exist. Create it first.")
    if target.vm_name is not None and _exists(runtime, target.vm_name):
        raise AlreadyExists(
            f"A VM named {target.vm_name} exists already and was not touched. Choose another name."
        )
    for file in [*(target.disk(disk) for disk in disks), target.definition, target.nvram]:
        if os.path.lexists(file):
            raise AlreadyExists(f"{file} exists already and was not touched. Choose another name or place.")


class _Source:
    """What a recovery point restores from: the vault, or the frozen chains while the vault has no copy."""

    def __init__(self, runtime: Runtime, job: Job) -> None:
        if job.item_id is None:
            raise NotFound("The recovery point's item is gone.")
        with runtime.catalog.transaction() as tx:
            vault = vaults.get_by_id(tx, job.vault_id)
            self.point = points.get_recovery_point(tx, job.item_id, str(job.parameters["point"]))
            self.captures: dict[str, DiskCapture] = {}
            if self.point.manifest is None and self.point.restore_point is not None:
                restore_point = points.find_restore_point(tx, self.point.restore_point)
                if restore_point is None:
                    raise NotFound(f"The snapshot of recovery point {self.point.id} is gone.")
                self.captures = {disk.target: disk for disk in restore_point.disks}
                self.state = points.machine_state(tx, self.point.restore_point)
        self.manifest: Manifest | None = None
        if self.point.manifest is not None:
            self.store: VaultStore = runtime.vaults.open(vault)
            self.manifest = self.store.manifest(self.point.manifest)
            self.state = MachineState(self.manifest.domain_xml, self.manifest.nvram)

    @property
    def disks(self) -> tuple[PointDisk, ...]:
        """The disks of the point."""
        return disks_of(self.manifest, tuple(self.captures.values()))

    def data_size(self) -> int:
        """How many bytes ``copy`` will write for all disks together."""
        if self.manifest is not None:
            return sum(self.store.data_size(disk.map) for disk in self.manifest.disks)
        total = 0
        for capture in self.captures.values():
            with open_frozen(_chain(capture)) as frozen:
                total += sum(extent.length for extent in frozen.extents(None) if not extent.zero)
        return total

    def copy(
        self, disk: PointDisk, path: Path, done: Callable[[int], None], check: Callable[[], None]
    ) -> None:
        """Write one disk into the new image ``path``; zero ranges stay holes.

        ``done`` is told the bytes of this disk written so far; ``check`` may raise to stop.
        """
        create_image(str(path), disk.format, disk.size, cluster_size=disk.cluster_size)
        with open_writer(str(path), disk.format) as writer:
            if self.manifest is None:
                _copy_chain(self.captures[disk.target], writer.write, done, check)
            else:
                stored = next(d for d in self.manifest.disks if d.target == disk.target)
                self.store.restore_disk(
                    stored.map,
                    writer.write,
                    target=disk.target,
                    progress=done,
                    cancelled=check,
                )
            writer.finish()


def _chain(capture: DiskCapture) -> list[ImageLayer]:
    return [ImageLayer(*layer) for layer in zip(capture.chain, capture.formats, strict=True)]


def _copy_chain(
    capture: DiskCapture,
    write: Callable[[int, memoryview], None],
    done: Callable[[int], None],
    check: Callable[[], None],
) -> None:
    buffer = memoryview(bytearray(COPY_STEP))
    copied = 0
    with open_frozen(_chain(capture)) as frozen:
        for extent in frozen.extents(None):
            if extent.zero:
                continue
            for offset in range(extent.offset, extent.end, COPY_STEP):
                check()
                part = buffer[: min(COPY_STEP, extent.end - offset)]
                frozen.read_into(offset, part)
                write(offset, part)
                copied += len(part)
                done(copied)


def disks_of(manifest: Manifest | None, captures: tuple[DiskCapture, ...]) -> tuple[PointDisk, ...]:
    """The disks of a point, from the vault's manifest or from its frozen chains."""
    if manifest is not None:
        return tuple(
            PointDisk(disk.target, disk.lun, disk.map.size, DiskFormat(disk.format), disk.cluster_size)
            for disk in manifest.disks
        )
    return tuple(restored_disk(capture) for capture in captures)


def write(runtime: Runtime, job_id: UUID) -> None:
    """Write all files under their partial names. On failure none is left."""
    job = _job(runtime, job_id)
    target, source = Target.from_job(job), _Source(runtime, job)
    check_target(runtime, target, source.disks)
    files = _files(target, source)
    with task(runtime, job_id, RESTORE_DISKS, total=source.data_size()) as reporter:
        remove_partial(runtime, job_id)
        try:
            reporter.check()
            before = 0
            for disk in source.disks:
                done = _Offset(reporter, before)
                source.copy(disk, _partial(job, target.disk(disk)), done, reporter.check)
                before = done.reached
                faults.place("restore.disk-written")
            for path, content in files.items():
                _write_file(_partial(job, path), content)
        except BaseException:
            remove_partial(runtime, job_id)
            raise
    faults.place("restore.written")


class _Offset:
    """Reports the progress of one disk behind that of the disks before it."""

    def __init__(self, reporter: TaskReporter, before: int) -> None:
        self._reporter = reporter
        self._before = before
        self.reached = before

    def __call__(self, done: int) -> None:
        self.reached = self._before + done
        self._reporter.reach(self.reached)


def _files(target: Target, source: _Source) -> dict[Path, bytes]:
    """The small files of a restore beside the disks."""
    files: dict[Path, bytes] = {}
    if target.vm_name is None:
        files[target.definition] = source.state.domain_xml.encode()
    if source.state.nvram is not None:
        files[target.nvram] = source.state.nvram
    return files


def _write_file(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _partial(job: Job, final: Path) -> Path:
    return final.with_name(f"{final.name}.partial-{job.id}")


def remove_partial(runtime: Runtime, job_id: UUID) -> None:
    """Remove the partial files of a job; they bear its id, so nobody else's are touched."""
    job = _job(runtime, job_id)
    for path in Target.from_job(job).directory.glob(f"*.partial-{job.id}"):
        path.unlink()


def publish(runtime: Runtime, job_id: UUID) -> None:
    """Give all files of a job their real names. Raises AlreadyExists when somebody took one meanwhile."""
    job = _job(runtime, job_id)
    TaskReporter(runtime, job_id, RESTORE_DISKS).check_now()
    target = Target.from_job(job)
    for partial in sorted(target.directory.glob(f"*.partial-{job.id}")):
        final = partial.with_name(partial.name.removesuffix(f".partial-{job.id}"))
        try:
            os.link(partial, final)
        except FileExistsError as error:
            if not partial.samefile(final):
                raise AlreadyExists(f"{final} appeared during the restore and was not touched.") from error
        partial.unlink()
        faults.place("restore.published-one")
    sync(str(target.directory))


def create_machine(runtime: Runtime, job_id: UUID) -> None:
    """Define the restored VM, and start it when that was asked."""
    job = _job(runtime, job_id)
    target = Target.from_job(job)
    if target.vm_name is None:
        return
    source = _Source(runtime, job)
    with task(runtime, job_id, CREATE_VM) as reporter:
        reporter.check()
        machine_uuid = uuid5(job.id, target.vm_name)
        if not _exists(runtime, machine_uuid):
            definition = rewrite_for_restore(
                source.state.domain_xml,
                name=target.vm_name,
                uuid=machine_uuid,
                disks={disk.target: ImageLayer(str(target.disk(disk)), disk.format) for disk in source.disks},
                nvram=str(target.nvram) if source.state.nvram is not None else None,
                random_bytes=os.urandom,
            )
            define(runtime.hypervisor, definition)
        faults.place("restore.defined")
        if target.start:
            start(runtime.hypervisor, machine_uuid)


def _job(runtime: Runtime, job_id: UUID) -> Job:
    with runtime.catalog.transaction() as tx:
        return job_table.get(tx, job_id)


def _exists(runtime: Runtime, name_or_uuid: str | UUID) -> bool:
    try:
        inventory.machine(runtime.hypervisor, name_or_uuid)
    except NotFound:
        return False
    return True
