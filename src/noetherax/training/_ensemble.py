import os
import warnings
from collections.abc import Callable
from typing import Any, SupportsIndex

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key, PyTree, UInt32

from .._types import Model
from ..losses import AccelerationLoss
from ._batches import OfAllMembers, OfEachMember, rule
from ._checkpoints import FIRST_BATCH, Checkpoints
from ._checks import about
from ._default_loss import suited
from ._diagnosis import diagnosis
from ._held_out import member_of
from ._history import History
from ._loop import PATIENCE, take_steps
from ._observed import as_samples, first_look
from ._plan import Placement, checked_options, known_by, plan, ready, watching_of
from ._sharding import split_sharding
from ._validation import Report, as_validation
from ._verdict import verdicts


def fit_ensemble(
    lagrangians: Model,
    observations: Any,
    *,
    steps: SupportsIndex,
    batch_size: SupportsIndex = 128,
    optimizer: optax.GradientTransformation | None = None,
    loss: Callable[[PyTree, PyTree], Float[Array, ""]] | None = None,
    keys: Key[Array, "..."] | UInt32[Array, "..."],
    averaging: float = 0.1,
    preparation: bool = True,
    mask: PyTree | None = None,
    validation: Any = None,
    callback: Callable[[Report], bool | None] | None = None,
    optimizer_state: Any = None,
    checkpoints: Checkpoints | str | os.PathLike | None = None,
    sharding: jax.sharding.Mesh | jax.sharding.NamedSharding | None = None,
    progress: bool = True,
) -> tuple[Model, History]:
    """Trains several Lagrangians at once, each as [`noetherax.fit`][] would: over random seeds, noise
    levels, or sizes of the data. They share one compiled program, and, with `sharding`, the devices.

    !!! example

        ```python
        import equinox as eqx
        import jax
        import noetherax as nx
        import numpy as np

        q, v = jax.random.normal(jax.random.key(0), (2, 64, 1, 3))
        features = nx.Rotations(3).invariant_features(points=1)


        def untrained(key):
            return nx.NeuralLagrangian(features, width=8, key=key)


        keys = jax.random.split(jax.random.key(1))
        models = eqx.filter_vmap(untrained)(keys)
        models, history = nx.fit_ensemble(models, (q, v, -q), steps=20, keys=keys)
        assert history.loss.shape == (2, 20)  # members, steps
        best = np.nanargmin(history.final_loss)  # nan: a member that failed
        model = jax.tree.map(lambda x: x[best] if eqx.is_array(x) else x, models)
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
    - `validation`, `callback`, `optimizer_state`: as in [`noetherax.fit`][]. Of every member the
        weights of its own best step are returned, and patience ends when that of all has. A list as
        validation data has one entry for each member.
    - `checkpoints`: of the whole ensemble.
    - `sharding`: devices to share the members: a `jax.sharding.Mesh`, over all of whose axes they are
        split, or a `NamedSharding` that says how a leading axis of members is.
    - `steps`, `batch_size`, `optimizer`, `loss`, `averaging`, `preparation`, `mask`, `progress`: as in
        [`noetherax.fit`][], the same for all. Members are prepared, and updates taken or left out, one
        by one.

    **Returns:**

    The trained ensemble, and its [`noetherax.History`][], in which `loss` has shape `(members, steps)`
    and `skipped` has shape `(members,)`. Members that learned nothing, since no update of theirs was
    finite, come back as they started, with a warning.

    **Raises:**

    As [`noetherax.fit`][], with the member named; and `ValueError` if the arrays of the models, the
    keys or the list of observations do not have the same number of members.
    """
    given, loss = loss, AccelerationLoss() if loss is None else loss
    options = checked_options(
        steps, batch_size, optimizer, loss, averaging, preparation, mask, checkpoints, progress
    )
    keys = _checked_keys(lagrangians, keys)
    seeds = jax.vmap(jax.random.split)(keys)
    observations = as_samples(observations, loss, lagrangians)
    looks = _first_looks(observations, loss, seeds[:, 0])
    loss, why = suited(given, [drawn for _, drawn in looks])
    options = options._replace(loss=loss)
    members = [
        about(f"Member {index}", ready, member_of(lagrangians, index), look, options)
        for index, look in enumerate(looks)
    ]
    _check_shapes([member.batch for member in members])
    held_out = as_validation(validation)
    drawn = []
    if held_out is not None:
        held_out = held_out.of(
            lambda data: about("validation", as_samples, data, loss, lagrangians)
        )
        fresh = jax.vmap(jax.random.fold_in, (0, None))(seeds[:, 0], 1)
        looks = about("validation", _first_looks, held_out.observations, loss, fresh)
        drawn = [batches for _, batches in looks]
    starts = [member.start for member in members]
    watching = watching_of(
        held_out, drawn, callback, optimizer_state, starts, options, ensemble=True
    )
    split = split_sharding(sharding, keys, "The members")
    sampled = [member.sampled for member in members]
    learned, history, failed_in_a_row, judged = take_steps(
        plan(
            _stacked(starts),
            _rule(observations, options.batch_size, [member.data for member in members]),
            seeds[:, 1],
            [member.scale.unit for member in members],
            Placement(batch=split, weights=split),
            options,
            watching,
            dict(model=lagrangians, key=keys, data=observations, **{FIRST_BATCH: sampled})
            | known_by(held_out, optimizer_state),
        )
    )
    final = np.atleast_1d(history.final_loss)
    history = history._replace(
        preparation=tuple(member.preparation for member in members),
        preparation_seconds=sum(member.seconds for member in members),
        chosen_loss=why,
        without_force=tuple(member.scale.without_force for member in members),
        explained=tuple(x.scale.explained(y) for x, y in zip(members, final, strict=True)),
    )
    done = history.loss.shape[1]
    untrained = np.flatnonzero(history.skipped >= done)
    if done and len(untrained):
        start = f"None of the first {done} updates was finite for members {untrained.tolist()}, so "
        start += "that they learned nothing."
        first = members[untrained[0]]
        message = diagnosis(start, first.start, loss, first.batch)
        if len(untrained) == len(members):
            raise RuntimeError(message)
        warnings.warn(message, stacklevel=2)
    if failed_in_a_row >= PATIENCE:
        start = (
            f"fit_ensemble gave up at step {done} of {steps}: the last {failed_in_a_row} updates "
        )
        start += "of every member were not finite. These are the weights before them."
        message = diagnosis(start, member_of(learned, 0), loss, members[0].batch)
        warnings.warn(message, stacklevel=2)
    elif not history.interrupted:
        findings: dict[str, list[str]] = {}
        for index in sorted(set(range(len(members))) - set(untrained.tolist())):
            skipped = int(np.asarray(history.skipped)[index])
            losses = history.loss[index], judged[index]
            record = *losses, skipped, member_of(learned, index), members[index]
            for finding, advice in verdicts(*record, loss):
                findings.setdefault(advice, []).append(f"Member {index}: {finding}")
        for advice, found in findings.items():
            warnings.warn(" ".join([*found, advice]), stacklevel=2)
    return learned, history


def _checked_keys(lagrangians: PyTree, keys: Array) -> Array:
    """The keys, one for each member; every array of the models must have as many."""
    if isinstance(keys, list | tuple) and keys and all(map(eqx.is_array_like, keys)):
        keys = jnp.stack(keys)
    if not hasattr(keys, "dtype"):
        raise TypeError(
            "keys must be an array of random keys, such as jax.random.split(jax.random.key(0), "
            f"members), but they are {keys!r:.100}."
        )
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
        about(f"Member {index}", first_look, x, loss, key)
        for index, (x, key) in enumerate(zip(observations, keys, strict=True))
    ]


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
        of_one, shared = rule(observations, batch_size, data[0])
        return OfAllMembers(of_one), shared
    return OfEachMember([rule(x, batch_size, None)[0] for x in observations]), data
