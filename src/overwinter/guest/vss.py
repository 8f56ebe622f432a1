"""What the guest agent says when Windows cannot be frozen, and the codes for it.

On Windows the agent freezes through the Volume Shadow Copy Service (VSS). Its answer to a failure is one
sentence of its own with Windows' text of the error behind it. Facts: ``qga/vss-win32`` of QEMU. Not tried on
a real Windows; the tests have replies made by hand after that source.
"""

from overwinter.model.errors import FreezeFailed

_WRITERS = "ExtensionFailedVssWriterInBadState"
_SERVICE = "ExtensionFailedVssServiceInBadState"
_COM = "ExtensionSnapshotFailedCOM"

#: Parts of the agent's sentences. Writers: they did not answer, or Windows did not hold writes for as long as
#: the freeze took; it does so for 10 s at most.
_SENTENCES = (
    ("couldn't hold writes", _WRITERS),
    ("couldn't receive Frozen event", _WRITERS),
    ("DoSnapshotSet exited without Frozen event", _WRITERS),
    ("failed to gather writer", _WRITERS),
    ("failed to get writer", _WRITERS),
    ("failed to prepare for backup", _WRITERS),
    ("failed to add component", _WRITERS),
    ("failed to create VSS backup components", _COM),
    ("failed to CoInitializeSecurity", _COM),
    ("VSS failed to initialize", _SERVICE),
    ("failed to initialize for backup", _SERVICE),
    ("failed to set backup", _SERVICE),
    ("failed to start snapshot set", _SERVICE),
    ("failed to do snapshot set", _SERVICE),
    ("failed to complete backup", _SERVICE),
    ("unexpected error in VSS provider", _SERVICE),
)


def freeze_code(words: str) -> str:
    """The code for what the agent said when a freeze or thaw failed; the general one unless VSS is named."""
    for sentence, code in _SENTENCES:
        if sentence in words:
            return code
    return FreezeFailed.code
