"""No configuration, however hostile, is more than a sentence: no traceback, no hang, no flood."""

import tempfile
from pathlib import Path

from hypothesis import given, settings

from tests.attacks import configurations


@settings(max_examples=1500, deadline=None, database=None)
@given(configurations.CONFIGURATIONS)
def test_a_hostile_configuration_is_read_or_refused_in_sentences(content):
    with tempfile.TemporaryDirectory() as folder:
        configurations.check(content, Path(folder))
