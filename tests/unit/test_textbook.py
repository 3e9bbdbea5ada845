"""What a textbook works out by hand: loops that give NumPy's numbers, and lessons that end as they
are told.
"""

import io
import re

import numpy as np
import pytest
from rich.console import Console

from harness.job.answers import Gradients, Refusal
from harness.lessons import document as report
from harness.lessons import gradients, loops, momentum
from harness.lessons.loops import ADD_RELU, PAIRS, Pair, Timing
from harness.lessons.summary import Row, summary
from harness.report import terminal

ELEMENTWISE, DOTS = PAIRS[:3], PAIRS[3:]
SMALL = {20: 4, 100: 7, 10: 3}
MISFITS = {
    "naive_relu": [((4,),), ((2, 3, 4),)],
    "naive_add": [((2, 3), (3, 2)), ((2, 3), (3,)), ((3,), (3,))],
    "naive_add_matrix_and_vector": [((2, 3), (2,)), ((2, 3), (2, 3)), ((3,), (3,))],
    "naive_vector_dot": [((3,), (4,)), ((2, 3), (2, 3)), ((3,), ())],
    "naive_matrix_vector_dot": [((2, 3), (2,)), ((3,), (3,)), ((2, 3), (3, 1))],
    "naive_matrix_dot": [((2, 3), (2, 3)), ((2, 3), (3,)), ((3,), (3, 2))],
}


def shown(renderable, width=150):
    console = Console(file=io.StringIO(), width=width, no_color=True)
    terminal.show(renderable, console)
    return re.sub(r" +\n", "\n", console.file.getvalue())  # type: ignore[attr-defined]


def arguments(pair, dtype=np.float64):
    """Small arguments of a pair's ranks, signs mixed and magnitudes apart."""
    random = np.random.default_rng(1)
    small = [tuple(SMALL[side] for side in shape) for shape in pair.shapes]
    return [
        (random.standard_normal(shape) * 10.0 ** random.integers(-3, 4, shape)).astype(dtype)
        for shape in small
    ]


def in_order(x, y):
    """x @ y with each sum taken from its first product to its last."""
    products = x[:, :, None] * y if y.ndim == 2 else x * y
    return np.add.accumulate(products, axis=1 if x.ndim == 2 else 0).take(
        -1, axis=1 if x.ndim == 2 else 0
    )


# Loops


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("pair", [*ELEMENTWISE, ADD_RELU], ids=lambda pair: pair.name)
def test_loops_over_elements_give_numpy_s_result_to_the_last_bit(pair, dtype):
    given = arguments(pair, dtype)
    naive, vectorised = pair.naive(*given), pair.vectorised(*given)
    assert (naive.dtype, naive.shape, naive.tobytes()) == (
        dtype,
        vectorised.shape,
        vectorised.tobytes(),
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("pair", DOTS, ids=lambda pair: pair.name)
def test_dot_products_give_the_sums_in_their_order_to_the_last_bit(pair, dtype):
    given = arguments(pair, dtype)
    naive = np.asarray(pair.naive(*given))
    assert (naive.dtype, naive.tobytes()) == (dtype, in_order(*given).tobytes())


def rounding(x, y):
    """How far two orders of summation may be apart: n terms, each rounded to half an ulp of the sum
    of magnitudes.
    """
    return x.shape[-1] * np.finfo(x.dtype).eps * (np.abs(x) @ np.abs(y))


@pytest.mark.parametrize("pair", DOTS, ids=lambda pair: pair.name)
def test_dot_products_give_numpy_s_result_to_rounding(pair):
    x, y = arguments(pair)
    assert (np.abs(pair.naive(x, y) - x @ y) <= rounding(x, y)).all()


@pytest.mark.parametrize("pair", DOTS, ids=lambda pair: pair.name)
def test_a_dot_product_that_forgets_its_last_term_is_off_by_more_than_rounding(pair):
    x, y = arguments(pair)
    assert (np.abs(pair.naive(x[..., :-1], y[:-1]) - x @ y) > rounding(x, y)).all()


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_loops_leave_their_arguments_as_they_are(pair):
    given = arguments(pair)
    before = [array.copy() for array in given]
    pair.naive(*given)
    for array, kept in zip(given, before, strict=True):
        np.testing.assert_array_equal(array, kept)


@pytest.mark.parametrize(
    ("name", "shapes"),
    [(name, shapes) for name, cases in MISFITS.items() for shapes in cases],
    ids=str,
)
def test_shapes_that_do_not_fit_are_refused_and_named(name, shapes):
    with pytest.raises(ValueError, match=f"^{name}: expected .+; received ") as caught:
        getattr(loops, name)(*(np.ones(shape) for shape in shapes))
    assert str(caught.value).endswith("; received " + " and ".join(map(str, shapes)))


def test_every_loop_is_listed_beside_its_counterpart():
    assert [pair.naive.__name__ for pair in PAIRS] == [
        name for name in vars(loops) if name.startswith("naive_")
    ]
    assert set(MISFITS) == {pair.naive.__name__ for pair in PAIRS}


# What loops cost


def test_two_forms_take_turns_and_each_repetition_has_its_own_ratio():
    ticks = iter(
        [0, 6, 0, 2, 0, 1, 0, 4, 0, 9, 0, 3] * 7
    )  # start and end: naive, vectorised; vectorised, naive; naive, ...
    for timing in loops.measure(1, 3, clock=lambda: next(ticks)):
        assert (timing.naive_s, timing.vectorised_s) == ((6, 4, 9), (2, 1, 3))
        assert timing.ratios == [3, 4, 3]


def test_the_lesson_is_timed_first_and_every_pair_once_at_a_tenth_of_its_rounds():
    timings = loops.measure(20, 1)
    assert [(timing.pair.name, timing.rounds) for timing in timings] == [
        ("add + relu", 20),
        *((pair.name, 2) for pair in PAIRS),
    ]
    assert all(min(*timing.vectorised_s, *timing.naive_s) > 0 for timing in timings)
    assert [timing.difference for timing in timings[:4]] == [0, 0, 0, 0]
    assert all(timing.difference < 1e-13 for timing in timings[4:])


def test_ops_shows_spreads_and_under_the_lesson_what_was_published():
    timing = Timing(ADD_RELU, 1000, (1.6, 2.0, 3.0), (0.004, 0.004, 0.005), 0.0)
    text = shown(
        report.ops(
            [
                timing,
                Timing(Pair("dot", sum, sum, ((3,), (3,))), 100, (1, 2, 3), (1, 1, 1), 1e-15),
            ]
        )
    )
    for expected in (
        r"add \+ relu +\(20, 100\), \(20, 100\) +1000 +0\.004000 +2\.0000 +500 \(400-600\) +0\n",
        r"  as published +\(20, 100\), \(20, 100\) +1000 +0\.02 +2\.45 +122 +-\n",
        r"dot +\(3,\), \(3,\) +100 +1\.000000 +2\.0000 +2 \(1-3\) +1e-15\n",
        r"Chollet, Deep Learning with Python, chapter 2",
    ):
        assert re.search(expected, text), expected


# Momentum


def test_the_gradient_is_the_loss_s_derivative():
    exact = np.polynomial.Polynomial([0, 0, -12, 4, 3])
    for w in range(-5, 6):
        assert (momentum.loss(w), momentum.gradient(w)) == (exact(w), exact.deriv()(w))


def test_the_loss_has_a_local_and_a_global_minimum_with_a_hill_between():
    for place, bends in ((momentum.LOCAL, 1), (momentum.TOP, -1), (momentum.GLOBAL, 1)):
        assert momentum.gradient(place) == 0
        assert (
            np.sign(momentum.gradient(place + 0.1))
            == bends
            == -np.sign(momentum.gradient(place - 0.1))
        )
    assert [momentum.loss(place) for place in (momentum.LOCAL, momentum.TOP, momentum.GLOBAL)] == [
        -5,
        0,
        -32,
    ]


def test_without_momentum_the_weight_stays_in_the_local_minimum():
    path = momentum.two_paths()[0.0]
    assert path.min() > momentum.TOP
    assert path[-1] == pytest.approx(momentum.LOCAL, abs=1e-9)


def test_momentum_leaves_the_local_minimum_and_ends_in_the_global_one():
    path = momentum.two_paths()[0.9]
    assert np.count_nonzero(np.diff(np.sign(path))) == 1, "over the hill once, and not back"
    assert path[-1] == pytest.approx(momentum.GLOBAL, abs=1e-3)


def test_both_paths_start_beyond_the_local_minimum():
    for path in momentum.two_paths().values():
        assert path[0] == momentum.START > momentum.LOCAL


def test_a_step_moves_by_the_new_velocity_and_the_gradient():
    # 1: velocity -0.5, w 1 - 0.25 - 0.5; 2: velocity -0.25 - 0.125, w 0.25 - 0.1875 - 0.125
    assert momentum.descend(lambda w: w, 1.0, 0.5, 0.5, 2).tolist() == [1.0, 0.25, -0.0625]


def test_no_momentum_is_plain_gradient_descent():
    assert momentum.descend(lambda w: w, 1.0, 0.5, 0.0, 3).tolist() == [1.0, 0.5, 0.25, 0.125]


def test_momentum_shows_both_ends_and_a_curve_with_them_on_it():
    text = shown(report.momentum(momentum.two_paths(), momentum.loss), width=80)
    assert re.search(r"0 +200 +2\.0000 +32\.0000 +1\.0000 +-5\.0000 +local minimum\n", text)
    assert re.search(r"0\.9 +200 +2\.0000 +32\.0000 +-2\.0000 +-32\.0000 +global minimum\n", text)
    curve = text[text.index("minimum\n\n") :].splitlines()[2:-2]
    rows = {mark: number for number, line in enumerate(curve) for mark in "*09" if mark in line}
    columns = {mark: curve[number].index(mark) for mark, number in rows.items()}
    assert rows["*"] < rows["0"] < rows["9"] == len(curve) - 1
    assert columns["9"] < columns["0"] < columns["*"]
    assert max(map(len, text.splitlines())) <= 80


# The summary


def test_the_summary_of_the_textbook_s_model_is_exact():
    rows = summary(784, [("hidden", 512, "relu"), ("output", 10, "softmax")])
    assert rows == (
        Row("hidden", "Dense (relu)", (None, 512), 401_920),
        Row("output", "Dense (softmax)", (None, 10), 5_130),
    )


def test_the_summary_shown_ends_in_the_total():
    text = shown(
        report.summary(
            "mnist-mlp", 784, summary(784, [("hidden", 512, "relu"), ("output", 10, "softmax")])
        )
    )
    for expected in (
        r"mnist-mlp, on 784 inputs\n",
        r"hidden +Dense \(relu\) +\(None, 512\) +401,920\n",
        r"output +Dense \(softmax\) +\(None, 10\) +5,130\n",
        r"parameters: 407,050, all of them trainable\n",
    ):
        assert re.search(expected, text), expected


# Gradients

EXACT = {key: expected for key, (_, expected) in gradients.QUANTITIES.items()}
ANSWER = Gradients(values=EXACT)


def test_the_graph_s_gradients_are_the_chain_rule_s():
    x, kernel, bias = 2.0, 3.0, 1.0
    x1 = x * kernel
    x2 = x1 + bias
    slope = -np.sign(4 - x2)  # d |4 - x2| / d x2
    worked = {
        "x1": x1,
        "x2": x2,
        "loss": abs(4 - x2),
        "loss_by_kernel": slope * x,
        "loss_by_bias": slope,
    }
    assert worked.items() <= EXACT.items()


def test_the_gradients_of_the_product_and_the_line_are_numpy_s():
    x, ones = np.array([[1.0, 2.0], [3.0, 4.0]]), np.ones((2, 2))
    worked = {
        "product_by_kernel": (x.T @ ones).tolist(),
        "product_by_bias": ones.sum(axis=0).tolist(),
    }
    assert {
        **worked,
        "line_by_scalar": 2.0,
        "line_by_matrix": (2 * ones).tolist(),
    }.items() <= EXACT.items()


def test_an_exact_answer_has_no_faults():
    assert gradients.faults(ANSWER) == []


def test_an_answer_that_differs_in_the_last_bit_is_a_fault():
    wrong = EXACT | {"product_by_bias": [2.0, float(np.nextafter(np.float32(2), np.float32(3)))]}
    (fault,) = gradients.faults(Gradients(values=wrong))
    assert fault == "d sum(x @ W + b) / d b: expected [2.0, 2.0]; received [2.0, 2.000000238418579]"


def test_an_answer_that_lacks_a_quantity_is_a_fault():
    without = Gradients(values={key: value for key, value in EXACT.items() if key != "x1"})
    assert gradients.faults(without) == ["x1 = x W: expected 6.0; received None"]


def test_gradients_shows_a_column_a_backend_and_why_one_is_empty():
    text = shown(
        report.gradients(
            {
                "jax": ANSWER,
                "torch": Refusal(
                    reason="train-torch: environment missing. Run: nox -s train-torch"
                ),
            }
        )
    )
    assert re.search(r"quantity +expected +jax +torch\n", text)
    assert re.search(r"d loss / d W +2\.0 +2\.0 +-\n", text)
    assert "! torch: train-torch: environment missing. Run: nox -s train-torch\n" in text
    assert "every gradient is exact" not in text


def test_gradients_says_so_where_all_are_exact():
    assert "every gradient is exact\n" in shown(report.gradients({"jax": ANSWER, "torch": ANSWER}))
