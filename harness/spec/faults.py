"""One sentence for each fault of a validation: where, expected, received, probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from harness.errors import LISTED, choice, clipped, nearest, shown

N_FAULTS, N_SHOWN = 50, 10  # looked at, said
NAMES_OF_TYPES = {"tuple_type": "list", "dict_type": "table", "model_type": "table"}
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def fault(message: str, kind: Literal["sentence", "key"] = "sentence") -> PydanticCustomError:
    """Return the error whose message is what the user reads; a "key" begins with the wrong key."""
    return PydanticCustomError(kind, "{message}", {"message": message})


def unknown_arm(known: Iterable[str], name: str, *, given: bool) -> str:
    """Return what is said of an arm that no backend has.

    Args:
        known: the arms of all backends.
        name: the arm.
        given: whether the file names it; else it is the default of a key that is missing.
    """
    if given:
        return choice(known, name)
    several = list(known)
    expected = f"expected some of {clipped(', '.join(several), LISTED)}"
    missing = f"the key is missing, and its default, {name}, is an arm of no backend"
    return f'{expected}; {missing}. Add it, as arms = ["{several[0]}"]'


def sentences(error: ValidationError, root: type[BaseModel]) -> list[str]:
    """Return one sentence for each of the first faults in a `root`: where, expected, received."""
    details = error.errors(include_url=False)[:N_FAULTS]
    unknown = [each for each in details if each["type"] == "extra_forbidden"]
    said: list[tuple[tuple[int | str, ...], str, str]] = []
    meant: set[tuple[Any, ...]] = set()
    for detail in unknown:
        place, key = detail["loc"][:-1], detail["loc"][-1]
        known = _model(root, place).model_fields
        said.append((place, f"unknown key: {choice(known, key)}", ": "))
        meant.add((*place, nearest(known, key)))
    said += [
        (each["loc"], expectation(each), " " if each["type"] == "key" else ": ")
        for each in details
        if each not in unknown and not _is_said_elsewhere(each, details, meant)
    ]
    sentences = [
        f"{_place(place)}{joint}{what}".removeprefix("" if place else joint)
        for place, what, joint in said
    ]
    left = error.error_count() - len(details) + len(sentences[N_SHOWN:])
    return [*sentences[:N_SHOWN], f"and {left} more"] if left else sentences


def _is_said_elsewhere(
    detail: ErrorDetails, details: list[ErrorDetails], meant: set[tuple[Any, ...]]
) -> bool:
    """Say whether a key is not missing but misspelt, or a fault inside says it all.

    pydantic counts both what it refused inside, and what that lies in.
    """
    place = detail["loc"]
    if detail["type"] == "missing" and place in meant:
        return True
    inner = (other["loc"] for other in details if len(other["loc"]) > len(place))
    return any(location[: len(place)] == place for location in inner)


def _model(kind: Any, location: tuple[int | str, ...]) -> type[BaseModel]:
    """Return the model at a location in an annotation, through fields, dicts, tuples, unions."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return (
            _model(kind.model_fields[str(location[0])].annotation, location[1:])
            if location
            else kind
        )
    bare = map(_bare, get_args(kind))
    models = [part for part in bare if isinstance(part, type) and issubclass(part, BaseModel)]
    if get_origin(kind) is UnionType and len(models) == 1:  # a model or None
        return _model(models[0], location)
    tagged = (
        {get_args(model.model_fields["name"].annotation)[0]: model for model in models}
        if len(models) > 1
        else {}
    )
    return _model(tagged.get(location[0], models[0]), location[1:])


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _place(location: tuple[int | str, ...]) -> str:
    """Return '[specs.mnist] layers[0].units' for ('specs', 'mnist', 'layers', 0, 'units')."""
    depth = 2 if location and location[0] in ("specs", "backends", "sweeps", "engines") else 1
    table, rest = location[:depth], location[depth:]
    # pydantic puts a union's tag into the path ("optimizer", "rmsprop", "rho"): no key of the file.
    keys = [
        part
        for index, part in enumerate(rest)
        if part != "[key]" and not (index == 1 and rest[0] == "optimizer")
    ]
    path = "".join(
        f"[{key}]" if isinstance(key, int) else f".{_key(key)}" for key in keys
    ).removeprefix(".")
    return f"[{'.'.join(map(_key, table))}] {path}".strip() if table else path


def _key(key: int | str) -> str:
    """Return a key as it stands in the file, quoted where TOML quotes it, at most 40 characters."""
    text = str(key)
    return clipped(text if BARE_KEY.fullmatch(text) else shown(text), 40)


def expectation(detail: ErrorDetails) -> str:
    """Return 'expected ...; received ...' for one of pydantic's errors."""
    context: Mapping[str, Any] = detail.get("ctx", {})
    received = detail["input"]
    if kind := NAMES_OF_TYPES.get(detail["type"]):
        return f"expected a {kind}; received {shown(received)}"
    match detail["type"]:
        case "sentence" | "key":
            return detail["msg"]
        case "missing":
            return "expected a value; the key is missing"
        case "union_tag_not_found":
            key = _names(context["discriminator"])[0]
            return f"expected a key {key!r}; received {shown(received)}"
        case "union_tag_invalid":
            return choice(_names(context["expected_tags"]), context["tag"])
        case "literal_error":
            return choice(_names(context["expected"]), received)
        case "too_short":
            return f"expected at least {context['min_length']}; received {shown(received)}"
        case "too_long":
            length = context["actual_length"] or "more"
            return f"expected at most {context['max_length']}; received {length}"
        case _:
            wanted = (
                detail["msg"]
                .replace("Input should be", "expected")
                .replace("String should", "expected to")
            )
            return f"{wanted}; received {shown(received)}"


def _names(listed: str) -> list[str]:
    """Return [a, b, c] for pydantic's "'a', 'b' or 'c'"."""
    return re.findall(r"'([^']*)'", listed)
