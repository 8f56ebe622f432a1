"""What stood still at a recovery point; ours, not part of ARM."""

from overwinter.model.freeze import FreezeRecord


def freeze_shape(record: FreezeRecord) -> dict[str, object]:
    """A freeze record; ``frozen`` and ``skipped`` together are the file systems that the guest told of."""
    scripts = record.scripts
    return {
        "method": record.method.value,
        "extensionVersion": record.version or None,
        "reason": record.reason or None,
        "guestMs": record.guest_ms,
        "frozen": [
            {"mountPoint": mount.point, "source": mount.source, "fileSystem": mount.type}
            for mount in record.frozen
        ],
        "skipped": [
            {"mountPoint": mount.point, "fileSystem": mount.type, "reason": mount.sentence}
            for mount in record.skipped
        ],
        "unlisted": record.unlisted,
        "scripts": {
            "configured": scripts.configured,
            "succeeded": scripts.at_rest,
            "message": scripts.message or None,
        },
    }
