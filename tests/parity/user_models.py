"""What tests on user models share."""

from datetime import UTC, datetime
from pathlib import Path

CONFIG = Path(__file__).resolve().parents[2] / "backends.toml"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
