"""Faults of VMs whose policy wants applications at rest: what a guest needs for that is missing or fails."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from overwinter.model.default_policies import standard_content
from overwinter.model.extension import Extension
from overwinter.model.point import Consistency
from testkit.gallery.fault import Fault
from testkit.gallery.patient import Patient
from testkit.gallery.scene import Scene

_SCRIPT = "/etc/azure/script.sh"
_CONFIG = "/etc/azure/VMSnapshotScriptPluginConfig.json"
_CONFIGURED = {"preScriptLocation": _SCRIPT, "postScriptLocation": _SCRIPT}

_PYTHON = "/usr/bin/python3"


@contextmanager
def with_scripts(scene: Scene) -> Iterator[Patient]:
    """A VM that runs, whose policy wants applications at rest, and whose guest has scripts that succeed."""
    guest = scene.make_guest_with_python()
    policy = Extension(Consistency.APPLICATION, retries=0)
    name = scene.station.put_policy("Applications", replace(standard_content(), extension=policy))
    guest.agent.check("mkdir -p /etc/azure")
    guest.agent.write_file(_SCRIPT, b"#!/bin/sh\n")
    guest.agent.write_file(_CONFIG, json.dumps(_CONFIGURED).encode())
    guest.agent.check(f"chmod 700 {_SCRIPT}; chmod 600 {_CONFIG}")
    yield scene.protect(guest, name)


def _done_to_it(do: str, undo: str) -> Callable[[Scene], AbstractContextManager[Patient]]:
    """Something is done in such a guest."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[Patient]:
        with with_scripts(scene) as patient:
            patient.guest.agent.check(do)
            yield patient
            patient.guest.agent.check(undo)

    return inject


FAULTS = (
    Fault(
        "applications without scripts",
        "The policy wants applications at rest, and nobody configured scripts in the guest.",
        "ApplicationNotAtRest",
        "C-NO-SCRIPTS",
        _done_to_it(f"mv {_CONFIG} /tmp/kept", f"mv /tmp/kept {_CONFIG}"),
    ),
    Fault(
        "applications without Python",
        "The policy wants applications at rest, and the guest has no Python for the extension.",
        "ApplicationNotAtRest",
        "C-EXT-UNABLE",
        _done_to_it(f"mv {_PYTHON} {_PYTHON}.kept", f"mv {_PYTHON}.kept {_PYTHON}"),
    ),
    Fault(
        "applications not at rest",
        "The policy wants applications at rest, and the pre-script fails.",
        "Pre-ScriptExecutionFailed",
        "C-SCRIPT-FAILED",
        _done_to_it(f"echo 'exit 3' >>{_SCRIPT}", f"echo '#!/bin/sh' >{_SCRIPT}"),
    ),
)
