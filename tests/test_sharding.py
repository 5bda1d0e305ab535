import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import noetherax as nx
from noetherax.training._batches import rule
from noetherax.training._sharding import split_sharding

PROGRAM = Path(__file__).parent / "parallel_fit.py"
QUICKLY = Path(__file__).parent / "quickly.py"
ROUNDING = 1e-6
"""Sums of a batch in another order differ by rounding, 1e-16; 60 steps made that 1e-9 at most."""


def start(devices: int, *arguments: str) -> subprocess.Popen:
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    environment = {
        "XLA_FLAGS": flags,
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    command = [sys.executable, str(QUICKLY), str(PROGRAM), *arguments]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return subprocess.Popen(command, env=os.environ | environment, text=True, **pipes)


def finish(process: subprocess.Popen, devices: int, several: bool = False) -> np.ndarray:
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    # Ctrl-C in one process ends the run in both, at the same step.
    assert bool(re.search(r"interrupted True 21$", output, re.MULTILINE)) == several, output
    lines = re.findall(rf"^{devices} (.*)$", output, re.MULTILINE)
    assert len(lines) == 3, output  # a sampler, arrays, an ensemble
    return np.concatenate([line.split() for line in lines]).astype(float)


def test_several_devices_and_several_processes_learn_what_one_device_does(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    both = [start(2, address, "2", str(index), str(tmp_path)) for index in range(2)]
    alone, together = start(1), start(4)
    alone, together = finish(alone, 1), finish(together, 4)
    first, second = (finish(process, 4, several=True) for process in both)
    assert np.array_equal(first, second)
    for other in (first, together):
        assert np.allclose(other, alone, rtol=ROUNDING)
        assert not np.array_equal(other, alone)  # it really was another program


def test_batches_that_do_not_divide_are_named():
    mesh = jax.sharding.AbstractMesh((3,), ("batch",))
    features = nx.Rotations(3).invariant_features(1)
    model = nx.NeuralLagrangian(features, width=4, key=jax.random.key(0))
    sampler = nx.systems.Kepler().sampler(batch_size=32)
    options = dict(steps=1, key=jax.random.key(1), progress=False)
    with pytest.raises(ValueError, match=r"between 3 devices, but the shape is \(32, 1, 3\)"):
        nx.fit(model, sampler, sharding=NamedSharding(mesh, PartitionSpec("batch")), **options)
    sideways = NamedSharding(mesh, PartitionSpec(None, "batch"))
    with pytest.raises(ValueError, match="leading axis only"):
        nx.fit(model, sampler, sharding=sideways, **options)
    with pytest.raises(TypeError, match="Mesh or NamedSharding, but it is of type int"):
        split_sharding(4, sampler(jax.random.key(0)))


@pytest.mark.parametrize("kind", ["Auto", "Explicit"])
def test_states_on_a_mesh(kind):
    def spring(q, v):
        return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2

    kinds = (getattr(AxisType, kind),)
    mesh = jax.make_mesh((1,), ("batch",), axis_types=kinds, devices=jax.devices()[:1])
    q = jax.device_put(np.ones((4, 1, 2)), NamedSharding(mesh, PartitionSpec("batch")))
    accelerate = jax.jit(jax.vmap(lambda q: nx.acceleration(spring, q, jnp.zeros_like(q))))
    if kind == "Auto":
        assert np.array_equal(accelerate(q), -q)
    else:
        with pytest.raises(ValueError, match=r"axes of type Explicit.*axis_types=.*Auto"):
            accelerate(q)


@pytest.mark.parametrize("samples", [7, 8])
def test_fewer_samples_than_a_batch_go_to_every_device_as_they_are(samples):
    mesh = jax.sharding.AbstractMesh((2,), ("batch",))
    given = NamedSharding(mesh, PartitionSpec("batch"))
    split = split_sharding(given, np.zeros((samples, 1, 2)), few=True)
    assert split.spec == (PartitionSpec("batch") if samples == 8 else PartitionSpec())
    data = np.arange(samples)
    draw, _ = rule(None, 16, data)
    assert np.array_equal(draw(data, None), data)
