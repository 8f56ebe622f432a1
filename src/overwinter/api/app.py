"""The ASGI application: routes, error answers, and the layers around them."""

from dataclasses import replace
from uuid import uuid4

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from overwinter.api import (
    routes_bundle,
    routes_collections,
    routes_doctor,
    routes_extensions,
    routes_groups,
    routes_items,
    routes_jobs,
    routes_locks,
    routes_machines,
    routes_point_deletion,
    routes_points,
    routes_policies,
    routes_repairs,
    routes_vault_rules,
    routes_vault_work,
    routes_vaults,
)
from overwinter.api.context import audience, known_subscription
from overwinter.api.guard import BearerToken, Envelope
from overwinter.api.paths import CanonicalPaths
from overwinter.api.port import Doctor, Service
from overwinter.api.shapes_errors import error
from overwinter.model.errors import MethodNotAllowed, NotFound, OverwinterError, RequestError
from overwinter.model.job import JobError


def create_app(service: Service, doctor: Doctor, token: str) -> FastAPI:
    """The whole API over one service; callers must send ``Authorization: Bearer <token>``."""
    app = FastAPI(title="Overwinter", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.service = service
    app.state.doctor = doctor
    routers = [
        module.router
        for module in (
            routes_machines, routes_vaults, routes_vault_rules, routes_vault_work, routes_policies,
            routes_items, routes_points, routes_point_deletion, routes_jobs, routes_groups,
            routes_collections, routes_locks, routes_doctor, routes_repairs, routes_extensions, routes_bundle,
        )
    ]  # fmt: skip
    app.include_router(routes_machines.subscriptions)
    for router in routers:
        app.include_router(router, dependencies=[Depends(known_subscription)])
    app.add_exception_handler(OverwinterError, _expected)
    app.add_exception_handler(HTTPException, _no_route)
    app.add_exception_handler(RequestValidationError, _not_valid)
    # The layer added last is the outermost.
    app.add_middleware(CanonicalPaths, templates=_templates([routes_machines.subscriptions, *routers]))
    app.add_middleware(BearerToken, token=token)
    app.add_middleware(Envelope, new_id=uuid4)
    return app


def _templates(routers: list[APIRouter]) -> list[str]:
    return [route.path for router in routers for route in router.routes if isinstance(route, APIRoute)]


async def _expected(request: Request, problem: Exception) -> JSONResponse:
    assert isinstance(problem, OverwinterError)
    code = request.app.state.service.profile.code(problem.code)
    told = replace(JobError.of(problem), code=code)
    return JSONResponse(error(told, audience(request)), status_code=problem.http_status)


async def _no_route(request: Request, problem: Exception) -> JSONResponse:
    assert isinstance(problem, HTTPException)
    if problem.status_code == 405:
        return await _expected(request, MethodNotAllowed(f"{request.method} is not possible here."))
    if problem.status_code == 404:
        return await _expected(request, NotFound("There is no resource with this address."))
    return await _expected(request, RequestError(str(problem.detail)))


async def _not_valid(request: Request, problem: Exception) -> JSONResponse:
    assert isinstance(problem, RequestValidationError)
    places = [".".join(str(part) for part in row["loc"]) for row in problem.errors()]
    return await _expected(request, RequestError(f"The request does not fit: {', '.join(places)}."))
