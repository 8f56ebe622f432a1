"""Protect a real VM, back it up twice, verify, restore both points, boot them, compare, unprotect."""

import secrets
import shutil
import sys
import time
from hashlib import sha256
from pathlib import Path

from demo import place
from demo.program import DemoFailed, ask, console, service, type_command
from demo.report import BackupRow, Report, RestoreRow, UnprotectRow
from testkit.demo_guest import DATA_DIRECTORIES, make_demo_guest
from testkit.disks import convert, first_difference
from testkit.domains import TinyGuest
from testkit.ground import Ground, prepare

VAULT = "demo"
FILE_BYTES = 2 << 20


class Demo:
    """One run: the guest, what was written to it, and what was found."""

    def __init__(self, ground: Ground, report: Report) -> None:
        self.ground = ground
        self.report = report
        console.print("Booting a guest with two disks (qcow2 and raw) and qemu-guest-agent …")
        self.guest = make_demo_guest(ground, "web01")
        self.files: dict[str, str] = {}

    def write_files(self, name: str) -> None:
        """Write one known file to each disk, from inside the guest."""
        for directory in DATA_DIRECTORIES:
            content = secrets.token_bytes(FILE_BYTES)
            path = f"{directory}/{name}"
            self.guest.agent.write_file(path, content)
            self.files[path] = sha256(content).hexdigest()
        self.guest.agent.check("sync")
        console.print(f"wrote {name} on every disk inside the guest ({FILE_BYTES >> 20} MiB each)")

    def back_up(self) -> dict[str, Path]:
        """Back up as a user would; returns independent copies of the frozen disks, made by qemu-img."""
        begun = time.monotonic()
        type_command("backup", self.guest.name, "--wait")
        seconds = time.monotonic() - begun
        point = ask("points", self.guest.name)[0]
        self.report.backups.append(
            BackupRow(
                kind="incremental" if point["incremental"] else "full",
                bytes_read=point["bytes_read"],
                bytes_stored=point["bytes_stored"],
                freeze_ms=point["freeze_ms"],
                consistency=point["consistency"],
                seconds=round(seconds, 3),
            )
        )
        return self._copies(f"point-{len(self.report.backups)}")

    def _copies(self, label: str) -> dict[str, Path]:
        copies = {}
        for target, original in self.guest.disks.items():
            frozen = self.guest.chain(target)[1]
            image_format = original.suffix[1:] if frozen == original else "qcow2"
            copies[target] = self.ground.run.directory / f"{label}-{target}.raw"
            convert(frozen, image_format, copies[target])
        return copies

    def restore(self, point: str, name: str, copies: dict[str, Path], files: dict[str, str]) -> None:
        """Restore a point as a new VM, compare its disks, boot it, read the files back."""
        full_name = self.ground.run.domain_name(name)
        begun = time.monotonic()
        type_command("restore", self.guest.name, "--point", point, "--as", full_name)
        seconds = time.monotonic() - begun
        restored = self.ground.guests.find(full_name)
        bytes_equal = self._compare(restored, copies)
        console.print(
            f"comparing {name} byte for byte with qemu-img's copies: {'equal' if bytes_equal else 'NO'}"
        )
        booted, files_equal = self._boot(restored, files)
        row = RestoreRow(full_name, bytes_equal, files_equal, booted, round(seconds, 3))
        self.report.restores.append(row)

    def _compare(self, restored: TinyGuest, copies: dict[str, Path]) -> bool:
        equal = self.report.expect(
            f"{restored.name} has other disks than the original", restored.disks.keys() == copies.keys()
        )
        for target, image in restored.disks.items():
            raw = image.with_suffix(".check")
            convert(image, image.suffix[1:], raw)
            differs = first_difference(copies[target], raw)
            raw.unlink()
            what = f"disk {target} of {restored.name} differs from byte {differs} on"
            equal = self.report.expect(what, differs is None) and equal
        return equal

    def _boot(self, restored: TinyGuest, files: dict[str, str]) -> tuple[bool, bool]:
        console.print(f"booting {restored.name} …")
        try:
            restored.start()
        except TimeoutError:
            return self.report.expect(f"{restored.name} does not boot", False), False
        wrong = [
            path
            for path, digest in files.items()
            if sha256(restored.agent.read_file(path)).hexdigest() != digest
        ]
        unexpected = [
            path
            for path in self.files
            if path not in files and restored.agent.run(f"test -e {path}").exit_code == 0
        ]
        restored.destroy()
        equal = self.report.expect(
            f"files differ in {restored.name}: {wrong + unexpected}", not wrong + unexpected
        )
        console.print(f"read {len(files)} files back through its guest agent: {'equal' if equal else 'NO'}")
        return True, equal

    def unprotect(self) -> None:
        """Stop protection: the guest, still running, has its original disks again."""
        type_command("unprotect", self.guest.name, "--keep-data")
        chains = {target: self.guest.chain(target) for target in self.guest.disks}
        original = chains == {target: [path] for target, path in self.guest.disks.items()}
        self.report.expect(f"{self.guest.name} does not use its original disks: {chains}", original)
        overlays = len(list(self.ground.run.directory.rglob("*.overwinter-*")))
        self.report.expect(f"{overlays} overlay files are left", overlays == 0)
        for path, digest in self.files.items():
            intact = sha256(self.guest.agent.read_file(path)).hexdigest() == digest
            self.report.expect(f"{path} changed in the running guest", intact)
        self.report.unprotect = UnprotectRow(original, overlays)


def run(ground: Ground, report: Report) -> None:
    """The whole story."""
    images = ground.run.directory / "restored"
    images.mkdir(mode=0o755)
    demo = Demo(ground, report)
    name = demo.guest.name
    with service(images):
        type_command("vm", "list")
        type_command("vault", "create", VAULT)
        type_command("protect", name, "--vault", VAULT)
        demo.write_files("first.bin")
        first_files = dict(demo.files)
        first_copies = demo.back_up()
        demo.write_files("second.bin")
        second_copies = demo.back_up()
        type_command("points", name)
        type_command("vault", "verify", VAULT, "--read-data")
        type_command("vault", "stats", VAULT)
        first_point = ask("points", name)[-1]["id"]
        demo.restore(first_point, "web01-first", first_copies, first_files)
        demo.restore("latest", "web01-second", second_copies, demo.files)
        demo.unprotect()
        type_command("job", "list")


def main() -> int:
    """Run the demonstration; exit status 1 when anything is not as it must be."""
    begun = time.monotonic()
    shutil.rmtree(place.DIRECTORY, ignore_errors=True)
    place.DIRECTORY.mkdir(mode=0o755, parents=True)
    with prepare() as ground:
        report = Report(accelerator=str(ground.accelerator))
        try:
            run(ground, report)
        except DemoFailed as error:
            report.mismatches.append(str(error))
    report.seconds = round(time.monotonic() - begun, 3)
    report.write(place.REPORT)
    report.show(console)
    console.print(f"Report: {place.REPORT.absolute()}. Remove everything: make clean-demo")
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
