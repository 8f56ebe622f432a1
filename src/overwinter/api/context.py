"""What every route starts from: the service, the ids, and the resources that the address names."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import Depends, Request
from fastapi.responses import Response

from overwinter.api.ids import Ids, check_group_name, find, vm_of_item_name
from overwinter.api.port import Doctor, Service
from overwinter.api.shapes_errors import Audience
from overwinter.codebook import languages
from overwinter.model.errors import NotFound
from overwinter.model.job import Job
from overwinter.model.names import DEFAULT_RESOURCE_GROUP
from overwinter.model.policy import Policy
from overwinter.model.protection import ProtectedItem, Vault

#: Rows per answer of a list; the rest is behind ``nextLink``.
PAGE_ROWS = 500

_DEFAULT_API_VERSION = "2026-10-01"


@dataclass(frozen=True)
class Api:
    """One request's view of the service."""

    service: Service
    ids: Ids
    request: Request
    now: datetime
    doctor: Doctor

    @property
    def audience(self) -> Audience:
        """For whom problems are written in the answer."""
        return audience(self.request)

    def link(self, path: str, **query: str) -> str:
        """Absolute address of a path on this server, for the api-version the client speaks."""
        version = self.request.query_params.get("api-version", _DEFAULT_API_VERSION)
        pairs = [f"api-version={quote(version)}", *(f"{quote(k)}={quote(v)}" for k, v in query.items())]
        return f"{str(self.request.base_url).rstrip('/')}{quote(path, safe='/;')}?{'&'.join(pairs)}"

    def rows(self, rows: Sequence[dict[str, object]]) -> dict[str, object]:
        """The page of a list that the client asks for, with the link to the next."""
        token = self.request.query_params.get("$skipToken", "0")
        start = int(token) if token.isascii() and token.isdecimal() and len(token) < 10 else 0
        page: dict[str, object] = {"value": list(rows[start : start + PAGE_ROWS])}
        if start + PAGE_ROWS < len(rows):
            asked = {
                k: v for k, v in self.request.query_params.items() if k not in ("api-version", "$skipToken")
            }
            page["nextLink"] = self.link(
                self.request.url.path, **asked, **{"$skipToken": str(start + PAGE_ROWS)}
            )
        return page

    def accepted(self, item_id: str, job: Job) -> Response:
        """202 with an empty body: the job runs, and clients follow the operation of the same id."""
        return Response(
            status_code=202,
            headers={
                "Azure-AsyncOperation": self.link(f"{item_id}/operationsStatus/{job.id}"),
                "Location": self.link(f"{item_id}/operationResults/{job.id}"),
                "Retry-After": "1",
            },
        )

    def policy_of(self, vault: Vault, item: ProtectedItem) -> Policy | None:
        """The policy of an item; null when it no longer exists."""
        return next((p for p in self.service.policies(vault) if p.id == item.policy_id), None)


def audience(request: Request) -> Audience:
    """The language of a request's sender, and the edition that the service behaves like."""
    service: Service = request.app.state.service
    language = languages.of_header(request.headers.get("accept-language", ""))
    return Audience(language, service.profile.edition)


def api(request: Request) -> Api:
    """The view of the service for a request."""
    service: Service = request.app.state.service
    doctor: Doctor = request.app.state.doctor
    return Api(service, Ids(service.subscription_id), request, datetime.now(UTC), doctor)


TheApi = Annotated[Api, Depends(api)]


def known_subscription(subscription: str, api: TheApi) -> None:
    """Raise NotFound unless the address names the one subscription of this service."""
    if subscription.casefold() != str(api.service.subscription_id):
        raise NotFound(f"There is no subscription {subscription!r}.")


def group_of_path(group: str) -> str:
    """The resource group in the address, by a name that a group can have."""
    check_group_name(group)
    return group


GroupHere = Annotated[str, Depends(group_of_path)]


def vault_of_path(vault: str, group: GroupHere, api: TheApi) -> Vault:
    """The vault that the address names; NotFound."""
    rows = [row for row in api.service.vaults.every() if row.resource_group.casefold() == group.casefold()]
    return find(rows, vault, lambda row: row.name, "vault")


VaultHere = Annotated[Vault, Depends(vault_of_path)]


def item_of_path(item: str, vault: VaultHere, api: TheApi) -> ProtectedItem:
    """The protected item that the address names; NotFound."""
    return find(api.service.items(vault), vm_of_item_name(item), lambda row: row.vm_name, "protected item")


ItemHere = Annotated[ProtectedItem, Depends(item_of_path)]


def find_job(api: Api, vault: Vault, name: str) -> Job:
    """The job of that id, if it is the vault's; NotFound."""
    try:
        number = UUID(name)
    except ValueError:
        raise NotFound(f"There is no job {name!r}: a job is named by its id.") from None
    job = api.service.job(number)
    if job.vault_id != vault.id:
        raise NotFound(f"There is no job {name!r} in vault {vault.name!r}.")
    return job


def job_of_path(job: str, vault: VaultHere, api: TheApi) -> Job:
    """The job that the address names; NotFound."""
    return find_job(api, vault, job)


JobHere = Annotated[Job, Depends(job_of_path)]


def in_default_group(group: str) -> bool:
    """Whether a name means the group that all VMs are in."""
    return group.casefold() == DEFAULT_RESOURCE_GROUP.casefold()
