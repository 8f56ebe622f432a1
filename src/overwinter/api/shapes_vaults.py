"""Vaults as ARM writes them."""

from overwinter.api.ids import Ids
from overwinter.api.times import stamp
from overwinter.model.protection import Vault


def vault_shape(ids: Ids, vault: Vault) -> dict[str, object]:
    """A vault. What lies under ``overwinter`` is ours and not part of ARM."""
    return {
        "id": ids.vault(vault),
        "name": vault.name,
        "type": "Microsoft.RecoveryServices/vaults",
        "location": vault.location,
        "tags": {},
        "sku": {"name": "Standard", "tier": "Standard"},
        "identity": None,
        "properties": {
            "provisioningState": "Succeeded",
            "privateEndpointStateForBackup": "None",
            "privateEndpointStateForSiteRecovery": "None",
            "publicNetworkAccess": "Enabled",
            "backupStorageVersion": "V2",
            "securitySettings": {
                "softDeleteSettings": {"softDeleteState": "Disabled", "enhancedSecurityState": "Disabled"},
                "immutabilitySettings": {"state": "Disabled", "configuration": None},
                "multiUserAuthorization": "Disabled",
            },
            "redundancySettings": {
                "standardTierStorageRedundancy": "LocallyRedundant",
                "crossRegionRestore": "Disabled",
            },
            "overwinter": {
                "url": vault.url,
                "keyKind": vault.key_kind.value,
                "keyFile": vault.key_reference,
                "created": stamp(vault.created),
            },
        },
    }
