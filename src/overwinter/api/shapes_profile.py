"""The service's support profile, which ARM does not know: wholly ours."""

from overwinter.codebook import book
from overwinter.codebook.texts import texts_in
from overwinter.model.policy import MAX_RESTORE_POINTS
from overwinter.model.profile import SupportProfile


def profile_shape(profile: SupportProfile, language: str) -> dict[str, object]:
    """A profile; sizes are bytes, null where there is no limit. ``causes`` are in the order to look."""
    texts = texts_in(language)
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
            {
                "code": profile.code(entry.code),
                "causes": [
                    {"id": cause.id, "text": texts.cause(cause)} for cause in entry.causes_in(profile.edition)
                ],
            }
            for entry in book.entries()
            if entry.editions and entry.causes_in(profile.edition)
        ],
        "otherCodes": dict(profile.other_codes),
    }
