"""All checks, in the order in which a person would look: the four steps of the reference articles."""

from overwinter.doctor.check import Check
from overwinter.doctor.checks import agent, backup, disks, guest, vault, vm

CHECKS: tuple[Check, ...] = tuple(
    sorted(
        (*vm.CHECKS, *agent.CHECKS, *guest.CHECKS, *backup.CHECKS, *disks.CHECKS, *vault.CHECKS),
        key=lambda check: check.step,
    )
)
