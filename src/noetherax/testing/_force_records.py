"""What the laws of forces share: the forces at the drawn cases."""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any, final

import equinox as eqx
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np

from ._evidence import Drawn
from ._force_everywhere import Everywhere
from ._force_programs import Applied, covector_moves_of, force_of, values_of
from ._force_rounding import moderate, nudges, settle, shown_instants, sizes_of, spread
from ._force_states import instants, rounded
from ._programs import Program
from ._records import FunctionRecord
from ._special_instants import special_inputs, special_times
from ._weights import weights

FADED = 0.5
"""Power of ε: a force that is smaller, in units of what it is with other weights, has faded."""


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
        drawn = self.function.cases
        if subject.instant_strategy is None:
            drawn = _at_special_instants(drawn, self.function.program.special)
        # Elements of a group that depends on time act at the time of the force.
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
        new, old = (sizes_of(x["value"]).max(axis=1) for x in (drawn, known))
        faded = new < float(np.finfo(state.dtype).eps) ** FADED * old
        return (moderate(drawn) & ~faded) | ~moderate(known)

    @cached_property
    def growing(self) -> np.ndarray:
        """Velocities, of size one, along which a force puts in the most power: eigenvectors of the
        symmetric part of ∂Q/∂v, in units of the velocities, in turn of each force."""
        slope, unit = self.function.values.here["slope"], self.function.units.state[:, 1]
        count, size = len(slope), unit[0].size
        unit = unit.reshape(count, 1, size).astype(float)
        matrix = slope.reshape(count, -1, size, 2 * size)[..., size:].astype(float)
        matrix = np.nan_to_num(matrix, nan=0.0, posinf=0.0, neginf=0.0)
        force = np.arange(count) % matrix.shape[1]
        matrix = unit.swapaxes(1, 2) * matrix[np.arange(count), force] * unit
        largest = np.abs(matrix).max(axis=(1, 2), keepdims=True)
        matrix = matrix / np.where(largest > 0, largest, 1)
        modes = np.linalg.eigh(matrix + matrix.swapaxes(1, 2))[1][:, :, -1] * unit[:, 0]
        modes = modes / np.abs(modes).max(axis=1, keepdims=True)
        return modes.reshape(count, *self.cases.q.shape[1:])

    @cached_property
    def everywhere(self) -> Everywhere:
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
        """The same of another quantity at the drawn states and, of fast drives, at the drawn times."""
        state, values = self.cases.state, self.function.values
        drawn = applied_of(self.cases)
        found = [values.here[name]]
        for x in nudges(state.shape, precision):
            t = (drawn.t * x[:, 0, 0, 0]).astype(drawn.t.dtype)
            then = self.cases._replace(parameters=eqx.tree_at(lambda x: x.t, drawn, t))
            found.append(values.at((state * x).astype(state.dtype), cases=then)[name])
        return spread(found, precision)

    @property
    def evidence(self) -> dict:
        """What a report shows beside the drawn state."""
        return shown_instants(self.cases.t, self.inputs)

    def of_forces(self, entries: np.ndarray) -> np.ndarray:
        """Entries of all forces, by force, point and axis."""
        return entries.reshape(len(entries), -1, *self.function.batch.shape)


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


def _at_special_instants(drawn: Drawn, special: Sequence[float]) -> Drawn:
    """The cases, half of them with inputs at or between values that stand in the program, and the
    other half at such times."""
    if not special:
        return drawn
    applied, count = applied_of(drawn), drawn.distinct
    t, u = (np.array(x[:count]) for x in (applied.t, applied.u))
    u[::2] = rounded(special_inputs(u.shape[1], special, len(u[::2])), u.dtype)
    t[1::2] = rounded(special_times(special, len(t[1::2])), t.dtype)
    case = np.arange(len(applied.t)) % count  # those beyond are the first again
    return drawn._replace(parameters=eqx.tree_at(lambda x: (x.t, x.u), applied, (t[case], u[case])))


def _require_inputs(applied: Applied) -> None:
    try:
        applied.parts()
    except ValueError as error:
        raise ValueError(
            f"The force was asked for at an instant with {len(applied.u)} inputs: {error} Pass "
            "inputs=, the number of inputs that it takes, or 0 where they are bound to it."
        ) from error
