"""Print how often whole sessions err and what they find: python -m tests.simulation.whole_sessions
[SESSIONS].
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from harness.experiments.bench.paired import valid_turns
from harness.experiments.bench.simulation import Rates, Recorded, Source, simulate
from harness.records import sessions
from harness.spec.config import Experiment
from tests.simulation.noise import Noise

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference"
N_ARMS = (2, 6, 12, 24)
DEFAULT = Experiment()
SIZE = {"n_generations": DEFAULT.generations, "n_blocks": DEFAULT.blocks}


def noises() -> dict[str, Source]:
    """Return the noise of the reference session that `nox -s bench` made, and noise that is
    modelled.
    """
    recorded = next(
        each for each in sessions.load_all(REFERENCE).sessions if len(each.session.entrants) == 7
    )
    session, count = recorded.session, valid_turns(recorded)
    return {
        "A/A pair": Recorded.of(count, (session.original, session.again)),
        "all arms": Recorded.of(count, [entrant.name for entrant in session.entrants]),
        "heavy tails": Noise(process=0.015, turn=0.085, freedom=3),
        "bursts": Noise(process=0.015, turn=0.05, bursts=0.10),
    }


def rates(noise: Source, n_sessions: int, n_arms: int, slowdown: float = 1.0) -> Rates:
    """Return what became of sessions of the default size."""
    random = np.random.default_rng(n_arms)
    return simulate(noise, random, n_sessions=n_sessions, n_arms=n_arms, slowdown=slowdown, **SIZE)


def main() -> None:
    """Print a line for each noise and number of arms."""
    n_sessions = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    for name, noise in noises().items():
        for n_arms in N_ARMS:
            wrong = rates(noise, n_sessions, n_arms).wrong
            found = rates(noise, n_sessions, n_arms, slowdown=1.05).shares["slower"]
            print(
                f"{name}, {n_arms} arms: {wrong:.2%} of sessions err, 5 % is found in {found:.1%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
