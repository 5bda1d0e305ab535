"""A solver at all cases: steps from drawn states, in any units, and what is compiled to take them."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple, final

import diffrax
import equinox as eqx
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np

from .._precision import full_precision
from ..dynamics import acceleration, at_time, momentum
from ..solvers import first_memory, for_single_steps, formulate
from ._cases import draws
from ._evidence import Drawn
from ._programs import Program
from ._tried_law import in_units, law_of

STEPS = 4
"""Steps that are taken in a row: a solver that remembers the last one has to."""

START = 0.7
"""The time at which motions start, in steps of the declared size: not zero, where a clock that is wrong
may be right."""

AT_REST = 4
"""Every how many-th state is at rest."""

REFERENCE = diffrax.Tsit5()
"""The referee, in steps so small that it is right to rounding."""

SMALL = 2.0**-6
"""Its steps, in those of the declared size."""

FEWEST_PARTS = 4
"""Of its steps in one, so that it is better than what it judges."""


class Motion(NamedTuple):
    """Where steps end, and whether they were solved. Arrays have a leading axis of cases."""

    q: Any
    v: Any
    solved: Any

    @property
    def pair(self) -> tuple:
        return self.q, self.v

    @property
    def state(self) -> np.ndarray:
        return np.stack(self.pair, axis=1)


class Measures(NamedTuple):
    """What all cases are stepped by: time at the start, step, units of length and time, and how many
    times the force acts."""

    start: Any
    step: Any
    length: Any
    time: Any
    strength: Any

    @property
    def end(self) -> Any:
        return self.start + STEPS * self.step


@final
class SolverRecord:
    """Steps of a solver from all drawn states."""

    def __init__(self, subject: Any):
        self.subject, self.law = subject, law_of(subject)
        q, v = _drawn_states(subject)
        none = np.zeros((len(q), 0))
        self.cases = Drawn(None, q, v, none, np.full(len(q), START * subject.dt), len(q))

    def measures(
        self, step: float, *, length: float = 1.0, time: float = 1.0, strength: float = 1.0
    ) -> Measures:
        each = np.ones(len(self.cases.q))
        start = START * self.subject.dt * time
        parts = start, step * time, length, time, strength
        return Measures(*(part * each for part in parts))

    @cached_property
    def change(self) -> Program:
        """The motion, and how it changes along a direction: one program for almost all laws."""
        taken = self._taken(self.subject.solver)

        def change(state, measures, along):
            found, changes = jax.jvp(taken, (state, measures), along)
            return found, changes.pair

        return Program(change, *self._shapes, self._shapes)

    @cached_property
    def pull_back(self) -> Program:
        """How a linear function of where steps end changes with the state and the measures."""
        taken = self._taken(self.subject.solver)

        def pull_back(state, measures, weights):
            _, back = jax.vjp(lambda *at: taken(*at).pair, state, measures)
            return back(weights)

        return Program(pull_back, *self._shapes, self._shapes[0])

    @cached_property
    def single(self) -> Program:
        """The motion in single precision, of double precision cast down before the first step."""
        taken = self._taken(self.subject.solver)
        return Program(taken, *self._shapes_in(np.float32))

    @cached_property
    def _reference(self) -> Program:
        return Program(self._taken(REFERENCE), *self._shapes)

    def steps(self, measures: Measures, state: tuple | None = None) -> Motion:
        """The motion from a state, that of the cases if none is given."""
        state = (self.cases.q, self.cases.v) if state is None else state
        found, _ = self.change(state, measures, jax.tree.map(np.zeros_like, (state, measures)))
        return found

    def reference(self, step: float) -> tuple[np.ndarray, np.ndarray]:
        """Where the motion is after all steps, and how far that is known: by what half as many small
        steps give."""
        parts = max(int(np.ceil(abs(step) / (SMALL * self.subject.dt))), FEWEST_PARTS)
        found = []
        for count in (parts // 2, parts):
            state, measures = (self.cases.q, self.cases.v), self.measures(step / count)
            for part in range(count):
                now = measures._replace(start=measures.start + part * STEPS * measures.step)
                state = self._reference(state, now).pair
            found.append(np.stack(state, axis=1))
        return found[1], np.max(np.abs(found[1] - found[0]), axis=(1, 2, 3))

    @cached_property
    def charges(self) -> Program:
        """(I, Σ|p||ξ|) of the group's charges at (q, v, t)."""
        (lagrangian, _), group = self.law, self.subject.group
        charge = group.noether_charge(lagrangian)

        def charges(q, v, t):
            p, generators = momentum(at_time(lagrangian, t), q, v), group.generators(q, t)
            norms = jnp.linalg.norm(generators, axis=-1) * jnp.linalg.norm(p, axis=-1)
            return charge(q, v, t), jnp.sum(norms, axis=1)

        return Program(charges, *self._shapes[0], self._shapes[1].start)

    @cached_property
    def form(self) -> Program:
        """The matrix of the symplectic form dp ∧ dq in (q, v), at (q, v, t)."""
        lagrangian, _ = self.law

        def form(q, v, t):
            slopes = jax.jacfwd(lambda of: momentum(at_time(lagrangian, t), *of))(jnp.stack([q, v]))
            of_momentum = slopes.reshape(q.size, 2 * q.size)
            of_position = jnp.eye(q.size, 2 * q.size)
            product = of_momentum.T @ of_position
            return product - product.T

        return Program(form, *self._shapes[0], self._shapes[1].start)

    @property
    def _shapes(self) -> tuple:
        return self._shapes_in(np.float64)

    def _shapes_in(self, dtype: Any) -> tuple:
        def of(x):
            return jax.ShapeDtypeStruct(np.shape(x), dtype)

        return jax.tree.map(of, ((self.cases.q, self.cases.v), self.measures(1.0)))

    def _taken(self, solver: diffrax.AbstractSolver) -> Callable:
        (lagrangian, force), solver = self.law, for_single_steps(solver)

        def taken(state, measures: Measures) -> Motion:
            model = in_units(lagrangian, force, measures.length, measures.time, measures.strength)
            q, v = (x * measures.length for x in state)
            v = v / measures.time
            with full_precision():
                q, v, solved = _march(solver, model, q, v, measures)
            return Motion(q / measures.length, v * measures.time / measures.length, solved)

        return taken


def _march(solver, model, q, v, measures: Measures) -> tuple:
    start = at_time(model, measures.start)
    term, state, args, read = formulate(solver, start, q, v, acceleration)
    times = measures.start + measures.step * jnp.arange(STEPS + 1, dtype=q.dtype)
    memory = first_memory(solver, term, times[0], times[1], state, args)

    def step(carry, ends):
        state, memory, solved = eqx.combine(carry, static)
        state, _, _, memory, result = solver.step(term, *ends, state, args, memory, False)
        solved = solved & (result == diffrax.RESULTS.successful)
        return eqx.partition((state, memory, solved), eqx.is_array)

    carry, static = eqx.partition((state, memory, jnp.array(True)), eqx.is_array)
    ends = times[:-1], times[1:]
    after = jax.eval_shape(lambda *x: step(*x)[0], carry, (times[0], times[1]))
    _require_precision(q.dtype, carry[0], after[0])
    if jax.tree.structure(after) != jax.tree.structure(carry):
        # What a solver remembers is of another form after its first step.
        carry, static = step(carry, (times[0], times[1]))
        ends = times[1:-1], times[2:]
    carry, _ = jax.lax.scan(lambda *x: (step(*x)[0], None), carry, ends)
    state, _, solved = eqx.combine(carry, static)
    q, v, _ = read(times[-1], state)
    return q, v, solved


def _require_precision(precision: Any, before: Any, after: Any) -> None:
    """A step in single precision ends in it: JAX would say that a loop changes its types."""
    kinds = [[x.dtype for x in jax.tree.leaves(state)] for state in (before, after)]
    if precision == np.float32 and kinds[0] != kinds[1]:
        names = ", ".join(sorted({x.name for x in kinds[1]}))
        raise AssertionError(
            f"steps in single precision stay in it: violated, what a step ends with is {names}"
        )


def _drawn_states(subject: Any) -> tuple[np.ndarray, np.ndarray]:
    if subject.state_strategy is not None:
        found = draws(subject.state_strategy, subject.max_examples)
        q, v = (np.stack([np.asarray(x[i], np.float64) for x in found]) for i in (0, 1))
        return q, v
    seeds = draws(st.integers(0, 2**32 - 1), subject.max_examples)
    shape = 2, subject.points, subject.group.space
    states = np.stack([np.random.default_rng(seed).normal(size=shape) for seed in seeds])
    states[::AT_REST, 1] = 0.0
    return states[:, 0], states[:, 1]
