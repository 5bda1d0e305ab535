"""What a run looks at on its way, made ready before the first step."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree

from .._programs import program
from ._batches import at_most
from ._scale import loss_without_force, losses_of


@final
class Judge:
    """The loss of every member of an ensemble, or of one model, on data held out."""

    def __init__(self, loss: Callable, drawn: list[PyTree], ensemble: bool):
        self.loss, self.drawn, self.ensemble = loss, [at_most(x) for x in drawn], ensemble
        self.programs: list[Callable] = []

    def __call__(self, model: PyTree) -> np.ndarray:
        """As many losses as there are members; the loss of a batch that is not finite hides none."""
        return np.array([np.mean(x) for x in self._losses(model)])

    def _losses(self, model: PyTree) -> list[np.ndarray]:
        found = []
        for index, drawn in enumerate(self.drawn):
            one = member_of(model, index) if self.ensemble else model
            arguments = self.loss, one, drawn
            if index >= len(self.programs):  # asked for once, since that may take a trace
                self.programs.append(program(losses_of, *arguments))
            found.append(np.asarray(self.programs[index](*arguments), float))
        return found

    def without_force(self) -> list[float | None]:
        """The losses of a free particle, `None` where the loss cannot tell."""
        return [loss_without_force(self.loss, drawn) for drawn in self.drawn]


def member_of(ensemble: PyTree, index: int) -> PyTree:
    return jax.tree.map(lambda x: x[index] if eqx.is_array(x) else x, ensemble)


class HeldOut(NamedTuple):
    """Validation as the loop takes it."""

    judge: Judge
    without_force: list[float | None]  # the scale, for each member
    patience: int | None
    best: bool


class Watching(NamedTuple):
    """What a run is watched by, and what it goes on from."""

    held_out: HeldOut | None = None
    callback: Callable | None = None
    every: int | None = None
    optimizer_state: Any = None

    def taken_over(self, fresh: PyTree) -> PyTree:
        """The state of an optimiser from another run, in the place of a fresh one."""
        given, fresh_shapes = (
            jax.tree.map(_shape_of, tree) for tree in (self.optimizer_state, fresh)
        )
        if given != fresh_shapes:
            raise ValueError(
                "optimizer_state is not of this optimiser and this model: give the optimiser that it "
                "was left by, history.optimizer_state of that fit, and a model with the same weights "
                f"to train. Given are {_count(given)}, expected are {_count(fresh_shapes)}."
            )
        return jax.tree.map(lambda x: jax.numpy.asarray(x), self.optimizer_state)


@final
@dataclass(frozen=True)
class _Shape:
    """Of an array; a leaf of trees."""

    shape: tuple[int, ...]
    dtype: str


def _shape_of(leaf: Any) -> _Shape:
    return _Shape(np.shape(leaf), str(getattr(leaf, "dtype", type(leaf).__name__)))


def _count(shapes: PyTree) -> str:
    """How many arrays there are, and of how many numbers."""
    found = jax.tree.leaves(shapes)
    return f"{len(found)} arrays of {sum(math.prod(x.shape) for x in found)} numbers"
