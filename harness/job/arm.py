"""The identity of an arm: one value, with one text, wherever arms are named or compared."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.spec.frozen import Option

PLAIN = re.compile(r"[\w./-]+")


@dataclass(frozen=True, slots=True)
class ArmId:
    """One implementation, in one environment, as it is asked for."""

    backend: str  # its table in backends.toml, with an environment of its own
    framework: str  # that computes there; several backends may have one
    arm: str
    module: str
    options: tuple[tuple[str, Option], ...] = ()  # sorted by name

    @classmethod
    def of(
        cls, backend: str, framework: str, arm: str, module: str, options: Mapping[str, Option]
    ) -> ArmId:
        """Return the identity of an arm.

        Args:
            backend: the name of its table in backends.toml.
            framework: that computes there; empty in records made before a backend could have
                another name than its framework.
            arm: its name among the backend's arms.
            module: see `harness.spec.arm_modules`.
            options: in any order.
        """
        return cls(backend, framework or backend, arm, module, tuple(sorted(options.items())))

    @property
    def name(self) -> str:
        """What a table shows and a command line takes: "jax/keras"."""
        return f"{self.backend}/{self.arm}"

    @property
    def fields(self) -> dict[str, Any]:
        """What a record keeps of it: the fields of `harness.job.request.OfAnArm`."""
        return {
            "backend": self.backend,
            "framework": self.framework,
            "implementation": self.arm,
            "module": self.module,
            "options": dict(self.options),
        }

    @property
    def asked(self) -> str:
        """What is run: the module, quoted where it is no plain name; options as JSON if any."""
        module = self.module
        if not PLAIN.fullmatch(module):
            module = json.dumps(module, ensure_ascii=False)
        options = json.dumps(dict(self.options), ensure_ascii=False)
        return f"{module} {options}" if self.options else module

    def __str__(self) -> str:
        """Return the canonical text, as 'jax-next[jax]/keras = keras_fit {"jit_compile": true}'."""
        backend = self.backend
        if self.framework != backend:
            backend = f"{backend}[{self.framework}]"
        return f"{backend}/{self.arm} = {self.asked}"

    @classmethod
    def parse(cls, text: str) -> ArmId:
        """Return the identity of a canonical text.

        Raises:
            ValueError: it is none.
        """
        name, equals, asked = text.partition(" = ")
        where, slash, arm = name.partition("/")
        backend, _, framework = where.removesuffix("]").partition("[")
        if asked.startswith('"'):
            module, end = json.JSONDecoder().raw_decode(asked)
            options = asked[end:].removeprefix(" ")
        else:
            module, _, options = asked.partition(" ")
        found = cls.of(backend, framework, arm, module, json.loads(options or "{}"))
        if not (equals and slash) or str(found) != text:
            raise ValueError(f"expected BACKEND[FRAMEWORK]/ARM = MODULE {{OPTIONS}}; got {text!r}")
        return found
