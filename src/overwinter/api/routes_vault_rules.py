"""Routes of what a vault forbids: soft delete and immutability."""

from fastapi import APIRouter

from overwinter.api import paths
from overwinter.api.context import TheApi, VaultHere
from overwinter.api.documents import Document
from overwinter.api.requests import VaultRequest
from overwinter.api.requests_rules import VaultConfigRequest
from overwinter.api.shapes_vaults import vault_config_shape, vault_shape

router = APIRouter()

Shape = dict[str, object]

_CONFIG = paths.VAULT + "/backupconfig/vaultconfig"


@router.patch(paths.VAULT)
def patch_vault(vault: VaultHere, document: Document, api: TheApi) -> Shape:
    """Change a vault's rules; what the body leaves out stays as it is."""
    asked = VaultRequest.read(document).properties.security_settings
    changed = api.service.vaults.set_rules(
        vault.name,
        soft_delete=asked.soft_delete,
        soft_delete_days=asked.soft_delete_days,
        immutability=asked.immutability,
    )
    return vault_shape(api.ids, changed)


@router.get(_CONFIG)
def get_config(vault: VaultHere, api: TheApi) -> Shape:
    """Soft delete of a vault, where the backup API has it."""
    return vault_config_shape(api.ids, vault)


@router.put(_CONFIG)
@router.patch(_CONFIG)
def patch_config(vault: VaultHere, document: Document, api: TheApi) -> Shape:
    """Change soft delete of a vault."""
    asked = VaultConfigRequest.read(document)
    changed = api.service.vaults.set_rules(
        vault.name,
        soft_delete=asked.soft_delete,
        soft_delete_days=asked.properties.soft_delete_retention_period_in_days,
        immutability=None,
    )
    return vault_config_shape(api.ids, changed)
