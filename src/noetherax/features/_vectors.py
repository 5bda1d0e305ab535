from typing import final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Configuration, Velocity, check_state


@final
class StateVectors(eqx.Module):
    """The vectors of a state that transform linearly under a group, `(vectors, dim)`.

    They stand in this order: positions, then velocities, each by points.

    - `relative=False`: q_i − c and v_i; under x → A x about a centre c all of them turn with A.
    - `relative=True`: q_i − q_n (i < n) and v_i; a translation drops out of the differences.

    With `anchored=True` the position q_n − c itself (for groups that translate some directions and
    not others), or (q_n, 1) in homogeneous coordinates if there is no centre, is appended last.
    With `velocities=False` there are none: all vectors are those of the configuration.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        vectors = nx.StateVectors(points=2, space=3, relative=True)
        assert vectors.labels() == ("(q1-q2)", "v1", "v2")
        q = jnp.array([[0.0, 0.0, 1.0], [0.0, 2.0, 0.0]])
        assert vectors(q, jnp.zeros((2, 3)))[0].tolist() == [0.0, -2.0, 1.0]
        ```

    **Arguments:**

    - `points`, `space`: shape of the configuration.
    - `axes`: the axes considered, all by default.
    - `centre`: c, one number for each of these axes; the origin if `None`.
    - `relative`, `anchored`, `velocities`: which vectors there are, as above.
    """

    points: int = eqx.field(static=True)
    space: int = eqx.field(static=True)
    axes: tuple[int, ...] = eqx.field(static=True)
    centre: tuple[float, ...] | None = eqx.field(static=True)
    relative: bool = eqx.field(static=True)
    anchored: bool = eqx.field(static=True)
    velocities: bool = eqx.field(static=True)

    def __init__(
        self,
        points: int,
        space: int,
        axes: tuple[int, ...] | None = None,
        centre: tuple[float, ...] | None = None,
        *,
        relative: bool = False,
        anchored: bool = False,
        velocities: bool = True,
    ):
        self.points = points
        self.space = space
        self.axes = tuple(range(space)) if axes is None else axes
        self.centre = centre
        self.relative = relative
        self.anchored = anchored
        self.velocities = velocities

    @property
    def homogeneous(self) -> bool:
        """Whether vectors carry one more coordinate: 1 for positions, 0 for differences."""
        return self.anchored and self.centre is None

    @property
    def num_vectors(self) -> int:
        return self.points * (1 + self.velocities) - self.relative + self.anchored

    @property
    def num_differences(self) -> int:
        """How many of the vectors are differences of positions; they come first."""
        return self.points - 1 if self.relative else 0

    @property
    def dim(self) -> int:
        return len(self.axes) + self.homogeneous

    def labels(self) -> tuple[str, ...]:
        """Names of the vectors, `q1`, `(q1-q2)`, `v1`, …, with their axes if those are not all."""
        n = self.points
        names = [f"q{i}" for i in range(1, n + 1)] if not self.relative else []
        if self.relative:
            names = [f"(q{i}-q{n})" for i in range(1, n)]
        if self.velocities:
            names += [f"v{i}" for i in range(1, n + 1)]
        if self.anchored:
            names += [f"q{n}"]
        if n == 1:
            names = [name.replace("1", "") for name in names]
        return tuple(map(self._on_axes, names))

    def between(self, q: Configuration, first, second) -> Float[Array, "pairs dim"]:
        """The differences of pairs of positions, as vectors; points count from zero."""
        q, _ = on_axes(q, q, self.points, self.space, self.axes)
        apart = q[first] - q[second]
        if not self.homogeneous:
            return apart
        return jnp.concatenate([apart, jnp.zeros((len(apart), 1), q.dtype)], axis=1)

    def label_between(self, i: int, j: int) -> str:
        """The name of a difference of two positions, such as `(q1-q2)`; they count from zero."""
        return self._on_axes(f"(q{i + 1}-q{j + 1})")

    def _on_axes(self, name: str) -> str:
        """A name with the axes, if those are not all."""
        if self.axes == tuple(range(self.space)):
            return name
        return f"{name}[{', '.join(map(str, self.axes))}]"

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, "vectors dim"]:
        q, v = on_axes(q, v, self.points, self.space, self.axes)
        if self.centre is not None and any(self.centre):
            q = q - jnp.asarray(self.centre, q.dtype)
        positions = q[:-1] - q[-1:] if self.relative else q
        moving = [v] if self.velocities else []
        if not self.anchored:
            return jnp.concatenate([positions, *moving])
        vectors = jnp.concatenate([positions, *moving, q[-1:]])
        if self.homogeneous:
            last = jnp.zeros((len(vectors), 1), q.dtype).at[-1].set(1)
            vectors = jnp.concatenate([vectors, last], axis=1)
        return vectors


def on_axes(q: Configuration, v: Velocity, points: int, space: int, axes: tuple[int, ...]):
    """The components of a state along `axes`. Raises if the state has another shape."""
    check_state(q, v, space)
    if q.shape[0] != points:
        raise ValueError(f"These features are for {points} point(s), but q has shape {q.shape}.")
    q, v = jnp.asarray(q), jnp.asarray(v)
    if axes != tuple(range(space)):
        q, v = q[:, np.array(axes)], v[:, np.array(axes)]
    return q, v
