"""What the laws of forces share: the forces at the drawn cases, and at states beyond them."""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any, final

import equinox as eqx
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np

from ._evidence import ROUNDING, Drawn
from ._force_programs import Applied, covector_moves_of, force_of, values_of
from ._force_states import further_states, instants, usual_speed
from ._programs import Program
from ._records import FunctionRecord
from ._sizes import Units
from ._weights import weights

LARGEST_POWER = 0.4
"""Of the largest number: products of two such values are numbers still."""

FADED = 0.5
"""Power of ε: a force that is smaller, in units of what it is with other weights, has faded."""

NUDGE = 64.0
"""Of rounding: changes of a state under which a force shows how it is rounded itself."""

NUDGES = 4

NUDGE_SEED = 6

NUDGED = 128.0
"""Times the change of the force under these: allowed, where it exceeds rounding of the terms."""


@final
class ForceRecord:
    """Forces at all cases: as functions of the state, and at further states."""

    def __init__(self, subject: Any):
        self.subject, self.group = subject, subject.group
        dtype = np.dtype(subject.dtype)
        whole = Applied(subject.force, jnp.zeros((), dtype), jnp.zeros(subject.inputs, dtype))
        _require_inputs(whole)
        models = partial(_models, subject)
        self.function = FunctionRecord(subject, whole, force_of, covector_moves_of, models)
        # Elements of a group that depends on time act at the time of the force.
        drawn = self.function.cases
        self.cases = drawn._replace(t=np.asarray(applied_of(drawn).t))
        self.function.cases = self.cases

    @cached_property
    def inputs(self) -> np.ndarray:
        return np.asarray(applied_of(self.cases).u)

    @cached_property
    def usable(self) -> np.ndarray:
        """The cases that can be judged: not those with new weights under which the force overflows, or
        fades to rounding, as a saturated network does, where with the subject's own it does not."""
        count = len(self.cases.q)
        own = jax.tree.map(
            lambda x: np.broadcast_to(x, (count, *x.shape)), self.function.model.parameters.force
        )
        if self.subject.weight_strategy is not None or not jax.tree.leaves(own):
            return np.ones(count, bool)
        applied = eqx.tree_at(
            lambda x: x.force, applied_of(self.cases), own, is_leaf=lambda x: x is None
        )
        state = self.function.units.filled
        values, zero = self.function.values, np.zeros_like(state)
        known = self.function.program(
            applied, state, zero, zero, values.any_acceleration, self.cases.t
        )
        drawn = values.at(state)
        new, old = (_number(x["value"]).max(axis=1) for x in (drawn, known))
        faded = new < float(np.finfo(state.dtype).eps) ** FADED * old
        return (moderate(drawn) & ~faded) | ~moderate(known)

    @cached_property
    def everywhere(self) -> "Everywhere":
        return Everywhere(self)

    def settle(self, check: Callable) -> None:
        """Calls `check` with what rounding of every entry at the drawn states is relative to."""
        settle(check, lambda: self.function.values.scale, lambda: self.scale)

    @cached_property
    def scale(self) -> np.ndarray:
        """As above, the costly one."""
        of_drawn = self.everywhere.terms[np.arange(len(self.cases.q)) % self.cases.distinct]
        return np.fmax(self.function.values.scale, of_drawn.reshape(len(of_drawn), -1))

    @cached_property
    def _values(self) -> Program:
        """Of values alone, which costs little."""
        function = values_of(self.function.model.static)
        batch = self.function.batch
        parameters = batch.of_each(self.function.model.parameters)
        return Program(function, parameters, batch.array(2, *batch.shape))

    def noise(self, sets: np.ndarray) -> np.ndarray:
        """By how much forces change where states change by some roundings, in the units of a scale:
        within a force terms may cancel that its slopes do not show, as those of a saturated network.

        `sets` are states of all cases, shape `(sets, cases, 2, points, space)`.
        """
        change = nudges(sets.shape[1:], sets.dtype)
        parameters = self.cases.parameters
        found = []
        for states in sets:
            values = [self._values(parameters, states)]
            values += [self._values(parameters, states * x) for x in change]
            found.append(spread(values, sets.dtype))
        return np.stack(found)

    def noise_of(self, name: str, precision: Any) -> np.ndarray:
        """The same of another quantity at the drawn states."""
        state, values = self.cases.state, self.function.values
        found = [values.here[name]]
        found += [
            values.at((state * x).astype(state.dtype))[name] for x in nudges(state.shape, precision)
        ]
        return spread(found, precision)

    @property
    def evidence(self) -> dict:
        """What a report shows beside the drawn state."""
        return _instants(self.cases.t, self.inputs)

    def of_forces(self, entries: np.ndarray) -> np.ndarray:
        """Entries of all forces, by force, point and axis."""
        return entries.reshape(len(entries), -1, *self.function.batch.shape)


@final
class Everywhere:
    """The forces at the drawn states, and then at further ones of the same cases."""

    def __init__(self, record: ForceRecord):
        self.record, self.values = record, record.function.values
        drawn, own = record.cases, record.subject.state_strategy is not None
        further = further_states(drawn, own).astype(drawn.q.dtype)
        self.sets = np.concatenate([drawn.state[None], further])
        self.count = drawn.distinct
        self.index = np.tile(np.arange(self.count), len(self.sets))
        self.state = self.sets[:, : self.count].reshape(-1, *drawn.state.shape[1:])
        q, v = self.state[:, 0], self.state[:, 1]
        self.cases = drawn.subset(self.index)._replace(q=q, v=v)
        self.units = Units(self.cases)

    @cached_property
    def size(self) -> np.ndarray:
        """Of the states: entries, and distances from the group's centre."""
        return np.maximum(self.units.state, self.record.function.sizes.centre[self.index])

    @cached_property
    def here(self) -> dict:
        return self.values.at(self.state, self.size, index=self.index)

    @cached_property
    def evidence(self) -> dict:
        """What a report shows beside the state."""
        return _instants(self.cases.t, self.record.inputs[self.index])

    @cached_property
    def judged(self) -> np.ndarray:
        """Where the value can be judged: not beyond numbers."""
        return self.record.usable[self.index] & moderate(self.here)

    @cached_property
    def force(self) -> np.ndarray:
        """Shape `(cases, forces, points, space)`."""
        value = np.where(self.judged[:, None], self.here["value"], 0)
        return self.record.of_forces(value.astype(float))

    @cached_property
    def slope(self) -> np.ndarray:
        """The slopes of every entry with what rounding of them is relative to."""
        known = [np.abs(x["slope"]) + x["bend"] for x in (self.here, self._filled)]
        return np.fmax(*(_number(x) for x in known))

    def settle(self, check: Callable) -> None:
        """Calls `check` with what rounding of the forces is relative to."""
        settle(check, lambda: self.of_here, lambda: self.terms)

    @cached_property
    def of_here(self) -> np.ndarray:
        """The terms of the forces at the states as they are."""
        return self.record.of_forces(self._terms(self.here, self.size))

    @cached_property
    def noise_of_slopes(self) -> np.ndarray:
        """By how much slopes change where states change by some roundings, in the units of a scale."""
        dtype = self.state.dtype
        near = [(self.state * x).astype(dtype) for x in nudges(self.state.shape, dtype)]
        slopes = [self.values.at(x, index=self.index)["slope"] for x in near]
        noise = spread([self.here["slope"], *slopes], dtype)
        # Which entries of a force show it is chance.
        return np.broadcast_to(noise.sum(axis=1, keepdims=True), noise.shape)

    @cached_property
    def terms(self) -> np.ndarray:
        """What rounding of the forces is relative to: their terms there, at the same without zeros, and
        at the usual speed. What is a difference at high speed is one at low speed, too."""
        here, filled = self.of_here.reshape(len(self.state), -1), self._filled
        entries = np.fmax(here, self._terms(filled, self.size))
        v = self.units.filled[:, 1]
        largest = np.abs(v).max(axis=(1, 2), keepdims=True)
        faster = np.maximum(usual_speed(self.record.cases) / largest, 1).astype(v.dtype)
        state = np.stack([self.state[:, 0], v * faster], axis=1)
        size = self.size * np.stack([np.ones_like(faster), faster], axis=1)
        known = self.values.at(state, size, index=self.index)
        entries = np.fmax(entries, self._terms(known, size))
        noise = self.record.noise(self.sets)[:, : self.count].reshape(entries.shape)
        return self.record.of_forces(entries + noise + self._faded(entries))

    def _faded(self, entries: np.ndarray) -> np.ndarray:
        """Rounding of rounding of the largest terms that a case has anywhere: a network may fade to
        nothing, with slopes that are remains."""
        largest = entries.max(axis=1).reshape(len(self.sets), self.count).max(axis=0)
        return float(np.finfo(self.state.dtype).eps) * largest[self.index][:, None]

    @cached_property
    def _filled(self) -> dict:
        return self.values.at(self.units.filled, self.size, index=self.index)

    def _terms(self, known: dict, size: np.ndarray) -> np.ndarray:
        size = np.broadcast_to(size, self.state.shape).reshape(len(size), 1, -1)
        change = (_number(known["slope"]) + _number(known["bend"])) * size
        return _number(known["value"]) + change.sum(axis=-1)

    @cached_property
    def moves(self) -> dict:
        """What the generators do there: `fields` on states, and `slopes` on q."""
        moves, none = self.record.function.moves, np.zeros_like(self.record.cases.coefficients)
        known = [moves.at(none, none, states) for states in self.sets]
        return {
            name: np.concatenate([x[name][: self.count] for x in known]).astype(float)
            for name in ("fields", "slopes")
        }

    @cached_property
    def reach(self) -> np.ndarray:
        """What the lifted generators are sums of, in their shape."""
        return np.einsum("napibj,nxbj->naxpi", np.abs(self.moves["slopes"]), self.size)


def settle(check: Callable, *scales: Callable) -> None:
    """Requires something of one of several scales, each larger and more costly than those before: the
    first settles most."""
    *quick, last = scales
    for scale in quick:
        try:
            return check(scale())
        except AssertionError:
            pass
    return check(last())


def nudges(shape: tuple, precision: Any) -> list[np.ndarray]:
    """Factors near one, by some roundings."""
    epsilon, rng = float(np.finfo(precision).eps), np.random.default_rng(NUDGE_SEED)
    return [
        (1 + NUDGE * epsilon * rng.uniform(-1, 1, size=shape)).astype(float) for _ in range(NUDGES)
    ]


def spread(values: list, precision: Any) -> np.ndarray:
    """How far values are from the first of them, in the units of a scale."""
    first, *others = (np.asarray(x, float) for x in values)
    with np.errstate(invalid="ignore"):
        found = np.max([_number(x - first) for x in others], axis=0)
    return NUDGED * found / ROUNDING.of(precision)


def _number(x: np.ndarray) -> np.ndarray:
    """Sizes, where they are numbers."""
    return np.nan_to_num(np.abs(np.asarray(x, float)), nan=0.0, posinf=0.0)


def _instants(t: np.ndarray, inputs: np.ndarray) -> dict:
    return {"t": t} | ({"u": inputs} if inputs.shape[1] else {})


def moderate(known: dict) -> np.ndarray:
    """Where the value is far from the largest number."""
    value = np.abs(known["value"])
    limit = float(np.finfo(value.dtype).max) ** LARGEST_POWER
    return np.all(value < limit, axis=1)


def applied_of(cases: Drawn) -> Any:
    """The parameters of the drawn cases: of the force, with the instants."""
    return cases.parameters


def _models(subject: Any, special: Sequence[float]) -> st.SearchStrategy:
    """Forces with new weights, at drawn instants."""
    forces, drawn = subject.weight_strategy, subject.instant_strategy
    forces = weights(subject.force, special=special) if forces is None else forces
    drawn = instants(subject.inputs, special=special) if drawn is None else drawn

    def made(both: tuple) -> Applied:
        force, (t, u) = both
        if np.shape(t) or np.shape(u) != (subject.inputs,):
            raise ValueError(
                f"instant_strategy must give pairs (t, u) of shapes () and ({subject.inputs},), but it "
                f"gave {np.shape(t)} and {np.shape(u)}."
            )
        return Applied(force, *(jnp.asarray(x, subject.dtype) for x in (t, u)))

    return st.tuples(forces, drawn).map(made)


def _require_inputs(applied: Applied) -> None:
    try:
        applied.parts()
    except ValueError as error:
        raise ValueError(
            f"The force was asked for at an instant with {len(applied.u)} inputs: {error} Pass "
            "inputs=, the number of inputs that it takes, or 0 where they are bound to it."
        ) from error
