"""Faults between a person and the service: it does not run, or is another one."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from testkit.gallery.fault import Fault
from testkit.gallery.patient import Patient, Told
from testkit.gallery.scene import Scene
from testkit.program import Program


@contextmanager
def _stopped(scene: Scene) -> Iterator[Patient]:
    yield scene.stopped()


def _asking(prepare: Callable[[Program], None]) -> Callable[[Patient], Told]:
    """A command against an installation of its own to which something was done."""

    def attempt(patient: Patient) -> Told:
        program = Program(patient.station.directory / f"service-{patient.guest.name}")
        try:
            prepare(program)
            answer = program.run("vm", "list")
        finally:
            program.stop()
        if answer.code == 0:
            return Told("", "")
        error = json.loads(answer.output)["error"]
        return Told(error["code"], error["message"])

    return attempt


def _never_started(_program: Program) -> None:
    return None


def _ended(program: Program) -> None:
    program.start()
    program.stop()


def _other_token(program: Program) -> None:
    program.start()
    (program.state / "token").write_text("that of another service")


FAULTS = (
    Fault(
        "service never started",
        "The command finds no service in its state directory.",
        "ServiceUnreachable",
        "C-SERVICE-DOWN",
        _stopped,
        _asking(_never_started),
    ),
    Fault(
        "service ended",
        "The service has ended.",
        "ServiceUnreachable",
        "C-SERVICE-DOWN",
        _stopped,
        _asking(_ended),
    ),
    Fault(
        "token of another service",
        "The token file is of another installation.",
        "AuthenticationFailed",
        "C-TOKEN-OTHER",
        _stopped,
        _asking(_other_token),
    ),
)
