"""Records as versions before 0.6 kept them: a file each, STEM.DIGEST.json. They are only read.

DIGEST begins the SHA-256 of the file's bytes. A session was a folder with a file for each part:
`session`, `g01.start.jax-keras.1`, `g01.b02.1`, `g01.end.jax-keras.1`, `sitting.1`. Content is that
of the formats up to 3 of runs, and up to 2 of parity checks, sessions and checks of models.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import from_json

from harness.errors.safe import short
from harness.job.request import Kept
from harness.records import files
from harness.records.bench import Block, End, Part, Session, Sitting, Start
from harness.spec.faults import sentences

NAME = re.compile(r"^(?P<stem>.+)\.(?P<digest>[0-9a-f]{12})\.json$")
PARTS: tuple[tuple[re.Pattern[str], type[Part]], ...] = (
    (re.compile(r"session"), Session),
    (re.compile(r"g\d{2,}\.b\d{2,}\.\d+"), Block),
    (re.compile(r"g\d{2,}\.start\..+\.\d+"), Start),
    (re.compile(r"g\d{2,}\.end\..+\.\d+"), End),
    (re.compile(r"sitting\.\d+"), Sitting),
)
Model = TypeVar("Model", bound=Kept)


def read(file: Path, model: type[Model]) -> Model | str:
    """Return the record in a file, or the reason why it holds none."""
    name = NAME.match(file.name)
    if name is None:
        return "not a record: expected a name ID.jsonl, or of older versions ID.DIGEST.json"
    content = files.read(file)
    if isinstance(content, str):
        return content
    if hashlib.sha256(content).hexdigest()[:12] != name["digest"]:
        return (
            "torn or edited: its content is not what was written (the digest in its name differs)"
        )
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        return _misfit(content, error, model)


def read_session(folder: Path) -> Iterator[tuple[Path, Part | str]]:
    """Yield the files of a session's folder, each with its part or why it holds none."""
    for name in files.names_in(folder):
        file = folder / name
        stem = stem_of(file)
        model = next((model for pattern, model in PARTS if pattern.fullmatch(stem)), None)
        if model is None and NAME.match(name):
            yield file, f"not a part of a session: no part is called {stem}"
            continue
        part = read(file, model or Session)
        if not isinstance(part, str) and name_of(part) != stem:
            part = f"renamed: it holds {name_of(part)}"
        yield file, part


def name_of(part: Part) -> str:
    """Return what a part's file was called, before its digest; two of one name are one part."""
    match part:
        case Session():
            return "session"
        case Block():
            return f"g{part.generation:02d}.b{part.block:02d}.{part.attempt}"
        case Sitting():
            return f"sitting.{part.number}"
    kind = "start" if isinstance(part, Start) else "end"
    name = part.name.replace("/", "-").replace(" ", "-")
    return f"g{part.generation:02d}.{kind}.{name}.{part.process}"


def stem_of(file: Path) -> str:
    """Return a file's name before its digest, the whole name where it has none."""
    name = NAME.match(file.name)
    return name["stem"] if name else file.name


def newer(version: int, newest: int) -> str:
    """Return why a format after the newest that is known here cannot be read."""
    written = f"format {short(version, 20)}, written by a newer harness"
    return f"{written}; this one reads up to {newest}. Update the harness"


def _misfit(content: bytes, error: ValidationError, model: type[Kept]) -> str:
    """Say why well-kept bytes are no record of this version."""
    try:
        written = from_json(content)
    except ValueError as fault:
        return f"not JSON: {fault}"
    version = written.get("format") if isinstance(written, dict) else None
    newest = model.model_fields["format"].default
    if isinstance(version, int) and version > newest:
        return newer(version, newest)
    return short(f"not a record: {sentences(error, model)[0]}")
