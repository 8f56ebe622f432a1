"""Addresses of the ARM dialect: their templates, and how any spelling of one becomes the canonical one."""

from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

SUBSCRIPTION = "/subscriptions/{subscription}"
GROUP = SUBSCRIPTION + "/resourceGroups/{group}"

MACHINES = "/providers/Microsoft.Compute/virtualMachines"
COLLECTIONS = "/providers/Microsoft.Compute/restorePointCollections"
LOCKS = "/providers/Microsoft.Authorization/locks"
VAULTS = "/providers/Microsoft.RecoveryServices/vaults"

MACHINE = GROUP + MACHINES + "/{machine}"
#: What the doctor can do for a VM; ARM does not know it.
MACHINE_DOCTOR = MACHINE + "/overwinter/doctor"
#: A zip of all that helps somebody from afar; ours as well.
MACHINE_BUNDLE = MACHINE + "/overwinter/supportBundle"
VAULT = GROUP + VAULTS + "/{vault}"
#: What a vault can do that ARM does not know.
VAULT_WORK = VAULT + "/overwinter"
COLLECTION = GROUP + COLLECTIONS + "/{collection}"
RESTORE_POINT = COLLECTION + "/restorePoints/{point}"
EXTENSION = MACHINE + "/extensions/{extension}"
POLICY = VAULT + "/backupPolicies/{policy}"
JOB = VAULT + "/backupJobs/{job}"
#: What the doctor says of a job that failed; ARM does not know it.
JOB_DOCTOR = JOB + "/overwinter/doctor"
ITEM = VAULT + "/backupFabrics/Azure/protectionContainers/{container}/protectedItems/{item}"
POINT = ITEM + "/recoveryPoints/{point}"


def canonical(path: str, templates: Iterable[tuple[str, ...]]) -> str:
    """``path`` without empty segments, its fixed words spelled as in the first template they fit.

    Clients write fixed words in several cases; names (``{…}``) stay as they are.
    """
    segments = [segment for segment in path.split("/") if segment]
    for template in templates:
        if len(template) == len(segments) and all(
            _is_name(word) or word.casefold() == segment.casefold()
            for word, segment in zip(template, segments, strict=True)
        ):
            segments = [
                segment if _is_name(word) else word for word, segment in zip(template, segments, strict=True)
            ]
            break
    return "/" + "/".join(segments)


def _is_name(word: str) -> bool:
    return word.startswith("{")


class CanonicalPaths:
    """ASGI middleware: the app inside sees canonical paths only."""

    def __init__(self, app: ASGIApp, templates: Iterable[str]) -> None:
        self._app = app
        self._templates = [tuple(template.strip("/").split("/")) for template in templates]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its path rewritten."""
        if scope["type"] == "http":
            scope = {**scope, "path": canonical(scope["path"], self._templates)}
        await self._app(scope, receive, send)
