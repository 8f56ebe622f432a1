"""The service's support profile, which ARM does not know: wholly ours."""

from overwinter.codebook import book
from overwinter.model.policy import MAX_RESTORE_POINTS
from overwinter.model.profile import SupportProfile


def profile_shape(profile: SupportProfile) -> dict[str, object]:
    """A profile; sizes are bytes, null where there is no limit. ``causes`` are in the order to look."""
    return {
        "name": profile.name,
        "maxInstantRestorePoints": MAX_RESTORE_POINTS,
        "newVaultStack": profile.new_stack.value,
        "makesRoomAtLimit": profile.makes_room,
        "needsGuestAgent": profile.needs_agent,
        "disks": [
            {
                "stack": stack.value,
                "maxDiskBytes": limits.largest,
                "maxEncryptedDiskBytes": limits.largest_encrypted or limits.largest,
                "standardSsd": limits.standard_ssd,
            }
            for stack, limits in profile.limits.items()
        ],
        "snapshotRetentionDays": [
            {"policyType": kind.value, "min": fewest, "max": most}
            for kind, (fewest, most) in profile.instant_days.items()
        ],
        "codes": [
            {"code": profile.code(code), "causes": [{"id": c, "text": book.cause(c)} for c in causes]}
            for code, causes in profile.causes.items()
        ],
        "otherCodes": dict(profile.other_codes),
    }
