"""Policies as ARM writes them."""

from overwinter.api.ids import Ids
from overwinter.model.policy import Policy
from overwinter.model.policy_document import extension_document
from overwinter.model.protection import Vault


def policy_shape(ids: Ids, vault: Vault, policy: Policy, item_count: int) -> dict[str, object]:
    """A policy: its document as it was sent, with what is in force where that said nothing."""
    return {
        "id": ids.policy(vault, policy.name),
        "name": policy.name,
        "type": "Microsoft.RecoveryServices/vaults/backupPolicies",
        "properties": {
            "snapshotConsistencyType": None,
            **policy.document,
            "instantRpRetentionRangeInDays": policy.instant_retention_days,
            "protectedItemsCount": item_count,
            "resourceGuardOperationRequests": None,
            "overwinter": extension_document(policy.content.extension),
        },
    }
