"""What tests on user models share."""

from datetime import UTC, datetime
from pathlib import Path

from harness.experiments.parity.model_evidence import BackendAnswer
from harness.job.answers import ComputedModel
from tests.unit.records import record

CONFIG = Path(__file__).resolve().parents[2] / "backends.toml"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def answer(**changes):
    """What a backend's workers handed back, of a model with a layer "first"."""
    computed = ComputedModel(
        versions={},
        device="cpu",
        read="0" * 64,
        layers={"first": "Dense"},
        dtype="float32",
        short=(),
        remarks=(),
        n_parameters=1,
        n_samples=6,
    )
    return BackendAnswer(computed=computed, host=record().host, **changes)
