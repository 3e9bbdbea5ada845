"""What every table of a configuration and every part of a record is: a frozen value."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

Option = str | int | float | bool


class Frozen(BaseModel):
    """A value: immutable, compared by content, strict about types, closed to unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)
