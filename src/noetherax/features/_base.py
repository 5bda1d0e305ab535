import abc

import equinox as eqx
from jaxtyping import Array, Float

from .._types import Configuration, Velocity, check_static


class InvariantFeatures(eqx.Module):
    """Invariant features S(q, v): functions of the state that a symmetry group leaves unchanged,

        S(h·q, h_* v) = S(q, v)   for every group element h

    (Müller 2023, Eq. 11). They are the first layer of a neural Lagrangian L = f ∘ S, which is then
    invariant for every choice of the weights of f.

    Usually obtained from [`SymmetryGroup.invariant_features`][noetherax.SymmetryGroup]. To write
    your own, define `num_features` and `__call__`. Features never train: constants that a subclass
    holds as array fields are left alone by [`noetherax.fit`][].

    !!! example

        Of one point in the plane under rotations, the angular momentum of a unit mass among them:

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        class InPlane(nx.InvariantFeatures):
            num_features: int = 3

            def __call__(self, q, v):
                (x, y), (vx, vy) = q[0], v[0]
                return jnp.stack([x**2 + y**2, x * vy - y * vx, vx**2 + vy**2])


        q, v = jnp.array([[1.0, 0.0]]), jnp.array([[0.5, 2.0]])
        turned = nx.Rotations(2).act(jnp.array([0.3]), q, v)
        assert jnp.allclose(InPlane()(*turned), InPlane()(q, v))
        ```
    """

    num_features: eqx.AbstractVar[int]
    """Number of features."""

    def __check_init__(self):
        check_static(self)

    def __repr__(self) -> str:
        from ._names import described

        return described(self)

    @abc.abstractmethod
    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, " features"]:
        """Evaluates the features.

        **Arguments:**

        - `q`: configuration, shape `(points, space)`.
        - `v`: velocity, shape `(points, space)`.

        **Returns:**

        The features, shape `(num_features,)`. First and second derivatives, forward and reverse, must
        be finite wherever the system can be, in particular at rest.
        """
