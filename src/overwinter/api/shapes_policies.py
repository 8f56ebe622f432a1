"""Policies as ARM writes them."""

from overwinter.api.ids import Ids
from overwinter.model.policy import Policy
from overwinter.model.protection import Vault


def policy_shape(ids: Ids, vault: Vault, policy: Policy, item_count: int) -> dict[str, object]:
    """A policy: its document as accepted, with the values in force laid over it."""
    return {
        "id": ids.policy(vault, policy.name),
        "name": policy.name,
        "type": "Microsoft.RecoveryServices/vaults/backupPolicies",
        "properties": {
            **policy.document,
            "backupManagementType": "AzureIaasVM",
            "policyType": policy.type.value,
            "instantRpRetentionRangeInDays": policy.instant_retention_days,
            "protectedItemsCount": item_count,
            "resourceGuardOperationRequests": None,
            "overwinter": {
                "requiredConsistency": policy.required_consistency.value,
                "dailyRetentionDays": policy.daily_retention_days,
            },
        },
    }
