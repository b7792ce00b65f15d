"""What all sections of a study share."""

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Members = Annotated[int, Field(ge=1, le=10_000)]


class Section(BaseModel):
    """A frozen table of a study file; keys it does not know are refused, and what stands below each describes it."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=False, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_text_for_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse text and truth values where a number is meant, which pydantic would turn into one."""
        listed = isinstance(value, list | tuple)
        alternatives = list(_alternatives(cls.model_fields[str(info.field_name)].annotation))
        allowed = {kind for one in alternatives if (get_origin(one) is tuple) == listed for kind in _kinds(one)}
        for item in _leaves(value):
            if allowed - {types.NoneType} and allowed <= NUMBERS - {type(item)} and isinstance(item, str | bool):
                wanted = "true or false" if allowed == {bool} else "a number"
                raise ValueError(f"must be {wanted}, got {item!r}")
        return value


NUMBERS = {int, float, bool, types.NoneType}


def _alternatives(annotation: Any) -> Iterator[Any]:
    """Yield what a value may be: int and None of `int | None`."""
    inner = get_args(annotation)
    if get_origin(annotation) is Annotated:
        yield from _alternatives(inner[0])
    elif get_origin(annotation) in (Union, types.UnionType):
        for one in inner:
            yield from _alternatives(one)
    else:
        yield annotation


def _kinds(annotation: Any) -> Iterator[Any]:
    """Yield the types at the bottom of an annotation: int of a tuple of int."""
    for one in _alternatives(annotation):
        inner = [part for part in get_args(one) if part is not ...]
        for part in inner:
            yield from _kinds(part)
        if not inner:
            yield one


def _leaves(value: Any) -> Iterator[Any]:
    """Yield what a list of lists holds, or the value itself."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield value
