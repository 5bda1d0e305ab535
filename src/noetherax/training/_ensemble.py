import os
import warnings
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key, PyTree, UInt32

from ..losses import AccelerationLoss
from ._batches import OfAllMembers, OfEachMember, Resampled, Sampled, at_most
from ._checkpoints import FIRST_BATCH, NOT_DESCRIBED, Checkpoints, as_checkpoints, describe_run
from ._checks import (
    check_count,
    check_flag,
    check_fraction,
    check_loss,
    check_max_norm,
    check_model,
    check_optimizer,
    check_precision,
)
from ._diagnosis import diagnosis
from ._loop import PATIENCE, History, Placement, Problem, run
from ._observed import first_look
from ._preparation import Preparation, prepared
from ._scale import scale_of
from ._sharding import split_sharding
from ._trainable import chosen_leaves, needs_standardisation
from ._verdict import verdicts


def fit_ensemble(
    lagrangians: PyTree,
    observations: Any,
    *,
    steps: int,
    batch_size: int = 128,
    optimizer: optax.GradientTransformation | None = None,
    loss: Callable[[PyTree, PyTree], Float[Array, ""]] = AccelerationLoss(),
    keys: Key[Array, "..."] | UInt32[Array, "..."],
    max_norm: float | None = 1.0,
    averaging: float = 0.1,
    standardise: bool = True,
    trainable: PyTree | None = None,
    checkpoints: Checkpoints | str | os.PathLike | None = None,
    sharding: jax.sharding.Mesh | jax.sharding.NamedSharding | None = None,
    progress: bool = True,
) -> tuple[PyTree, History]:
    """Trains several Lagrangians at once, each as [`noetherax.fit`][] would: over random seeds, noise
    levels, or sizes of the data. They share one compiled program, and, with `sharding`, the devices.

    !!! example

        ```python
        import equinox as eqx
        import jax
        import noetherax as nx

        features = nx.Rotations(3).invariant_features(1)
        keys = jax.random.split(jax.random.key(0), 3)
        models = eqx.filter_vmap(lambda key: nx.NeuralLagrangian(features, width=8, key=key))(keys)
        data = [nx.systems.Kepler().sampler(noise=noise) for noise in (1e-4, 1e-3, 1e-2)]
        models, history = nx.fit_ensemble(models, data, steps=100, keys=keys)

        q, v = nx.systems.Kepler().initial_state()
        a = eqx.filter_vmap(nx.acceleration, in_axes=(eqx.if_array(0), None, None))(models, q, v)
        ```

    **Arguments:**

    - `lagrangians`: an ensemble as `equinox.filter_vmap` makes it: one model whose every array has a
        leading axis of members.
    - `observations`: arrays or a sampler as in [`noetherax.fit`][], for all members; or a list of such,
        one for each. Samplers must then give batches of the same shape; arrays may differ in their
        number of samples.
    - `keys`: random keys for batches, shape `(members,)`. A member with the key of a
        [`noetherax.fit`][] and the same data sees the same batches, and learns the same up to
        rounding.
    - `checkpoints`: of the whole ensemble.
    - `sharding`: devices to share the members: a `jax.sharding.Mesh`, over all of whose axes they are
        split, or a `NamedSharding` that says how a leading axis of members is.
    - `steps`, `batch_size`, `optimizer`, `loss`, `max_norm`, `averaging`, `standardise`, `progress`: as
        in [`noetherax.fit`][], the same for all. Gradients are clipped, and updates left out, member by
        member.
    - `trainable`: a PyTree of booleans, or a prefix of one, the same for all.

    **Returns:**

    The trained ensemble, and its [`noetherax.History`][], in which `loss` has shape `(members, steps)`
    and `skipped` has shape `(members,)`. Members that learned nothing, since no update of theirs was
    finite, come back as they started, with a warning.

    **Raises:**

    As [`noetherax.fit`][], with the member named; and `ValueError` if the arrays of the models, the
    keys or the list of observations do not have the same number of members.
    """
    steps, batch_size = check_count("steps", steps), check_count("batch_size", batch_size)
    averaging, max_norm = check_fraction("averaging", averaging), check_max_norm(max_norm)
    check_flag("standardise", standardise)
    check_optimizer(optimizer)
    check_loss(loss)
    keys = _checked_keys(lagrangians, keys)
    members = len(keys)
    checkpoints = as_checkpoints(checkpoints)
    seeds = jax.vmap(jax.random.split)(keys)
    looks = _first_looks(observations, loss, seeds[:, 0])
    models = [_member(lagrangians, index) for index in range(members)]
    batches = [_first_batch(look, batch_size) for look in looks]
    for index, (model, batch) in enumerate(zip(models, batches, strict=True)):
        chosen = eqx.filter(model, chosen_leaves(model, trainable))
        _of_member(index, check_precision, chosen, batch)
    preparations = [Preparation(model, "") for model in models]
    given = lagrangians
    if standardise and any(needs_standardisation(model) for model in models):
        preparations = [
            _of_member(index, prepared, model, drawn, loss, trainable)
            for index, (model, (_, drawn)) in enumerate(zip(models, looks, strict=True))
        ]
        models = [preparation.start for preparation in preparations]
        lagrangians = _stacked(models)
    parameters, constants = eqx.partition(lagrangians, chosen_leaves(lagrangians, trainable))
    _check_shapes(batches)
    for index, (model, batch) in enumerate(zip(models, batches, strict=True)):
        chosen = eqx.filter(model, chosen_leaves(model, trainable))
        _of_member(index, check_model, model, chosen, loss, batch)
    scales = [
        _of_member(index, scale_of, loss, model, at_most(drawn))
        for index, (model, (_, drawn)) in enumerate(zip(models, looks, strict=True))
    ]
    units = jnp.asarray([scale.unit for scale in scales])
    split = split_sharding(sharding, keys, "The members")
    draw, data = _rule(observations, batch_size, [data for data, _ in looks])
    description = NOT_DESCRIBED
    if checkpoints is not None:
        description = describe_run(
            steps=int(steps),
            batch_size=int(batch_size),
            max_norm=max_norm,
            averaging=averaging,
            standardise=standardise,
            key=keys,
            optimizer=optimizer,
            loss=loss,
            trainable=trainable,
            model=given,
            data=observations,
            **{FIRST_BATCH: [drawn if data is None else None for data, drawn in looks]},
        )

    learned, history, hopeless = run(
        Problem(parameters, constants, seeds[:, 1], draw, data, loss, units, ensemble=True),
        Placement(batch=split, weights=split),
        steps=steps,
        optimizer=optimizer,
        max_norm=max_norm,
        averaging=averaging,
        checkpoints=checkpoints,
        description=description,
        progress=progress,
    )
    history = history._replace(preparation=tuple(x.description for x in preparations))
    done = history.loss.shape[1]
    untrained = np.flatnonzero(history.skipped >= done)
    if done and len(untrained):
        start = f"None of the first {done} updates was finite for members {untrained.tolist()}, so "
        start += "that they learned nothing."
        message = diagnosis(start, models[untrained[0]], loss, batches[untrained[0]])
        if len(untrained) == members:
            raise RuntimeError(message)
        warnings.warn(message, stacklevel=2)
    if hopeless >= PATIENCE:
        start = f"fit_ensemble gave up at step {done} of {steps}: the last {hopeless} updates of "
        start += "every member were not finite. These are the weights before them."
        trained = _member(eqx.combine(learned, constants), 0)
        warnings.warn(diagnosis(start, trained, loss, batches[0]), stacklevel=2)
    elif not history.interrupted:
        findings: dict[str, list[str]] = {}
        for index in sorted(set(range(members)) - set(untrained.tolist())):
            trained = _member(eqx.combine(learned, constants), index)
            record = (
                history.loss[index],
                int(np.asarray(history.skipped)[index]),
                scales[index].without_force,
            )
            for finding, advice in verdicts(*record, trained, loss, at_most(looks[index][1])):
                findings.setdefault(advice, []).append(f"Member {index}: {finding}")
        for advice, found in findings.items():
            warnings.warn(" ".join([*found, advice]), stacklevel=2)
    return eqx.combine(learned, constants), history


def _checked_keys(lagrangians: PyTree, keys: Array) -> Array:
    """The keys, one for each member; every array of the models must have as many."""
    if not jnp.issubdtype(keys.dtype, jax.dtypes.prng_key) and keys.ndim == 2:
        keys = jax.random.wrap_key_data(keys)  # those of jax.random.PRNGKey
    if not (jnp.issubdtype(keys.dtype, jax.dtypes.prng_key) and keys.ndim == 1 and len(keys)):
        raise ValueError(
            "keys must have shape (members,), such as jax.random.split(jax.random.key(0), members), "
            f"but they are {eqx.tree_pformat(keys)}."
        )
    for path, leaf in jax.tree_util.tree_leaves_with_path(lagrangians):
        if eqx.is_array(leaf) and (leaf.ndim == 0 or len(leaf) != len(keys)):
            raise ValueError(
                f"There are {len(keys)} keys, so that every array of the models must have a leading "
                f"axis of {len(keys)} members, but {jax.tree_util.keystr(path)} has shape "
                f"{leaf.shape}. equinox.filter_vmap makes such an ensemble."
            )
    return keys


def _member(ensemble: PyTree, index: int) -> PyTree:
    return jax.tree.map(lambda x: x[index] if eqx.is_array(x) else x, ensemble)


def _stacked(models: list[PyTree]) -> PyTree:
    return jax.tree.map(lambda *x: jnp.stack(x) if eqx.is_array(x[0]) else x[0], *models)


def _separate(observations: Any) -> bool:
    """Whether every member has observations of its own: three arrays are those of all members."""
    if callable(observations) or not isinstance(observations, list | tuple):
        return False
    return not any(np.ndim(x) for x in observations if eqx.is_array_like(x))


def _first_looks(observations: Any, loss: Callable, keys: Array) -> list[tuple[Any, Any]]:
    """Data and first batches of every member."""
    if not _separate(observations):
        if not callable(observations):
            return [first_look(observations, loss, keys[0])] * len(keys)
        return [first_look(observations, loss, key) for key in keys]
    if len(observations) != len(keys):
        raise ValueError(
            f"There are {len(keys)} keys, but {len(observations)} sets of observations."
        )
    return [
        _of_member(index, first_look, x, loss, key)
        for index, (x, key) in enumerate(zip(observations, keys, strict=True))
    ]


def _of_member(index: int, function: Callable, *arguments):
    """The result of a function, whose complaints say which member they are about."""
    try:
        return function(*arguments)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"Member {index}: {error}") from error


def _first_batch(look: tuple[Any, Any], batch_size: int) -> PyTree:
    data, drawn = look
    batch = jax.tree.map(lambda x: x[0], drawn)
    return (
        batch if data is None else jax.tree.map(lambda x: x[np.arange(batch_size) % len(x)], batch)
    )


def _check_shapes(batches: list[PyTree]) -> None:
    """Batches can be stacked."""
    shapes = [jax.tree.map(lambda x: (x.shape, x.dtype.name), batch) for batch in batches]
    for index, each in enumerate(shapes):
        if each != shapes[0]:
            raise ValueError(
                "All members must have batches of the same shape, but a batch of member 0 has "
                f"{shapes[0]} and one of member {index} has {each}."
            )


def _rule(observations: Any, batch_size: int, data: list[Any]) -> tuple[Callable, Any]:
    """How batches of all members are drawn, and what from."""
    if not _separate(observations):
        sampled = callable(observations)
        return OfAllMembers(Sampled(observations) if sampled else Resampled(batch_size)), data[0]
    rules = [Sampled(x) if callable(x) else Resampled(batch_size) for x in observations]
    return OfEachMember(rules), data
