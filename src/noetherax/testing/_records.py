"""The cases of a subject, drawn once, and what they give: programs that all its laws share."""

from functools import cached_property
from typing import Any

import equinox as eqx
import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np
from hypothesis import HealthCheck, Phase

from ._evidence import Drawn
from ._mechanics import charge_of, lagrangian_of, solve
from ._programs import Program, function_of, group_of, moves_of
from ._strategies import elements_of, special_states, states, times, weights

DIRECTION_SEED = 1
"""Of the directions along which derivatives are compared with differences."""


FEWEST = 16
"""Cases that are drawn at least: of fewer, hardly one is generic."""


class Record:
    """What the laws of a subject have in common: its cases, and the parts of their evaluation, each
    made when a law first asks for it."""

    def __init__(self, subject: Any, model: Any, group: Any, space: int):
        require_precision(subject.dtype)
        self.subject, self.model, self.group, self.space = subject, model, group, space
        self.count = max(subject.max_examples, FEWEST)
        self.dtype = np.dtype(subject.dtype)
        self.refusals: list[str] = []
        self.parameters, self.static = eqx.partition(model, eqx.is_array)

    def array(self, *shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((self.count, *shape), self.dtype)

    @property
    def shape(self) -> tuple[int, int]:
        return self.subject.points, self.space

    @cached_property
    def moves(self) -> Program:
        """Generators and finite elements."""
        state = [self.array(*self.shape)] * 2
        return Program(moves_of(self.group), self.array(self.group.dimension), *state, self.array())

    @cached_property
    def program(self) -> Program:
        raise NotImplementedError

    @property
    def special(self) -> tuple[float, ...]:
        return self.program.special

    @cached_property
    def cases(self) -> Drawn:
        """Draws from Hypothesis; the same in every run."""
        dimension = self.group.dimension if self.group is not None else 0
        elements = self._elements() if dimension else st.just(np.zeros(0, self.dtype))
        drawn = self.subject.state_strategy
        own = drawn is not None
        drawn = drawn if own else states(*self.shape, dtype=self.dtype)
        models = getattr(self.subject, "weight_strategy", None)
        if models is None:
            models = weights(self.model, special=self.special)
        strategy = st.tuples(models, drawn, elements, times(self.special, self.dtype))
        found = draws(strategy, self.count)
        fill = [found[i % len(found)] for i in range(self.count)]
        q, v = (np.stack([_checked(x[1][i], self.shape) for x in fill]) for i in (0, 1))
        if not own:
            # Half of the states are special ones; no draw would find the values in a program.
            count = self.count // 2
            special = special_states((2, *self.shape), self.special, count)
            q[self.count - count :], v[self.count - count :] = special[:, 0], special[:, 1]
        return Drawn(
            self._stacked([x[0] for x in fill]),
            q.astype(self.dtype),
            v.astype(self.dtype),
            np.stack([x[2] for x in fill]).astype(self.dtype),
            np.stack([x[3] for x in fill]).astype(self.dtype),
            len(found) if own else self.count,
        )

    def _elements(self) -> st.SearchStrategy:
        """Elements sized by what the generators do at the corners of a cube."""
        corners = np.random.default_rng(0).choice([-1.0, 1.0], size=(self.count, *self.shape))
        zero = np.zeros((self.count, self.group.dimension))
        known = self.moves(zero, corners, corners, np.zeros(self.count))
        fields, slopes = known["fields"][:, :, 0, :1], known["slopes"][:, :, :1, :, :1]
        special = self.moves.special + self.special
        return elements_of(fields[:16], slopes[:16], 1.0, special, self.dtype)

    def _stacked(self, models: list) -> Any:
        parts = [eqx.partition(model, eqx.is_array) for model in models]
        for parameters, static in parts:
            if static is not self.static and not _same(
                (parameters, static), (self.parameters, self.static)
            ):
                raise ValueError(
                    "weight_strategy must give models that differ from the subject's own in the values "
                    "of arrays only: not in their shapes or dtypes, and in nothing that is no array."
                )
        return jax.tree.map(
            lambda *x: np.stack([np.asarray(each) for each in x]), *[p for p, _ in parts]
        )

    # Sizes, axis by axis: no unit of one axis or of the velocity enters that of another.

    @cached_property
    def base_moves(self) -> dict:
        """What the group does at the drawn states, with the drawn elements."""
        cases = self.cases
        return self.moves(cases.coefficients, cases.q, cases.v, cases.t)

    @cached_property
    def size(self) -> np.ndarray:
        """Of the states, `(cases, 2, 1, space)`: entries, and distances from the group's centre."""
        return np.maximum(_largest(self.cases.state), self.centre)

    @cached_property
    def moved_size(self) -> np.ndarray:
        """As above, with what the drawn elements make of a state, and c ξ before and after: an angle of
        a thousand is rounded by a thousand ε."""
        size = self.mixed_size + _largest(self.base_moves["moved"])
        for fields in (self.base_moves["fields"], self.moved_fields):
            step = np.einsum("na,naxpi->nxpi", np.abs(self.cases.coefficients), np.abs(fields))
            size = size + _largest(step)
        return size

    @cached_property
    def mixed_size(self) -> np.ndarray:
        """Of the states, with what group elements mix in from other axes: rounding of an element is
        relative to all of them, however small it is."""
        slopes = np.abs(self.base_moves["slopes"][0, :, 0, :, 0].astype(float))
        turns = np.abs(np.linalg.eigvals(self.base_moves["slopes"][0, :, 0, :, 0])).max(axis=1)
        largest = slopes.max(axis=(1, 2))
        rate = np.where(turns > 1e-6 * largest, turns, np.where(largest > 0, largest, 1))
        mixing = (slopes / rate[:, None, None]).max(axis=0)
        once = self.size @ mixing.T
        return self.size + once + once @ mixing.T

    @cached_property
    def moved_fields(self) -> np.ndarray:
        """The generators where the drawn elements lead."""
        cases, (q, v) = self.cases, np.moveaxis(self.base_moves["moved"], 1, 0)
        return self.moves(0 * cases.coefficients, q, v, cases.t)["fields"]

    @cached_property
    def centre(self) -> np.ndarray:
        """Where the generators vanish, as far as they can: rounding of A(q − c) is relative to c."""
        if self.group is None or not self.group.dimension:
            return np.zeros((self.count, 2, 1, self.space))
        known = self.base_moves
        space = self.space
        linear = known["slopes"][:, :, 0, :, 0].astype(float)
        at_zero = known["fields"][:, :, 0, 0] - np.einsum(
            "naij,nj->nai", linear, self.cases.q[:, 0]
        )
        flat = linear.reshape(self.count, -1, space)
        centre = np.linalg.pinv(flat, rcond=1e-8) @ -at_zero.reshape(self.count, -1, 1)
        q = np.abs(centre[:, None, :, 0])
        return np.stack([q, np.zeros_like(q)], axis=1)

    @cached_property
    def unit(self) -> np.ndarray:
        """The size of the states; where an axis is zero, of its other axes, or of other states."""
        state = np.abs(self.cases.state)
        size = np.broadcast_to(_largest(state), state.shape)
        whole = state.max(axis=(2, 3), keepdims=True)
        size = np.where(size > 0, size, whole)
        usual = np.median(whole, axis=0, keepdims=True)
        return np.where(size > 0, size, np.where(usual > 0, usual, 1))

    @property
    def filled_state(self) -> np.ndarray:
        state = self.cases.state
        return np.where(state == 0, self.unit / 2, state).astype(self.dtype)

    def step(self) -> np.ndarray:
        """Random directions of the size of the state."""
        random = np.random.default_rng(DIRECTION_SEED).normal(size=self.cases.state.shape)
        return (self.unit * random).astype(self.dtype)


class GroupRecord(Record):
    """A group at all cases: `at(coefficients, direction, state)`."""

    def __init__(self, subject: Any):
        super().__init__(subject, None, subject.group, subject.group.space)

    @cached_property
    def program(self) -> Program:
        k, state = self.group.dimension, self.array(*self.shape)
        function = group_of(self.group, self.dtype, self.refusals)
        return Program(function, self.array(k), self.array(k), state, state, self.array())

    @cached_property
    def moves(self) -> Any:
        return _Undirected(self.program)

    def at(self, coefficients, direction, state) -> dict:
        return self.program(coefficients, direction, state[:, 0], state[:, 1], self.cases.t)

    def at_zero(self, direction) -> dict:
        return self.at(np.zeros_like(self.cases.coefficients), direction, self.cases.state)

    @cached_property
    def along(self) -> dict:
        """The drawn elements at the drawn states, and the rate at which they grow."""
        c = self.cases.coefficients
        return self.at(c, c, self.cases.state)

    @cached_property
    def base_moves(self) -> dict:
        return self.along


class _Undirected:
    """The program of a group without its direction."""

    def __init__(self, program: Program):
        self.program, self.special = program, program.special

    def __call__(self, coefficients, q, v, t):
        return self.program(coefficients, np.zeros_like(coefficients), q, v, t)


class FunctionRecord(Record):
    """A function of the state at all cases: `at(state)`."""

    def __init__(self, subject: Any):
        super().__init__(subject, subject.features, subject.group, subject.group.space)

    @cached_property
    def program(self) -> Program:
        state = self.array(2, *self.shape)
        parameters = jax.tree.map(self._leading, self.parameters)
        function = function_of(self.static, self.dtype, self.refusals)
        return Program(function, parameters, state, state, state)

    def _leading(self, x: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((self.count, *x.shape), x.dtype)

    def at(self, state, size=None, direction=None, index=None) -> dict:
        """Evaluates the function at any number of states, with the weights of the cases `index` (all of
        them, in order, if not given), a batch at a time."""
        index = np.arange(self.count) if index is None else index
        zero = np.zeros_like(state)
        size = zero if size is None else np.broadcast_to(size, state.shape)
        direction = zero if direction is None else direction
        parts = []
        for first in range(0, len(index), self.count):
            chunk = np.arange(first, min(first + self.count, len(index)))
            full = np.resize(chunk, self.count)
            case = index[full]
            parameters = jax.tree.map(lambda x, case=case: x[case], self.cases.parameters)
            known = self.program(
                parameters, state[full], size[full], direction[full], *self._motion(case)
            )
            parts.append({name: x[: len(chunk)] for name, x in known.items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def some(self, share: int) -> np.ndarray:
        """Every so many of the cases, for what takes many evaluations of each."""
        return np.arange(0, self.count, min(share, max(1, self.count // 8)))

    def _motion(self, case) -> tuple:
        return ()

    @cached_property
    def direction(self) -> np.ndarray:
        return self.step()

    @cached_property
    def base(self) -> dict:
        return self.at(self.cases.state, self.size, self.direction)

    @cached_property
    def filled(self) -> dict:
        """At the drawn states with zeros replaced by numbers of the state's size. Where entries vanish,
        so may terms that rounding is relative to."""
        index = np.flatnonzero(np.any(self.cases.state == 0, axis=(1, 2, 3)))
        if not len(index):
            return self.base
        known = {name: x.copy() for name, x in self.base.items()}
        full, size = self.filled_state[index], self.unit[index]
        for name, x in self.at(full, size, index=index).items():
            known[name][index] = x
        return known

    @cached_property
    def moved(self) -> dict:
        return self.at(self.base_moves["moved"], self.moved_size)


class LagrangianRecord(FunctionRecord):
    """A Lagrangian at all cases, and its motion there."""

    def __init__(self, subject: Any):
        Record.__init__(self, subject, subject.lagrangian, subject.group, subject.group.space)
        self._a = None

    @cached_property
    def program(self) -> Program:
        state, parameters = self.array(2, *self.shape), jax.tree.map(self._leading, self.parameters)
        function = lagrangian_of(self.static, self.group, self.dtype, self.refusals)
        motion = self.array(*self.shape), self.array()
        return Program(function, parameters, state, state, state, *motion)

    def _motion(self, case) -> tuple:
        a = self.cases.q - self.cases.v if self._a is None else self._a
        return a[case], self.cases.t[case]

    @cached_property
    def solution(self) -> tuple:
        """(a, |M⁻¹|, regular) of the type's own equations of motion."""
        return solve(self.base)

    @cached_property
    def motion(self) -> dict:
        """Everything at the drawn states again, along the motion."""
        self._a = self.solution[0].reshape(self.cases.q.shape).astype(self.dtype)
        try:
            return self.at(self.cases.state, self.size, self.direction)
        finally:
            self._a = None


class ChargeRecord(Record):
    """A charge and its Lagrangian at all cases: `at(state, t)`."""

    def __init__(self, subject: Any):
        super().__init__(subject, (subject.charge, subject.lagrangian), None, subject.space)

    @cached_property
    def program(self) -> Program:
        parameters = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct((self.count, *x.shape), x.dtype), self.parameters
        )
        return Program(charge_of(self.static), parameters, self.array(2, *self.shape), self.array())

    def at(self, state, t) -> dict:
        return self.program(self.cases.parameters, state, t)

    @cached_property
    def base(self) -> dict:
        return self.at(self.cases.state, self.cases.t)

    @cached_property
    def solution(self) -> tuple:
        """(a, |M⁻¹|, regular) of the type's own equations of motion."""
        return solve(self.base)


def draws(strategy: st.SearchStrategy, count: int) -> list:
    """Up to `count` draws, fewer where a strategy has no more; the same in every run."""
    found: list = []
    settings = hypothesis.settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
    )
    settings(hypothesis.given(strategy)(lambda drawn: found.append(drawn)))()
    return found[:count]


def _largest(state: np.ndarray) -> np.ndarray:
    """Over points, axis by axis."""
    return np.abs(np.asarray(state, float)).max(axis=-2, keepdims=True)


def _checked(array: Any, shape: tuple[int, int]) -> np.ndarray:
    array = np.asarray(array, float)
    if array.shape != shape:
        raise ValueError(
            f"state_strategy must give pairs (q, v) of shape (points, space) = {shape}, but it gave an "
            f"array of shape {array.shape}."
        )
    return array


def _same(one: tuple, other: tuple) -> bool:
    shapes = [jax.tree.map(lambda x: (x.shape, str(x.dtype)), part[0]) for part in (one, other)]
    return shapes[0] == shapes[1] and bool(eqx.tree_equal(one[1], other[1]))


def require_precision(dtype: Any) -> None:
    if jax.dtypes.canonicalize_dtype(dtype) != np.dtype(dtype):
        raise ValueError(
            f"The laws were asked for in {np.dtype(dtype).name}, but JAX is in 32-bit mode. Set "
            "jax.config.update('jax_enable_x64', True) first, or pass dtype=numpy.float32."
        )
