"""What the guest agent says when Windows cannot be frozen, and which error it is.

On Windows the agent freezes through the Volume Shadow Copy Service (VSS). Its answer to a failure is one
sentence of its own with Windows' text of the error behind it. Facts: ``qga/vss-win32`` of QEMU. Not tried on
a real Windows; the tests have replies made by hand after that source.
"""

from overwinter.model.errors import ComFailed, FreezeFailed, VssServiceFailed, VssWriterFailed

#: Parts of the agent's sentences. Writers: they did not answer, or Windows did not hold writes for as long as
#: the freeze took; it does so for 10 s at most.
_SENTENCES: tuple[tuple[str, type[FreezeFailed]], ...] = (
    ("couldn't hold writes", VssWriterFailed),
    ("couldn't receive Frozen event", VssWriterFailed),
    ("DoSnapshotSet exited without Frozen event", VssWriterFailed),
    ("failed to gather writer", VssWriterFailed),
    ("failed to get writer", VssWriterFailed),
    ("failed to prepare for backup", VssWriterFailed),
    ("failed to add component", VssWriterFailed),
    ("failed to create VSS backup components", ComFailed),
    ("failed to CoInitializeSecurity", ComFailed),
    ("VSS failed to initialize", VssServiceFailed),
    ("failed to initialize for backup", VssServiceFailed),
    ("failed to set backup", VssServiceFailed),
    ("failed to start snapshot set", VssServiceFailed),
    ("failed to do snapshot set", VssServiceFailed),
    ("failed to complete backup", VssServiceFailed),
    ("unexpected error in VSS provider", VssServiceFailed),
)


def freeze_failure(words: str) -> type[FreezeFailed]:
    """What the agent's words about a failed freeze or thaw mean; the general error unless VSS is named."""
    for sentence, failure in _SENTENCES:
        if sentence in words:
            return failure
    return FreezeFailed
