"""What all sections of a study share."""

import types
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

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
        allowed = set(_kinds(cls.model_fields[str(info.field_name)].annotation))
        for item in value if isinstance(value, list | tuple) else [value]:
            for kind, wanted in ((str, "a number, or true or false"), (bool, "a number")):
                if isinstance(item, kind) and allowed <= {int, float, bool, types.NoneType} - {kind}:
                    wanted = "true or false" if allowed == {bool} else "a number" if bool not in allowed else wanted
                    raise ValueError(f"must be {wanted}, got {item!r}")
        return value


def _kinds(annotation: Any) -> Iterator[Any]:
    """Yield the types at the bottom of an annotation: int and None of a tuple of int, or None."""
    inner = [part for part in get_args(annotation) if part is not ...]
    if get_origin(annotation) is Annotated:
        inner = inner[:1]
    if not inner:
        yield annotation
    for part in inner:
        yield from _kinds(part)
