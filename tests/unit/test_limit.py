"""A worker's limits and the check of its clock, by a stand-in for a framework that spends the
seconds of a clock of its own. NumPy only.
"""

import math
import sys
import types

import numpy as np
import pytest

from harness.worker import clock, facts
from harness.worker.frameworks import numpy as numpy_framework
from harness.worker.jobs import limit, self_check

SPEC = types.SimpleNamespace(
    batch_size=128, layers=[types.SimpleNamespace(units=512), types.SimpleNamespace(units=10)]
)
ROUND_S = 1e-3


class Promise:
    """What an asynchronous framework returns: its device needs some seconds more."""

    def __init__(self, ready_at):
        self.ready_at = ready_at


@pytest.fixture
def now(monkeypatch):
    time = types.SimpleNamespace(now=100.0)
    time.perf_counter = lambda: time.now
    monkeypatch.setattr(self_check, "SIDE", 8)
    for module in (limit, self_check, clock):
        monkeypatch.setattr(module, "time", time)
    return time


def framework(now, waits=True, asynchronous=True, seconds=lambda a, b, form: (ROUND_S,)):
    """A framework that multiplies nothing: each of its ways spends so many seconds a round."""

    def catch_up(promise):
        now.now = max(now.now, promise.ready_at)

    def way(round_s):
        def begin(rounds):
            promise = Promise(now.now + 1e-5 + rounds * round_s)
            if not asynchronous:
                catch_up(promise)
            now.now += 1e-5
            return promise

        return begin

    return types.SimpleNamespace(
        product=lambda a, b, form: tuple(way(each) for each in seconds(a, b, form)),
        addition=lambda n: (way(2e-4), way(1e-4)),
        smallest_call=lambda: (way(3e-6),),
        wait=lambda promises: [catch_up(promise) for promise in promises] if waits else None,
        read=catch_up,
    )


def test_a_step_s_products_are_forward_and_two_gradients_of_each_layer_but_the_first_one_s_inputs():
    products = list(limit.products(SPEC, 784))
    assert products == [
        (128, 784, 512, "nn"),
        (784, 128, 512, "tn"),
        (128, 512, 10, "nn"),
        (512, 128, 10, "tn"),
        (128, 10, 512, "nt"),
    ]
    assert sum(limit.flops(product) for product in products) == 128 * 1_636_352


def test_factors_lie_in_memory_as_the_form_says():
    random = np.random.default_rng(0)
    assert [factor.shape for factor in limit._factors((2, 3, 5, "nn"), random)] == [(2, 3), (3, 5)]
    assert [factor.shape for factor in limit._factors((2, 3, 5, "tn"), random)] == [(3, 2), (3, 5)]
    assert [factor.shape for factor in limit._factors((2, 3, 5, "nt"), random)] == [(2, 3), (5, 3)]


def test_the_rate_of_products_is_that_of_the_fastest_way_and_form_of_each(now):
    ways = {"nn": (4e-3, 2e-3), "tn": (1e-3, 9e-3), "nt": (5e-3,)}
    rates = limit.rates(framework(now, seconds=lambda a, b, form: ways[form]), SPEC, 784, 469)
    exact = 2e-3 + 1e-3 + 2e-3 + 1e-3 + 2e-3  # the last one transposed
    assert rates.gemm_flops_per_s == pytest.approx(128 * 1_636_352 / exact, rel=0.02)
    assert rates.bandwidth_bytes_per_s == pytest.approx(12 * 407_050 / 1e-4, rel=0.02)
    assert rates.dispatch_s == pytest.approx(3e-6, rel=0.02)
    assert rates.n_dispatches == 469


def test_a_limit_is_measured_to_the_end_of_the_device_s_work(now):
    least_s = limit.least_s(framework(now), framework(now).addition(1))
    assert least_s == pytest.approx(1e-4, rel=0.02)


def test_numpy_itself_gives_positive_finite_rates(monkeypatch):
    monkeypatch.setattr(limit, "REPETITION_S", 1e-4)
    small = types.SimpleNamespace(
        batch_size=8, layers=[types.SimpleNamespace(units=4), types.SimpleNamespace(units=3)]
    )
    rates = limit.rates(numpy_framework, small, 5, 1)
    assert all(math.isfinite(figure) and figure > 0 for figure in vars(rates).values())


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_wait_that_waits_leaves_nothing_to_do(now, asynchronous):
    found = self_check.wait_is_effective(framework(now, asynchronous=asynchronous))
    assert found.holds
    assert found.timed_s == pytest.approx(self_check.WORK_S, rel=0.1)
    assert found.asynchronous == asynchronous


def test_a_wait_that_does_not_wait_fails_the_check(now):
    found = self_check.wait_is_effective(framework(now, waits=False))
    assert not found.holds
    assert found.left_s == pytest.approx(self_check.WORK_S, rel=0.1)
    assert found.asynchronous


def test_a_wait_that_comes_back_too_early_by_a_tenth_fails_the_check(now):
    hasty = framework(now)
    whole = hasty.wait
    hasty.wait = lambda promises: whole(
        [Promise(promise.ready_at - 0.1 * self_check.WORK_S) for promise in promises]
    )
    assert not self_check.wait_is_effective(hasty).holds


def test_memory_has_each_figure_under_its_label():
    framework = types.SimpleNamespace(memory=lambda: {"allocator peak": 5, "allocator reserved": 7})
    found = facts.memory_bytes(framework)
    assert list(found) == ["peak RSS", "allocator peak", "allocator reserved"]
    assert found["peak RSS"] > 1_000_000


STATUS = ("", "Name:\tpython\nVmRSS:\t  1 kB\n", "VmHWM:\n", "VmHWM:\t x kB\n", "\0\udcff")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak is not read from a file")
@pytest.mark.parametrize("text", STATUS)
def test_a_peak_of_memory_that_the_system_does_not_say_is_unknown(tmp_path, text):
    status = tmp_path / "status"
    status.write_bytes(text.encode(errors="surrogateescape"))
    assert facts.peak_rss_bytes(status) is None
    assert facts.peak_rss_bytes(tmp_path / "nowhere") is None
    status.write_text("VmHWM:\t  12 kB\n")
    assert facts.peak_rss_bytes(status) == 12 * 1024


@pytest.mark.parametrize(
    "error", [RuntimeError("Not Supported"), KeyError("peak"), AttributeError("memory_stats")]
)
def test_memory_that_cannot_be_read_is_left_out_and_the_rest_is_kept(monkeypatch, error):
    def refuse():
        raise error

    assert list(facts.memory_bytes(types.SimpleNamespace(memory=refuse))) == ["peak RSS"]
    monkeypatch.setattr(facts, "peak_rss_bytes", lambda: None)
    assert facts.memory_bytes(types.SimpleNamespace(memory=lambda: {"allocator peak": 5})) == {
        "allocator peak": 5
    }
    assert facts.memory_bytes(types.SimpleNamespace(memory=refuse)) == {}
