"""Trains on all devices of all processes and prints what came out; run by test_sharding.py."""

import gc
import signal
import sys
from unittest import mock

import equinox as eqx
import jax
import numpy as np
import optax

import noetherax as nx
from noetherax.training import _loop


def main() -> None:
    gc.disable()  # as in conftest.py
    jax.config.update("jax_enable_x64", True)
    if len(sys.argv) > 1:
        address, count, index = sys.argv[1:4]
        jax.distributed.initialize(address, int(count), int(index))
    mesh = jax.make_mesh((jax.device_count(),), ("batch",))
    features = nx.Rotations(3).invariant_features(1)
    model = nx.NeuralLagrangian(features, width=16, depth=1, key=jax.random.key(0))
    sampler = nx.systems.Kepler().sampler(batch_size=32)
    arrays = sampler(jax.random.key(2))
    options: dict = dict(steps=60, batch_size=32, progress=False, sharding=mesh)
    show(*nx.fit(model, sampler, key=jax.random.key(1), **options))
    # The default optimiser, above, takes long to compile; what is split here are the data.
    options["optimizer"] = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2))
    show(*nx.fit(model, arrays, key=jax.random.key(1), **options))
    if jax.process_count() > 1:
        # A shell starts what runs in the background with Ctrl-C ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with mock.patch.object(_loop, "tqdm", Interrupted):
            _, history = nx.fit(model, arrays, key=jax.random.key(1), **options | {"steps": 1000})
        print("interrupted", history.interrupted, len(history.loss))
    keys = jax.random.split(jax.random.key(3), 4)
    models = eqx.filter_vmap(lambda key: nx.NeuralLagrangian(features, width=16, depth=1, key=key))(
        keys
    )
    folder = sys.argv[4] if len(sys.argv) > 4 else None
    show(*nx.fit_ensemble(models, sampler, keys=keys, checkpoints=folder, **options))


class Interrupted(_loop.tqdm):
    """Ctrl-C in one process alone, early in a run."""

    def update(self, n=1):
        if jax.process_index() == 1 and n > 1:
            signal.raise_signal(signal.SIGINT)
        return super().update(n)


def show(model, history) -> None:
    weights = jax.tree.leaves(eqx.filter(model.network, eqx.is_inexact_array))
    sums = [float(np.sum(np.abs(np.asarray(x)))) for x in weights]
    print(jax.device_count(), *(f"{x:.17e}" for x in [*sums, np.sum(history.loss[..., -1])]))


if __name__ == "__main__":
    main()
