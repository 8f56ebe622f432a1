"""Faults of the guest agent: missing, stopped, hung, forbidden, too old, mad."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from overwinter.model.agent import FREEZE_COMMANDS
from testkit.console import console_run
from testkit.gallery.fault import Fault
from testkit.gallery.patient import Patient
from testkit.gallery.scene import DEMANDING, Scene, redefine
from testkit.hostile_agent import HostileAgent, Say, hostile_agent

_SILENT = "UserErrorGuestAgentStatusUnavailable"
_STATE = "C-AGENT-STATE"

_LIMIT_S = 30

#: Runs the agent with other options than the guest gives it.
_WITH_OPTIONS = """
touch /run/no-agent; killall -9 qemu-ga
for p in /sys/class/virtio-ports/*; do
    [ "$(cat $p/name)" = org.qemu.guest_agent.0 ] && port=/dev/${p##*/}
done
while pidof qemu-ga; do sleep 0.1; done
(setsid qemu-ga -m virtio-serial -p $port -t /run OPTIONS >/dev/null 2>&1 &)
"""


@contextmanager
def _stopped(scene: Scene) -> Iterator[Patient]:
    patient = scene.running()
    patient.guest.stop_agent()
    yield patient
    patient.guest.resume_agent()


@contextmanager
def _never_there(scene: Scene) -> Iterator[Patient]:
    guest = scene.make_guest(start=True)
    guest.stop_agent()
    yield scene.protect(guest, scene.strict_policy())
    guest.resume_agent()


@contextmanager
def _hung(scene: Scene) -> Iterator[Patient]:
    patient = scene.running()
    console_run(patient.guest.domain, "killall -STOP qemu-ga", _LIMIT_S)
    yield patient
    console_run(patient.guest.domain, "killall -CONT qemu-ga", _LIMIT_S)
    patient.guest.wait_ready()


@contextmanager
def _too_old(scene: Scene) -> Iterator[Patient]:
    """Afterwards the policy takes what it gets, since the installation wants what it wants."""
    patient = scene.protect(scene.make_guest(start=True), scene.strict_policy())
    yield patient
    patient.item = patient.station.protect(patient.guest)
    patient.expected = (_SILENT,)


@contextmanager
def _without_channel(scene: Scene) -> Iterator[Patient]:
    guest = scene.make_guest(agent=False, file_system=True)
    redefine(guest, "</devices>", "<controller type='virtio-serial' index='0'/></devices>")
    guest.start()
    yield scene.protect(guest, scene.strict_policy())


def with_options(options: str) -> Callable[[Scene], AbstractContextManager[Patient]]:
    """The agent runs with more options."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[Patient]:
        patient = scene.running()
        script = _WITH_OPTIONS.replace("OPTIONS", options)
        console_run(patient.guest.domain, script.strip().replace("\n", "; ").replace("do;", "do"), _LIMIT_S)
        patient.guest.wait_ready()
        yield patient
        console_run(patient.guest.domain, "rm -f /run/no-agent; killall -9 qemu-ga", _LIMIT_S)
        patient.guest.wait_ready()

    return inject


def _played(say: Say) -> Callable[[Scene], AbstractContextManager[Patient]]:
    @contextmanager
    def inject(scene: Scene) -> Iterator[Patient]:
        patient = scene.running()
        with hostile_agent(patient.guest) as agent:
            agent.on_command = say
            yield patient

    return inject


_HEALTHY: dict[str, object] = {
    "guest-ping": {},
    "guest-info": {
        "version": "7.2.0",
        "supported_commands": [{"name": name, "enabled": True} for name in sorted(FREEZE_COMMANDS)],
    },
    "guest-fsfreeze-status": "thawed",
    "guest-fsfreeze-thaw": 0,
}


def _answering(**other: object) -> Say:
    """Healthy but for some answers; null: none at all."""
    answers = _HEALTHY | {name.replace("_", "-"): answer for name, answer in other.items()}

    def say(agent: HostileAgent, command: dict[str, object]) -> None:
        answer = answers.get(str(command["execute"]))
        if answer is not None:
            agent.answer(answer)

    return say


def _flood(agent: HostileAgent, _command: dict[str, object]) -> None:
    agent.flood(b"x" * 65536, seconds=2)


def _garbage(agent: HostileAgent, _command: dict[str, object]) -> None:
    agent.send(b'{"return": "\xff\xfe"}\n')


def _old(agent: HostileAgent, command: dict[str, object]) -> None:
    _answering(guest_info={"version": "1.5.3", "supported_commands": []})(agent, command)


def _dying_at_freeze(agent: HostileAgent, command: dict[str, object]) -> None:
    if command["execute"] == "guest-fsfreeze-freeze":
        agent.hang_up()
    else:
        _answering()(agent, command)


FAULTS = (
    Fault("agent stopped", "The agent in the guest does not run.", _SILENT, _STATE, _stopped),
    Fault("agent never installed", "Nobody installed an agent.", _SILENT, _STATE, _never_there),
    Fault("agent hung", "The agent runs and does not react (SIGSTOP).", _SILENT, _STATE, _hung),
    Fault(
        "agent without channel",
        "The VM was defined without a channel for the agent.",
        _SILENT,
        "C-NO-CHANNEL",
        _without_channel,
        repair="agent-channel",
    ),
    Fault(
        "freezing forbidden",
        "The agent's options forbid the commands of the freeze.",
        _SILENT,
        "C-AGENT-BLOCKED",
        with_options(f"-b {','.join(sorted(FREEZE_COMMANDS))}"),
    ),
    Fault(
        "agent older than wanted",
        "The installation wants newer agents than the guest has.",
        _SILENT,
        _STATE,
        _too_old,
        place=DEMANDING,
    ),
    Fault("agent of another age", "The agent is of 2014.", _SILENT, _STATE, _played(_old)),
    Fault("agent talks garbage", "The agent's answers are no text.", _SILENT, _STATE, _played(_garbage)),
    Fault("agent floods", "The agent talks without end.", _SILENT, _STATE, _played(_flood)),
    Fault(
        "agent silent in the window",
        "The agent takes the order to freeze and never answers.",
        "GuestAgentSnapshotTaskStatusError",
        "C-STARVED",
        _played(_answering(guest_fsfreeze_freeze=None)),
    ),
    Fault(
        "agent dies in the window",
        "The agent crashes whenever it shall freeze, and nobody knows whether it did.",
        "GuestThawUnconfirmed",
        "C-STILL-FROZEN",
        _played(_dying_at_freeze),
    ),
    Fault(
        "agent lies about the freeze",
        "The agent says that it froze, and it did not.",
        "UserErrorFsFreezeFailed",
        "C-AGENT-ERROR",
        _played(_answering(guest_fsfreeze_freeze=3)),
    ),
)
