"""Trains on all devices of all processes and prints what came out; run by test_sharding.py."""

import sys

import equinox as eqx
import jax
import numpy as np

import noetherax as nx


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    if len(sys.argv) > 1:
        address, count, index = sys.argv[1:]
        jax.distributed.initialize(address, int(count), int(index))
    mesh = jax.make_mesh((jax.device_count(),), ("batch",))
    features = nx.Rotations(3).invariant_features(1)
    model = nx.NeuralLagrangian(features, width=16, key=jax.random.key(0))
    sampler = nx.systems.Kepler().sampler(batch_size=32)
    arrays = sampler(jax.random.key(2))
    for observations in (sampler, arrays):
        options = dict(steps=150, batch_size=32, key=jax.random.key(1), progress=False)
        trained, history = nx.fit(model, observations, sharding=mesh, **options)
        weights = jax.tree.leaves(eqx.filter(trained.network, eqx.is_inexact_array))
        sums = [float(np.sum(np.abs(np.asarray(x)))) for x in weights]
        print(jax.device_count(), *(f"{x:.17e}" for x in [*sums, history.loss[-1]]))


if __name__ == "__main__":
    main()
