"""Routes of vaults."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from overwinter.api import paths
from overwinter.api.context import Api, GroupHere, TheApi, VaultHere
from overwinter.api.documents import Document
from overwinter.api.ids import check_vault_name
from overwinter.api.requests import VaultRequest
from overwinter.api.shapes_vaults import vault_shape
from overwinter.model.errors import AlreadyExists, RequestError
from overwinter.model.names import LOCATION

router = APIRouter()

Shape = dict[str, object]


@router.get(paths.SUBSCRIPTION + paths.VAULTS)
def list_vaults(api: TheApi) -> Shape:
    """All vaults."""
    return api.rows([vault_shape(api.ids, vault) for vault in api.service.vaults.every()])


@router.get(paths.GROUP + paths.VAULTS)
def list_vaults_of_group(group: GroupHere, api: TheApi) -> Shape:
    """The vaults of a resource group."""
    vaults = [v for v in api.service.vaults.every() if v.resource_group.casefold() == group.casefold()]
    return api.rows([vault_shape(api.ids, vault) for vault in vaults])


@router.get(paths.VAULT)
def get_vault(vault: VaultHere, api: TheApi) -> Shape:
    """One vault."""
    return vault_shape(api.ids, vault)


@router.put(paths.VAULT)
def put_vault(vault: str, group: GroupHere, document: Document, api: TheApi) -> Response:
    """Make a vault; of an existing one only the rules change, where the body has some."""
    asked = VaultRequest.read(document)
    if asked.location is not None and asked.location.casefold() != LOCATION.casefold():
        raise RequestError(f"There is no location {asked.location!r}; the one here is {LOCATION!r}.")
    existing = next((v for v in api.service.vaults.every() if v.name.casefold() == vault.casefold()), None)
    if existing is not None and existing.resource_group.casefold() != group.casefold():
        raise AlreadyExists(
            f"A vault {existing.name!r} exists in resource group {existing.resource_group!r}."
        )
    check_vault_name(vault)
    own = asked.properties.overwinter
    if own.attach:
        return _attach(api, vault, group, asked)
    made = existing
    if existing is None or own.url is not None or own.key_reference is not None:
        made = api.service.vaults.create(vault, group, own.url, own.key_reference)
    assert made is not None
    rules = asked.properties.security_settings
    if not rules.is_empty:
        made = api.service.vaults.set_rules(
            made.name,
            soft_delete=rules.soft_delete,
            soft_delete_days=rules.soft_delete_days,
            immutability=rules.immutability,
        )
    return JSONResponse(vault_shape(api.ids, made), status_code=201 if existing is None else 200)


@router.delete(paths.VAULT)
def delete_vault(vault: VaultHere, api: TheApi) -> Response:
    """Remove an empty vault; done when answered."""
    api.service.vaults.delete(vault.name)
    return Response(status_code=204)


def _attach(api: Api, vault: str, group: str, asked: VaultRequest) -> Response:
    """Take in a vault that exists; the answer says what of it was new."""
    url, key_reference = asked.check_attachable()
    attached, taken_in = api.service.vaults.attach(vault, group, url, key_reference)
    shape = vault_shape(api.ids, attached)
    return JSONResponse(
        {**shape, "overwinter": {"takenIn": {**vars(taken_in), "problems": list(taken_in.problems)}}}
    )
