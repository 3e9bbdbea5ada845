"""Which arms are asked for: one grammar in every verb."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from harness.errors import ConfigError, choice
from harness.job.arm import ArmId
from harness.spec.config import Config


def declared_arms(config: Config) -> tuple[ArmId, ...]:
    """Return every arm of backends.toml, in its order."""
    return tuple(
        ArmId.of(name, backend.framework, each, arm.module, arm.options)
        for name, backend in config.backends.items()
        for each, arm in backend.arms.items()
    )


def select_arms(
    every: Sequence[ArmId],
    names: Iterable[str] = (),
    only: Iterable[str] = (),
    default: Collection[str] | None = None,
) -> tuple[ArmId, ...]:
    """Return the arms that are asked for, each once, in the order in which they are named.

    A name is an arm ("jax/keras"), an implementation ("keras": of every backend) or a backend
    ("jax": its default arms, or all of them where `only` says which). Commas separate several.

    Args:
        every: the arms that there are.
        names: what is asked for; the default arms of every backend where nothing is.
        only: arms or implementations; the others are left out.
        default: names of implementations; None: all.

    Raises:
        ConfigError: a name is of no arm.
    """
    wanted, filters = _split(names), _split(only)
    usual = tuple(every)
    if default is not None and not filters:
        usual = tuple(arm for arm in every if arm.arm in default)
    found: dict[ArmId, None] = dict.fromkeys(() if wanted else usual)
    for name in wanted:
        found |= dict.fromkeys(_named(name, every, usual))
    return _narrow(tuple(found), filters) if filters else tuple(found)


def _narrow(arms: Sequence[ArmId], filters: Sequence[str]) -> tuple[ArmId, ...]:
    """Return those of the arms that have one of the names, each of which must be of one."""
    for name in filters:
        known = [arm.name for arm in arms] if "/" in name else _implementations(arms)
        if name not in known:
            raise ConfigError(f"--arm: {choice(known, name)}")
    return tuple(arm for arm in arms if {arm.name, arm.arm} & {*filters})


def _split(texts: Iterable[str]) -> list[str]:
    """Return the names in texts, each of which may hold several between commas."""
    return [name.strip() for text in texts for name in text.split(",")]


def _named(name: str, every: Sequence[ArmId], usual: Sequence[ArmId]) -> list[ArmId]:
    """Return the arms of a name; a backend's are the usual ones."""
    _check_known(name, every)
    of_backend = [arm for arm in every if arm.backend == name]
    if not of_backend:
        return [arm for arm in every if name in (arm.name, arm.arm)]
    found = [arm for arm in of_backend if arm in usual]
    if not found:
        default = ", ".join(_implementations(usual)) or "none"
        hint = f"Type: {of_backend[0].name}"
        raise ConfigError(f"arms: {name} has none of the default arms: {default}. {hint}")
    return found


def _check_known(name: str, every: Sequence[ArmId]) -> None:
    backends = dict.fromkeys(arm.backend for arm in every)
    known = [arm.name for arm in every] if "/" in name else [*backends, *_implementations(every)]
    if name not in known:
        raise ConfigError(f"arms: {choice(known, name)}")


def _implementations(arms: Iterable[ArmId]) -> list[str]:
    return list(dict.fromkeys(arm.arm for arm in arms))
