"""All findings of a document as JSON, for programs."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from harness.report.document import Document

PLAIN = (str, int, float, type(None))  # what JSON can say as it is


def render(document: Document) -> str:
    """Return the findings; nothing (null) stands where a number is not known or not finite."""
    return json.dumps(plain(document.data), indent=1, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """Return what JSON can say."""
    if isinstance(value, BaseModel):
        return plain(value.model_dump(mode="json"))
    if dataclasses.is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, PLAIN) else str(value)
