"""Faults of the scripts in the guest: missing, failing, slow, open to others, configured wrongly.

Where the guest's configuration says so, the backup goes on and its label is lower; else it fails.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from testkit.gallery.fault import Fault
from testkit.gallery.patient import Patient
from testkit.gallery.scene import Scene

_DIRECTORY = "/etc/azure"
_PRE, _POST = f"{_DIRECTORY}/pre.sh", f"{_DIRECTORY}/post.sh"
_CONFIG = f"{_DIRECTORY}/VMSnapshotScriptPluginConfig.json"
_HOST_FILE = f"{_DIRECTORY}/VMSnapshotPluginHost.conf"

#: Longer than the scripts may take here.
_SLOW = "sleep 60"


def _scripts(
    pre: str = "true", post: str = "true", *, then: str = "true", goes_on: bool = True
) -> Callable[[Scene], AbstractContextManager[Patient]]:
    """A guest with such scripts, after which somebody in it does ``then``.

    ``goes_on``: the guest wants a backup all the same.
    """
    config: dict[str, object] = {
        "preScriptLocation": _PRE,
        "postScriptLocation": _POST,
        "timeoutInSeconds": 2,
        "continueBackupOnFailure": goes_on,
    }

    @contextmanager
    def inject(scene: Scene) -> Iterator[Patient]:
        patient = scene.running_with_python()
        agent = patient.guest.agent
        agent.check(f"mkdir -p {_DIRECTORY}")
        for path, text in ((_PRE, pre), (_POST, post)):
            agent.write_file(path, f"#!/bin/sh\n{text}\n".encode())
        agent.write_file(_CONFIG, json.dumps(config).encode())
        agent.check(f"chmod 700 {_PRE} {_POST}; chmod 600 {_CONFIG}; {then}")
        yield patient
        agent.check(f"umount {_DIRECTORY} 2>/dev/null; rm -rf {_DIRECTORY}")

    return inject


FAULTS = (
    Fault(
        "pre-script fails",
        "The pre-script ends with an error; the guest wants a backup all the same.",
        "Pre-ScriptExecutionFailed",
        "C-SCRIPT-FAILED",
        _scripts("exit 3"),
    ),
    Fault(
        "pre-script fails, no backup",
        "The pre-script ends with an error, and the guest wants no backup then.",
        "Pre-ScriptExecutionFailed",
        "C-SCRIPT-FAILED",
        _scripts("exit 3", goes_on=False),
    ),
    Fault(
        "pre-script cannot be started",
        "The interpreter that the pre-script names is not there.",
        "Pre-ScriptExecutionFailed",
        "C-SCRIPT-FAILED",
        _scripts(then=f"sed -i 1s,/bin/sh,/bin/bash, {_PRE}", goes_on=False),
    ),
    Fault(
        "scripts on a file system without programs",
        "The scripts lie on a file system that is mounted noexec.",
        "Pre-ScriptExecutionFailed",
        "C-SCRIPT-FAILED",
        _scripts(
            then=f"cp -a {_DIRECTORY} /tmp/scripts; mount -t tmpfs -o noexec,mode=755 tmpfs {_DIRECTORY};"
            f"cp -a /tmp/scripts/* {_DIRECTORY}; rm -r /tmp/scripts",
        ),
    ),
    Fault(
        "pre-script missing",
        "Somebody deleted the pre-script; the guest wants a backup all the same.",
        "Pre-ScriptNotFound",
        "C-SCRIPT-MISSING",
        _scripts(then=f"rm {_PRE}"),
    ),
    Fault(
        "pre-script missing, no backup",
        "Somebody deleted the pre-script, and the guest wants no backup then.",
        "Pre-ScriptNotFound",
        "C-SCRIPT-MISSING",
        _scripts(then=f"rm {_PRE}", goes_on=False),
    ),
    Fault(
        "pre-script too slow",
        "The pre-script takes longer than it may.",
        "Pre-ScriptTimeout",
        "C-SCRIPT-SLOW",
        _scripts(_SLOW),
    ),
    Fault(
        "pre-script too slow, no backup",
        "The pre-script takes longer than it may, and the guest wants no backup then.",
        "Pre-ScriptTimeout",
        "C-SCRIPT-SLOW",
        _scripts(_SLOW, goes_on=False),
    ),
    Fault(
        "pre-script open to others",
        "Everybody in the guest may read and run the pre-script.",
        "InsufficientPermissionforPre-Script",
        "C-SCRIPT-MODE",
        _scripts(then=f"chmod 755 {_PRE}"),
    ),
    Fault(
        "pre-script of another owner",
        "The pre-script belongs to somebody who is not root, and the guest wants no backup then.",
        "InsufficientPermissionforPre-Script",
        "C-SCRIPT-MODE",
        _scripts(then=f"chown 1000 {_PRE}", goes_on=False),
    ),
    Fault(
        "post-script fails",
        "The post-script ends with an error.",
        "Post-ScriptExecutionFailed",
        "C-SCRIPT-FAILED",
        _scripts(post="exit 4"),
    ),
    Fault(
        "post-script missing, no backup",
        "Nobody could undo what the pre-script does, and the guest wants no backup then.",
        "Post-ScriptNotFound",
        "C-SCRIPT-MISSING",
        _scripts(then=f"rm {_POST}", goes_on=False),
    ),
    Fault(
        "post-script too slow",
        "The post-script takes longer than it may.",
        "Post-ScriptTimeout",
        "C-SCRIPT-SLOW",
        _scripts(post=_SLOW),
    ),
    Fault(
        "post-script in open hands",
        "The post-script is a link to a file of somebody else.",
        "InsufficientPermissionforPost-Script",
        "C-SCRIPT-MODE",
        _scripts(then=f"mv {_POST} /tmp/post.sh; ln -s /tmp/post.sh {_POST}"),
    ),
    Fault(
        "script configuration invalid",
        "The configuration of the scripts is no JSON.",
        "IncorrectJSONConfigFile",
        "C-SCRIPT-CONFIG",
        _scripts(then=f"echo '{{\"preScriptLocation\":' >{_CONFIG}"),
    ),
    Fault(
        "script configuration open to others",
        "Everybody in the guest may write the configuration of the scripts.",
        "IncorrectJSONConfigFile",
        "C-SCRIPT-CONFIG",
        _scripts(then=f"chmod 666 {_CONFIG}"),
    ),
    Fault(
        "host file of the scripts invalid",
        "The file that bounds the scripts is none that can be read.",
        "IncorrectPluginhostFile",
        "C-PLUGIN-HOST",
        _scripts(then=f"echo timeoutInSeconds=long >{_HOST_FILE}; chmod 644 {_HOST_FILE}"),
    ),
)
