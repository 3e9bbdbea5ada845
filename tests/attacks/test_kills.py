"""Writers killed at random moments; `python -m tests.attacks.kills 500` kills more of them."""

from harness.records import store
from tests.attacks.kills import kill_writers


def test_sixty_kills_lose_and_double_nothing_that_was_finished(tmp_path):
    store.ready(tmp_path)
    assert kill_writers(tmp_path, 60) == []
