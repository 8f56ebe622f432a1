"""Routes of management locks, on a resource group or on a restore point collection."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse, Response

from overwinter.api import paths
from overwinter.api.context import GroupHere, TheApi
from overwinter.api.documents import ArmModel, Document
from overwinter.api.shapes_collections import lock_shape
from overwinter.api.words import Word
from overwinter.model.errors import LockNotFound
from overwinter.model.lock import LockLevel, LockScope

router = APIRouter()

Shape = dict[str, object]

_OF_GROUP = paths.GROUP + paths.LOCKS
_OF_COLLECTION = paths.COLLECTION + paths.LOCKS


class _Level(Word):
    CAN_NOT_DELETE = LockLevel.CAN_NOT_DELETE.value
    READ_ONLY = LockLevel.READ_ONLY.value


class _LockProperties(ArmModel):
    level: _Level
    notes: str | None = None


class LockRequest(ArmModel):
    """Body of PUT lock."""

    properties: _LockProperties


def group_scope(group: GroupHere) -> LockScope:
    """The resource group of the address."""
    return LockScope(group)


def collection_scope(group: GroupHere, collection: str) -> LockScope:
    """The collection of the address."""
    return LockScope(group, collection)


OnGroup = Annotated[LockScope, Depends(group_scope)]
OnCollection = Annotated[LockScope, Depends(collection_scope)]


@router.get(paths.SUBSCRIPTION + paths.LOCKS)
def list_locks(api: TheApi) -> Shape:
    """All locks."""
    return api.rows([lock_shape(api.ids, lock) for lock in api.service.points.locks()])


@router.get(_OF_GROUP)
def list_locks_of_group(scope: OnGroup, api: TheApi) -> Shape:
    """The locks of a resource group and of what is in it."""
    return _list(scope, api)


@router.get(_OF_COLLECTION)
def list_locks_of_collection(scope: OnCollection, api: TheApi) -> Shape:
    """The locks of a collection itself."""
    return _list(scope, api)


@router.get(_OF_GROUP + "/{lock}")
def get_lock_of_group(lock: str, scope: OnGroup, api: TheApi) -> Shape:
    """One lock of a resource group."""
    return lock_shape(api.ids, api.service.points.lock(scope, lock))


@router.get(_OF_COLLECTION + "/{lock}")
def get_lock_of_collection(lock: str, scope: OnCollection, api: TheApi) -> Shape:
    """One lock of a collection."""
    return lock_shape(api.ids, api.service.points.lock(scope, lock))


@router.put(_OF_GROUP + "/{lock}")
def put_lock_on_group(lock: str, scope: OnGroup, document: Document, api: TheApi) -> Response:
    """Lock a resource group, or change its lock of that name."""
    return _put(lock, scope, document, api)


@router.put(_OF_COLLECTION + "/{lock}")
def put_lock_on_collection(lock: str, scope: OnCollection, document: Document, api: TheApi) -> Response:
    """Lock a collection, or change its lock of that name."""
    return _put(lock, scope, document, api)


@router.delete(_OF_GROUP + "/{lock}")
def delete_lock_of_group(lock: str, scope: OnGroup, api: TheApi) -> Response:
    """Remove a lock of a resource group; one that is not there is removed already."""
    return _delete(lock, scope, api)


@router.delete(_OF_COLLECTION + "/{lock}")
def delete_lock_of_collection(lock: str, scope: OnCollection, api: TheApi) -> Response:
    """Remove a lock of a collection; one that is not there is removed already."""
    return _delete(lock, scope, api)


def _list(scope: LockScope, api: TheApi) -> Shape:
    found = [lock for lock in api.service.points.locks() if scope.covers(lock.scope)]
    return api.rows([lock_shape(api.ids, lock) for lock in found])


def _put(name: str, scope: LockScope, document: Document, api: TheApi) -> Response:
    asked = LockRequest.read(document).properties
    is_new = not any(
        lock.name.casefold() == name.casefold() and lock.scope.covers(scope) and scope.covers(lock.scope)
        for lock in api.service.points.locks()
    )
    lock = api.service.points.put_lock(scope, name, LockLevel(asked.level.value), asked.notes)
    return JSONResponse(lock_shape(api.ids, lock), status_code=201 if is_new else 200)


def _delete(name: str, scope: LockScope, api: TheApi) -> Response:
    try:
        api.service.points.delete_lock(scope, name)
    except LockNotFound:
        return Response(status_code=204)
    return Response(status_code=200)
