"""The pytest plugin: a fixture for a project's own tests, and two options.

    def test_my_layer_is_the_same_layer_everywhere(backends_agree):
        backends_agree("my_model.py:build", batch="my_model.py:batch")

Nothing but pytest is imported before a test asks for the fixture. A backend without an environment
is an error of the test, never a skip.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.testing import ModelParity


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the plugin's options."""
    group = parser.getgroup("keras-backend-harness")
    backends = "Backends for the fixture backends_agree, between commas; by default all with Keras."
    group.addoption("--harness-backends", metavar="NAMES", default="", help=backends)
    config = "The backends.toml to go by; by default the nearest one from pytest's folder upwards."
    group.addoption("--harness-config", metavar="FILE", default=None, help=config)


@pytest.fixture(scope="session")
def backends_agree(pytestconfig: pytest.Config) -> Callable[..., ModelParity]:
    """Return `harness.testing.assert_backends_agree` for the backends that the options name.

    Raises:
        harness.errors.HarnessError: a backend has no environment, or there is no such backend.
    """
    from harness.testing import assert_backends_agree, check_environments

    asked = str(pytestconfig.getoption("--harness-backends"))
    backends = tuple(name.strip() for name in asked.split(",") if name.strip())
    file = pytestconfig.getoption("--harness-config")
    config = Path(str(file)) if file else None
    check_environments(backends, config)

    def agree(model: str, batch: str | None = None, **given: Any) -> ModelParity:
        __tracebackhide__ = True
        return assert_backends_agree(
            model, batch, **{"backends": backends, "config": config} | given
        )

    return agree
