"""What all sections of a study share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# Strict, or text and truth values would be turned into numbers; lists are not, or TOML could give no tuple.
Flag = Annotated[bool, Field(strict=True)]
Whole = Annotated[int, Field(strict=True)]
Real = Annotated[float, Field(strict=True)]
Fraction = Annotated[Real, Field(ge=0, le=1)]
Count = Annotated[Whole, Field(ge=1, le=1_000_000)]
Members = Annotated[Whole, Field(ge=1, le=10_000)]


class Section(BaseModel):
    """A frozen table of a study file; keys it does not know are refused, and what stands below each describes it."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=False, allow_inf_nan=False, use_attribute_docstrings=True
    )
