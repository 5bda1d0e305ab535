from typing import final

from ._variational import VariationalSolver


@final
class VariationalMidpoint(VariationalSolver):
    """The variational midpoint rule, of order 2: charges kept to rounding at any step.

    A step makes the sum of h L((q₀ + q₁)/2, (q₁ − q₀)/h) over all steps stationary (Marsden & West
    2001, example 2.3.2), which in position and momentum, with v = (q₁ − q₀)/h, reads

        p₀ = ∂L/∂v − (h/2) ∂L/∂q,    p₁ = ∂L/∂v + (h/2) ∂L/∂q,    both at ((q₀ + q₁)/2, v).

    Affine maps commute with midpoints and differences. So whatever affine group leaves L invariant
    also leaves this sum invariant, and Noether's theorem holds for the discrete motion itself: the
    charges p · ξ(q) do not drift, for any step and any Lagrangian, separable or not.

    **What it keeps.** In float64: charges of affine groups to rounding, over any number of steps; time
    reversal; and, at a fixed step, the energy up to a bounded error of order h², since the step is
    symplectic. In float32 rounding hides all of it.

    **Adaptive steps.** An error estimate serves Diffrax's step size controllers. Chosen steps keep the
    charges all the same, but no longer a bounded energy. Steps whose equations Newton's method cannot
    solve are rejected; at a fixed step the solve then ends with `nonlinear_divergence`, or `singular`
    if ∂²L/∂v² has no inverse, never with numbers that are no solution.

    **State.** In [`noetherax.rollout`][] as any solver. In `diffrax.diffeqsolve`, the term is a
    [`noetherax.LagrangianTerm`][] and the state (q, p) of two arrays of one shape, or (q, p, v): then v
    starts the search for the first velocity (needed where ∂L/∂v = p has several solutions), and an
    estimate of it is carried along. Without it the search starts at rest. Save at times on which the
    solver steps: in between charges are interpolated. Dense output follows the polynomials of q and p,
    also with its derivatives; the estimate of v it joins by straight lines.

    **Gradients** are those of the steps, forward and reverse, by the implicit function theorem.
    `diffrax.BacksolveAdjoint` cannot give them: it would integrate the adjoint equations, for which
    there is no Lagrangian. Leave the default, `RecursiveCheckpointAdjoint`, or take `ForwardMode`.

    !!! example

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx


        def kepler(q, v):
            return jnp.sum(v**2) / 2 + 1 / jnp.linalg.norm(q)


        with jax.enable_x64(True):  # in float32 rounding hides what is kept
            q0, v0 = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 1.2]])
            times = jnp.linspace(0.0, 10.0, 51)  # steps of 0.2
            path = nx.rollout(kepler, q0, v0, ts=times, solver=nx.VariationalMidpoint())
            (x, y), (p_x, p_y) = path.q[:, 0].T, path.p[:, 0].T
            angular_momentum = x * p_y - y * p_x
            assert jnp.max(jnp.abs(angular_momentum - 1.2)) < 1e-13
        ```

    **Arguments:** None. The tolerance of Newton's method is rounding, whatever the controller's.
    """

    @property
    def stages(self) -> int:
        return 1


@final
class VariationalGauss4(VariationalSolver):
    """Gauss' variational method of two stages, of order 4.

    As [`noetherax.VariationalMidpoint`][] in all that it keeps. The action of a step is a
    Gauss–Legendre sum h Σ_i b_i L(Q_i, v_i) at two points of a polynomial, again affine combinations
    of positions (symplectic partitioned Runge–Kutta methods: Marsden & West 2001, section 2.6.5;
    Hairer, Lubich & Wanner 2006, section VI.6). Both points are solved for at once. See
    [`noetherax.VariationalGauss6`][] for which order to choose.

    !!! example

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx


        def chain(q, v):  # three points, springs of stiffness 1 between them
            return jnp.sum(v**2) / 2 - jnp.sum((q[1:] - q[:-1]) ** 2) / 2


        with jax.enable_x64(True):
            q0, v0 = jnp.array([[0.0], [1.0], [3.0]]), jnp.array([[1.0], [0.0], [0.0]])
            times = jnp.linspace(0.0, 20.0, 41)  # steps of 0.5
            path = nx.rollout(chain, q0, v0, ts=times, solver=nx.VariationalGauss4())
            total = jnp.sum(path.p, axis=1)  # of the momenta that it has carried
            assert jnp.max(jnp.abs(total - 1.0)) < 1e-13
        ```

    **Arguments:** None.
    """

    @property
    def stages(self) -> int:
        return 2


@final
class VariationalGauss6(VariationalSolver):
    """Gauss' variational method of three stages, of order 6.

    As [`noetherax.VariationalGauss4`][] with three points, and the first choice where the motion itself
    has to be accurate. Measured on a learned Kepler orbit (`benchmarks/solvers.py` repeats it): the
    accuracy of RK4 at the paper's step of 0.01 costs a fifth of its time, at steps of 0.07; with
    Gauss 4 half of it. The midpoint rule is cheapest where only charges and the shape of the motion
    matter. Compositions of midpoint steps, the other way to these orders (Suzuki 1990; Kahan & Li
    1997), cost four to six times as much, since they solve for one point at a time.

    !!! example

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx


        def spring(q, v):
            return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2


        with jax.enable_x64(True):
            q0, v0 = jnp.array([[1.0]]), jnp.array([[0.0]])
            times = jnp.linspace(0.0, 2 * jnp.pi, 11)  # ten steps in a period
            path = nx.rollout(spring, q0, v0, ts=times, solver=nx.VariationalGauss6())
            back = jnp.hypot(path.q[-1] - q0, path.v[-1] - v0)
            assert 1e-7 < back < 1e-4  # of order 6, though the steps are large
        ```

    **Arguments:** None.
    """

    @property
    def stages(self) -> int:
        return 3
