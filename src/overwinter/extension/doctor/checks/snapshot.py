"""Step 4, the snapshot: can the file systems be frozen, is there room, and will the scripts be run?

Python 3.6, standard library only.
"""

from overwinter.extension.doctor.checks.finding import Finding, NotApplicable, failed, passed, warned
from overwinter.extension.doctor.facts.snapshot import Facts
from overwinter.extension.doctor.text import need, say
from overwinter.extension.script_config import ScriptCode

_FAIL_BYTES = 10 << 20
_WARN_BYTES = 100 << 20
_FAIL_FILES = 16

_UNABLE_TO_OPEN = ("UserErrorUnableToOpenMount",)

_HOST_FILE = ("IncorrectPluginhostFile",)
_SCRIPT_FILE = ("IncorrectJSONConfigFile",)

_CODES = {
    ScriptCode.PRE_NOT_FOUND: ("Pre-ScriptNotFound",),
    ScriptCode.POST_NOT_FOUND: ("Post-ScriptNotFound",),
    ScriptCode.PRE_PERMISSION: ("InsufficientPermissionforPre-Script",),
    ScriptCode.POST_PERMISSION: ("InsufficientPermissionforPost-Script",),
    ScriptCode.HOST_FILE_INVALID: _HOST_FILE,
    ScriptCode.HOST_FILE_OWNER: _HOST_FILE,
    ScriptCode.HOST_FILE_PERMISSION: _HOST_FILE,
    ScriptCode.SCRIPT_FILE_INVALID: _SCRIPT_FILE,
    ScriptCode.SCRIPT_FILE_NOT_FOUND: _SCRIPT_FILE,
    ScriptCode.SCRIPT_FILE_OWNER: _SCRIPT_FILE,
    ScriptCode.SCRIPT_FILE_PERMISSION: _SCRIPT_FILE,
}

_MISSING = (ScriptCode.PRE_NOT_FOUND, ScriptCode.POST_NOT_FOUND, ScriptCode.SCRIPT_FILE_NOT_FOUND)
_INVALID = (ScriptCode.SCRIPT_FILE_INVALID, ScriptCode.HOST_FILE_INVALID)


def scripts(facts: Facts) -> Finding:
    """G4.1."""
    found = need(facts.scripts)
    problem = found.problem
    if problem is None:
        if not found.paths:
            raise NotApplicable(say("no-scripts"))
        return passed("scripts-sound", found.paths)
    predicts = _CODES[problem.code]
    if problem.code in _INVALID:
        return failed("scripts-invalid", "S-SCRIPT-FILE", [problem.message], predicts)
    if problem.code in _MISSING:
        return failed("scripts-missing", "S-SCRIPT-PATH", [problem.message], predicts)
    return failed("scripts-rights", "S-SCRIPT-MODE", [problem.message], predicts)


def freezable(facts: Facts) -> Finding:
    """G4.2."""
    found = need(facts.file_systems)
    fallen = [each.evidence for each in found.all if each.fallen]
    if fallen:
        return failed("mounts-fallen", "S-MOUNT-REPAIR", fallen, _UNABLE_TO_OPEN)
    frozen = [each.evidence for each in found.all if not each.why_not]
    left_out = ["{}: {}".format(each.evidence, each.why_not) for each in found.all if each.why_not]
    if not frozen:
        return failed("mounts-none", "S-MOUNT-TYPE", left_out)
    if found.doubled:
        evidence = [" = ".join(points) for points in found.doubled]
        return warned("mounts-doubled", "S-MOUNT-DOUBLE", evidence)
    return passed("mounts-freezable", frozen + left_out, number=len(frozen))


def room(facts: Facts) -> Finding:
    """G4.3."""
    spaces = need(facts.space)
    full = [each for each in spaces if each.free_bytes < _FAIL_BYTES or each.files < _FAIL_FILES]
    if full:
        return failed("room-none", "S-SPACE", [each.evidence for each in full])
    little = [each for each in spaces if each.free_bytes < _WARN_BYTES]
    if little:
        return warned("room-little", "S-SPACE", [each.evidence for each in little])
    return passed("room-enough", [each.evidence for each in spaces])
