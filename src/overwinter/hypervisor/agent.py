"""One command to the QEMU guest agent, bounded in time and size. The guest is never trusted."""

import json
from uuid import UUID

import libvirt
import libvirt_qemu

from overwinter.hypervisor.connection import Hypervisor, translate
from overwinter.model.errors import (
    GuestAgentInconsistent,
    GuestAgentUnavailable,
    GuestCommandFailed,
    HypervisorUnavailable,
    NotFound,
)

#: A guest may answer at most this much. libvirt itself gives up at 10 MiB.
MAX_REPLY_BYTES = 4 * 1024 * 1024

#: Characters kept of an error's text, in which the guest may have said anything.
_LONGEST_WORDS = 300

#: How libvirt begins when the agent *answered* with an error; every other failure means no answer.
_ANSWERED_WITH_ERROR = "unable to execute QEMU agent command"


def agent_command(
    hypervisor: Hypervisor, vm_uuid: UUID, command: dict[str, object], timeout_s: int
) -> object:
    """Send one command and return the ``return`` member of the answer, of whatever type the guest chose.

    libvirt first synchronises with the agent (up to 5 s of its own), then waits ``timeout_s`` for the answer.
    After a timeout the command may still be carried out in the guest.

    Raises GuestAgentUnavailable when no usable answer came, GuestCommandFailed when the agent answered with
    an error, NotFound, HypervisorUnavailable.
    """
    if timeout_s < 1:
        raise ValueError("the agent needs at least one second")
    name = command.get("execute")
    with hypervisor.domain(vm_uuid) as domain:
        try:
            reply = libvirt_qemu.qemuAgentCommand(domain, json.dumps(command), timeout_s, 0)
        except libvirt.libvirtError as error:
            words = _words(error)
            if _ANSWERED_WITH_ERROR in words:
                raise GuestCommandFailed(f"the guest agent refused {name}: {words}") from error
            failure = translate(error)
            if isinstance(failure, HypervisorUnavailable) and domain.connect().isAlive():
                # An answer that is too long for libvirt's own protocol looks like a broken connection.
                raise GuestAgentInconsistent(
                    f"the guest agent's answer to {name} did not come through: {words}"
                ) from error
            if isinstance(failure, HypervisorUnavailable | NotFound):
                raise failure from error
            if isinstance(failure, GuestAgentUnavailable):
                raise GuestAgentUnavailable(f"libvirt: {words}") from error
            raise GuestAgentUnavailable(f"the guest agent did not carry out {name}: {words}") from error
        except (UnicodeError, SystemError) as error:
            # libvirt hands over, or quotes in its own error, bytes that are no UTF-8, and its Python
            # binding stumbles over them.
            raise GuestAgentInconsistent(f"the guest agent's answer to {name} is no text") from error
    return _returned(str(reply), name)


def _words(error: libvirt.libvirtError) -> str:
    """What libvirt says, which may quote the guest: short and printable."""
    words = error.get_error_message() or ""
    return "".join(letter for letter in words[:_LONGEST_WORDS] if letter.isprintable())


def _returned(reply: str, name: object) -> object:
    if len(reply) > MAX_REPLY_BYTES:
        raise GuestAgentInconsistent(
            f"the guest agent's answer to {name} is too long: {len(reply)} characters"
        )
    try:
        answer = json.loads(reply)
    except (ValueError, RecursionError) as error:
        raise GuestAgentInconsistent(f"the guest agent's answer to {name} is no JSON") from error
    if not isinstance(answer, dict) or "return" not in answer:
        raise GuestAgentInconsistent(f"the guest agent's answer to {name} has no result")
    result: object = answer["return"]
    return result
