"""Routes of a vault's policies."""

from uuid import uuid4

from fastapi import APIRouter, Query
from fastapi.responses import Response

from overwinter.api import filters, paths
from overwinter.api.context import Api, TheApi, VaultHere
from overwinter.api.documents import Document
from overwinter.api.ids import check_policy_name, find
from overwinter.api.requests_policy import read_policy
from overwinter.api.shapes_policies import policy_shape
from overwinter.model.policy import Policy
from overwinter.model.protection import Vault

router = APIRouter()

Shape = dict[str, object]


@router.get(paths.VAULT + "/backupPolicies")
def list_policies(vault: VaultHere, api: TheApi, filter_text: str = Query("", alias="$filter")) -> Shape:
    """All policies of a vault."""
    rows = [_shape(api, vault, policy) for policy in api.service.policies(vault)]
    return api.rows(filters.select(filter_text, rows))


@router.get(paths.POLICY)
def get_policy(policy: str, vault: VaultHere, api: TheApi) -> Shape:
    """One policy."""
    return _shape(api, vault, _find(api, vault, policy))


@router.put(paths.POLICY)
def put_policy(policy: str, vault: VaultHere, document: Document, api: TheApi) -> Shape:
    """Make or change a policy."""
    existing = next((p for p in api.service.policies(vault) if p.name.casefold() == policy.casefold()), None)
    if existing is None:
        check_policy_name(policy)
    asked = read_policy(
        document,
        policy_id=existing.id if existing else uuid4(),
        vault_id=vault.id,
        name=existing.name if existing else policy,
    )
    return _shape(api, vault, api.service.put_policy(vault, asked))


@router.delete(paths.POLICY)
def delete_policy(policy: str, vault: VaultHere, api: TheApi) -> Response:
    """Remove a policy that no item uses."""
    api.service.delete_policy(vault, _find(api, vault, policy).name)
    return Response(status_code=200)


def _find(api: Api, vault: Vault, name: str) -> Policy:
    return find(api.service.policies(vault), name, lambda policy: policy.name, "policy")


def _shape(api: Api, vault: Vault, policy: Policy) -> Shape:
    return policy_shape(api.ids, vault, policy, api.service.policy_item_count(policy))
