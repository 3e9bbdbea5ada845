"""Whether an arm trains a user's own model as `fit` does: a proof that is known, or a new one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.engine.executor import perform
from harness.engine.own_model import PreparedModel, Workshop
from harness.job.answers import Refusal
from harness.job.arm import ArmId
from harness.job.asked import ProveArm
from harness.records import store
from harness.records.observation import identify
from harness.records.proof import ArmProof


def known_proofs(results: Path) -> tuple[ArmProof, ...]:
    """Return the proofs that a results folder holds, oldest first."""
    return tuple(each for each in store.load(results, "proofs")[0] if isinstance(each, ArmProof))


def prove(
    what: PreparedModel,
    spec: object,
    arm: ArmId,
    where: Workshop,
    known: Iterable[ArmProof],
    n_replicas: int = 1,
) -> ArmProof:
    """Return the proof that an arm trains a model as `fit` does: a known one, or a new one.

    Args:
        what: the model and its data.
        spec: the model.
        arm: whose training is held to `fit`'s, in float64, in a fresh process on one core.
        where: it is done.
        known: proofs that there are.
        n_replicas: devices on which the arm trains; `fit` that it is held to has one.
    """
    job = _proof_job(what, arm, where.time_limit_s, n_replicas)
    content = where.executor.content_of(job)
    for proof in known:
        mine = proof.proved and proof.replicas == n_replicas
        if mine and proof.holds_for(spec, what.data, arm, content):
            return proof
    began = datetime.now(UTC)
    done = perform(where.executor, job, where.say)
    answer = done.answer
    found: dict[str, Any] = {"proved": answer}
    if isinstance(answer, Refusal):
        found = {"reason": answer.reason, "log_tail": answer.log_tail}
    return ArmProof(
        **identify(began, arm.name.replace("/", "-")),
        **arm.fields,
        **found,
        host=done.host,
        spec=spec,  # type: ignore[arg-type]
        data=what.data,
        replicas=n_replicas,
        environment_sha256=done.environment_sha256,
    )


def _proof_job(what: PreparedModel, arm: ArmId, time_limit_s: float, n_replicas: int) -> ProveArm:
    return ProveArm(
        backend=arm.backend,
        device="cpu",
        threads=1,
        replicas=n_replicas,
        time_limit_s=time_limit_s,
        model=what.source,
        dataset=what.folder.absolute(),
        batch_size=what.batch_size,
        arm=arm.arm,
    )
