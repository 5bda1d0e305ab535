"""What a step of Levenberg–Marquardt is made of: sums over all samples, a chunk at a time."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jax.flatten_util import ravel_pytree

from ._batches import samples_at

CHUNK = 256
"""Most samples whose Jacobian is held at a time."""

ROWS = 8192
"""Most residuals whose Jacobian is held at a time: a long window is a sample of hundreds."""


def chunked(batch, count: int, rows: int):
    """Samples of so many residuals each in equal chunks `(chunks, samples, ...)`, the last filled up
    with repetitions, and the weight of each: zero for those."""
    most = min(count, CHUNK, max(1, ROWS // rows))
    chunks = -(-count // most)
    size = -(-count // chunks)
    index = np.resize(np.arange(count), chunks * size).reshape(chunks, size)
    weight = (np.arange(chunks * size) < count).astype(float).reshape(chunks, size)
    return samples_at(batch, index), jnp.asarray(weight)


def _flat(loss, parameters, constants):
    """The residuals `(samples, components)` as a function of flat weights and a batch, these weights,
    and what makes parameters of them."""
    weights, unravel = ravel_pytree(parameters)

    def errors(weights, batch):
        error = loss.residuals(eqx.combine(unravel(weights), constants), batch)
        return error.reshape(len(jax.tree.leaves(batch)[0]), -1)

    return errors, weights, unravel


def _total(function, start, chunks):
    """The sum of `function(batch, weight)` over all chunks, one after the other."""
    return jax.lax.scan(lambda total, chunk: (total + function(*chunk), None), start, chunks)[0]


def cost(loss, parameters, constants, chunks):
    """Sum of squares over all samples."""
    errors, weights, _ = _flat(loss, parameters, constants)

    def square(batch, weight):
        return jnp.sum(weight * jnp.sum(jnp.square(errors(weights, batch)), axis=1))

    return _total(square, jnp.zeros(()), chunks)


def slope_of(loss, parameters, constants, chunks):
    """Jᵀr over all samples."""
    errors, weights, _ = _flat(loss, parameters, constants)

    def slope(batch, weight):
        error, pull_back = jax.vjp(lambda weights: errors(weights, batch), weights)
        return pull_back(weight[:, None] * error)[0]

    return _total(slope, jnp.zeros(weights.size), chunks)


def curvature(loss, parameters, constants, chunks):
    """JᵀJ over all samples, from the Jacobian of one chunk after the other."""
    errors, weights, _ = _flat(loss, parameters, constants)

    def of_sample(weights, sample):
        return errors(weights, jax.tree.map(lambda x: x[None], sample))[0]

    def curvature(batch, weight):
        jacobian = jax.vmap(jax.jacrev(of_sample), (None, 0))(weights, batch)
        jacobian = (weight[:, None, None] * jacobian).reshape(-1, weights.size)
        return jacobian.T @ jacobian

    return _total(curvature, jnp.zeros((weights.size, weights.size)), chunks)


def damped_step(loss, parameters, constants, chunks, matrix, slope, damping):
    """The weights after a damped step with its geodesic acceleration, and ‖a‖/‖v‖ of the two."""
    errors, weights, unravel = _flat(loss, parameters, constants)
    damping = damping * jnp.max(jnp.diagonal(matrix))
    damped = matrix + damping * jnp.eye(weights.size)
    damped = lx.MatrixLinearOperator(damped, lx.positive_semidefinite_tag)
    solver = lx.Cholesky()
    factor = solver.init(damped, {})

    def solve(slope):
        # Not positive definite by rounding: the step is not finite, and so is its loss.
        return -lx.linear_solve(damped, slope, solver, state=factor, throw=False).value

    velocity = solve(slope)

    def bend(batch, weight):
        def rate(weights):
            return jax.jvp(lambda weights: errors(weights, batch), (weights,), (velocity,))[1]

        _, bend = jax.jvp(rate, (weights,), (velocity,))
        _, pull_back = jax.vjp(lambda weights: errors(weights, batch), weights)
        return pull_back(weight[:, None] * bend)[0]

    acceleration = solve(_total(bend, jnp.zeros(weights.size), chunks))
    ratio = jnp.linalg.norm(acceleration) / jnp.linalg.norm(velocity)
    return unravel(weights + velocity + acceleration / 2), ratio
