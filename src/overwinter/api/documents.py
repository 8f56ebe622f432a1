"""Reading the JSON document of a request: bounded in size and depth, forgiving in what does not matter.

Clients of the ARM dialect spell property names in several cases and send numbers as strings; unknown
properties and nulls are accepted.
"""

import json
from typing import Annotated, Any, Self

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from overwinter.model.errors import RequestError, RequestTooLarge

MAX_BODY_BYTES = 1024 * 1024
MAX_DEPTH = 32

JsonObject = dict[str, Any]


async def read_document(request: Request) -> JsonObject:
    """The request's body as a JSON object; an empty body is an empty object.

    Raises RequestTooLarge, or RequestError when it is not a JSON object that can be stored as text.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise RequestTooLarge(f"The body is larger than {MAX_BODY_BYTES} bytes.")
    if not body.strip():
        return {}
    try:
        document = json.loads(body, parse_constant=_refuse_constant)
    except RecursionError:
        raise RequestError(f"The JSON of the body is nested deeper than {MAX_DEPTH} levels.") from None
    except ValueError as error:  # bad JSON, bad UTF-8, a number of thousands of digits
        raise RequestError(f"The body is not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise RequestError("The body must be a JSON object.")
    _check_storable(document)
    return document


Document = Annotated[JsonObject, Depends(read_document)]


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _check_storable(document: JsonObject) -> None:
    level: list[object] = [document]
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        for value in level:
            if isinstance(value, dict):
                below += [*value.keys(), *value.values()]
            elif isinstance(value, list):
                below += value
            elif isinstance(value, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value):
                raise RequestError(
                    "The body holds a character that is no text (NUL or half a surrogate pair)."
                )
        if not below:
            return
        level = below
    raise RequestError(f"The JSON of the body is nested deeper than {MAX_DEPTH} levels.")


class ArmModel(BaseModel):
    """Base of what is read from requests: camelCase names in any letter case, scalars coerced."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        coerce_numbers_to_str=True,
        frozen=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _spell_canonically(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        known = {field.alias.casefold(): field.alias for field in cls.model_fields.values() if field.alias}
        # A null means the same as leaving the property out.
        return {
            known.get(str(name).casefold(), name): content
            for name, content in value.items()
            if content is not None
        }

    @classmethod
    def read(cls, document: JsonObject) -> Self:
        """Read a document; raises RequestError that names the properties that do not fit."""
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            problems = [
                f"{'.'.join(str(place) for place in problem['loc'])}: {problem['msg']}"
                for problem in error.errors(include_url=False, include_input=False)[:5]
            ]
            raise RequestError(f"The body does not fit: {'; '.join(problems)}.") from None
