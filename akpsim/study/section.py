"""What all sections of a study share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Members = Annotated[int, Field(ge=1, le=10_000)]


class Section(BaseModel):
    """A frozen table of a study file; keys it does not know are refused, and what stands below each describes it."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=False, allow_inf_nan=False, use_attribute_docstrings=True
    )
