"""What accuracy and an exact charge cost: variational solvers against RK4, Dopri8 and Kvaerno5.

Model: Kepler's ellipse learned with rotations declared, in float64 afterwards. Every solver runs at
several steps, those of Diffrax that choose their own at several tolerances; its error is the distance
to the same model's motion at 1e-12. Times are ratios to RK4 at the paper's step of 0.01 in the same
run, medians of several repeats.

Beside the package's solvers: compositions of the midpoint rule (Suzuki's of order 4, Kahan and Li's of
order 6), and the package's solver with Newton's method from Optimistix. That costs the same; the last
table shows what becomes of it on the true law, where corrections vanish.

    python benchmarks/solvers.py --out results/benchmarks
"""

import argparse
import contextlib
import functools
import json
import statistics
import time
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from _timing import forget_programs

import noetherax as nx
from noetherax.solvers import VariationalSolver, _variational
from noetherax.solvers._newton import Root

KEPLER = nx.systems.Kepler()
ROTATIONS = nx.Rotations(3)
FINAL_TIME, EVERY, REPEATS = 32.0, 1.6, 5  # somewhat more than a period; saved at

SUZUKI = np.array([1, 1, 0, 1, 1]) / (4 - 4 ** (1 / 3))
SUZUKI[2] = 1 - SUZUKI.sum()
KAHAN_LI = [0.39216144400731413928, 0.33259913678935943860, -0.70624617255763935981]
KAHAN_LI = [*KAHAN_LI, 0.082213596293550800230]
KAHAN_LI = [*KAHAN_LI, 1 - 2 * sum(KAHAN_LI), *reversed(KAHAN_LI)]


class Composition(diffrax.AbstractSolver):
    """Several midpoint steps of given lengths, which add up to one."""

    weights: tuple
    term_structure: ClassVar = diffrax.AbstractTerm
    interpolation_cls: ClassVar = diffrax.LocalLinearInterpolation

    def init(self, terms, t0, t1, y0, args):
        return nx.VariationalMidpoint().init(terms, t0, t1, y0, args)

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        def substep(carry, part):
            y, state = carry
            end = t0 + part * (t1 - t0)
            y, _, _, state, result = nx.VariationalMidpoint().step(
                terms, t0, end, y, args, state, made_jump
            )
            return (y, state), result

        carry, results = jax.lax.scan(substep, (y0, solver_state), jnp.array(self.weights))
        failed = jnp.any(results != diffrax.RESULTS.successful)
        diverged = diffrax.RESULTS.promote(optx.RESULTS.nonlinear_divergence)
        result = diffrax.RESULTS.where(failed, diverged, diffrax.RESULTS.successful)
        return carry[0], None, dict(y0=y0, y1=carry[0]), carry[1], result

    def func(self, terms, t0, y0, args):
        raise NotImplementedError


def optimistix_newton(finder, function, guess, fallback):
    """The package's `newton` with a root finder from Optimistix, as tight as it converges."""
    del fallback
    solution = optx.root_find(lambda x, _: function(x)[0], finder, guess, max_steps=50, throw=False)
    return Root(
        solution.value,
        function(solution.value)[2],
        solution.result == optx.RESULTS.successful,
        jnp.array(True),
    )


def patched(finder):
    return mock.patch.object(_variational, "newton", functools.partial(optimistix_newton, finder))


NEWTON = optx.Newton(rtol=1e-14, atol=1e-14, cauchy_termination=False)
CHORD = optx.Chord(rtol=1e-14, atol=1e-14, cauchy_termination=False)
METHODS = {
    "RK4": (nx.RK4(), [0.04, 0.02, 0.01, 0.005, 0.0025, 0.00125], None),
    "Dopri8": (diffrax.Dopri8(), [1e-5, 1e-7, 1e-9, 1e-11, 1e-13], None),
    "Kvaerno5": (diffrax.Kvaerno5(), [1e-5, 1e-7, 1e-9, 1e-11], None),
    "VariationalMidpoint": (nx.VariationalMidpoint(), [0.1, 0.02, 0.01, 0.005], None),
    "VariationalGauss4": (nx.VariationalGauss4(), [0.2, 0.1, 0.05, 0.025], None),
    "VariationalGauss6": (nx.VariationalGauss6(), [0.4, 0.2, 0.1, 0.05], None),
    "Suzuki 4": (Composition(tuple(SUZUKI)), [0.2, 0.1, 0.05, 0.025], None),
    "Kahan-Li 6": (Composition(tuple(KAHAN_LI)), [0.4, 0.2, 0.1, 0.05], None),
    "VariationalGauss6, Optimistix Newton": (
        nx.VariationalGauss6(), [0.2, 0.1, 0.05], NEWTON,
    ),
    "VariationalGauss6, Optimistix Chord": (
        nx.VariationalGauss6(), [0.2, 0.1, 0.05], CHORD,
    ),
}  # fmt: skip


ADAPTIVE = ("Dopri8", "Kvaerno5")


def compiled(lagrangian, name: str, solver, setting, finder):
    """A compiled rollout, at a step or a tolerance, that saves 20 times."""
    dt = EVERY if name in ADAPTIVE else setting
    ts = np.linspace(0, FINAL_TIME, round(FINAL_TIME / EVERY) + 1)
    q0, v0 = KEPLER.initial_state()
    grid = jnp.asarray(np.linspace(0, FINAL_TIME, round(FINAL_TIME / dt) + 1))
    if name in ADAPTIVE:
        # Its interpolation keeps no charge: it steps on the times that are saved.
        controller = diffrax.PIDController(rtol=setting, atol=setting)
        controller = diffrax.ClipStepSizeController(controller, step_ts=jnp.asarray(ts))
        options: dict[str, Any] = dict(stepsize_controller=controller)
    else:
        options = dict(dt=dt)

    def run(q, v):
        if name in ADAPTIVE or not isinstance(solver, VariationalSolver | Composition):
            path = nx.rollout(lagrangian, q, v, ts=ts, solver=solver, throw=False, **options)
            momentum = jax.vmap(functools.partial(nx.momentum, lagrangian))
            return path.q, momentum(path.q, path.v) if path.p is None else path.p
        solution = diffrax.diffeqsolve(
            nx.LagrangianTerm(lagrangian), solver, ts[0], ts[-1], None,
            (q, nx.momentum(lagrangian, q, v), v), saveat=diffrax.SaveAt(ts=jnp.asarray(ts)),
            stepsize_controller=diffrax.StepTo(grid), max_steps=len(grid) - 1, throw=False,
        )  # fmt: skip
        assert solution.ys is not None
        return solution.ys[:2]

    forget_programs()
    with patched(finder) if finder is not None else contextlib.nullcontext():
        function = jax.jit(run).lower(q0, v0).compile()
    return functools.partial(function, q0, v0)


def seconds(function) -> float:
    start = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - start


def measure(lagrangian):
    """Error, drift and relative time of every method at every step."""
    q0, v0 = KEPLER.initial_state()
    exact_ts = np.linspace(0, FINAL_TIME, round(FINAL_TIME / EVERY) + 1)
    exact = nx.rollout(
        lagrangian, q0, v0, ts=exact_ts, solver=diffrax.Dopri8(),
        stepsize_controller=diffrax.PIDController(rtol=1e-13, atol=1e-13),
    ).q  # fmt: skip
    peer = compiled(lagrangian, "RK4", nx.RK4(), 0.01, None)
    jax.block_until_ready(peer())
    rows = []
    for name, (solver, settings, finder) in METHODS.items():
        for setting in settings:
            function = compiled(lagrangian, name, solver, setting, finder)
            q, p = jax.block_until_ready(function())
            ratios = [seconds(function) / seconds(peer) for _ in range(REPEATS)]
            charge = np.cross(q, p)[:, 0]
            row = {
                "method": name,
                "setting": setting,
                "error": float(np.abs(q - exact).max()),
                "drift": float(np.abs(charge - charge[0]).max() / np.linalg.norm(charge[0])),
                "time": statistics.median(ratios),
            }
            rows.append(row)
            print(
                "{method:38s} {setting:8.2g} {error:9.2e} {drift:9.2e} {time:8.3f}".format(**row),
                flush=True,
            )
    return rows


def long_drifts(lagrangian):
    """Largest drift over the paper's time: its integrator at its step, and the midpoint rule at ten."""
    ts, charge = np.linspace(0, 128, 1281), ROTATIONS.noether_charge(lagrangian)
    return {
        f"{type(solver).__name__} at {dt}": float(
            nx.drift(
                charge,
                nx.rollout(lagrangian, *KEPLER.initial_state(), ts=ts, dt=dt, solver=solver),
            ).max()
        )
        for solver, dt in [(nx.VariationalMidpoint(), 0.1), (nx.RK4(), 0.01)]
    }


def optimistix_results() -> dict[str, bool]:
    """Whether the midpoint rule solves its steps on the true law, with either Newton."""
    results = {}
    for dt in (0.1, 0.01):
        ts = np.linspace(0, 64, 11)
        for name, context in [("own", contextlib.nullcontext()), ("Optimistix", patched(NEWTON))]:
            forget_programs()
            with context:
                result = nx.rollout(
                    KEPLER.lagrangian, *KEPLER.initial_state(), ts=ts, dt=dt,
                    solver=nx.VariationalMidpoint(), throw=False,
                ).result  # fmt: skip
            results[f"{name} at {dt}"] = bool(result == diffrax.RESULTS.successful)
    return results


def time_at(rows, method, key, target) -> float:
    """Time at which a method reaches a target, from the power law through its two nearest steps."""
    points = sorted((np.log(r[key]), np.log(r["time"])) for r in rows if r["method"] == method)
    points = np.array(points)
    near = np.sort(np.argsort(np.abs(points[:, 0] - np.log(target)))[:2])
    slope = np.polyfit(points[near, 0], points[near, 1], 1)
    return float(np.exp(np.polyval(slope, np.log(target))))


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=20_000, help="of training")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"))
    options = parser.parse_args()
    key, fit_key = jax.random.split(jax.random.key(0))
    model = nx.NeuralLagrangian(ROTATIONS.invariant_features(points=1), key=key)
    loss = nx.RelativeAccelerationLoss(0.3)
    model, _ = nx.fit(model, KEPLER.sampler(), steps=options.steps, loss=loss, key=fit_key)
    with jax.enable_x64(True):
        double = jax.tree.map(
            lambda x: jnp.asarray(x, jnp.float64) if eqx.is_inexact_array(x) else x, model
        )
        print(
            "method                        step or tolerance error     drift  time (RK4 at 0.01 = 1)"
        )
        rows = measure(double)
        long = long_drifts(double)
        solved = optimistix_results()
    target = next(r["error"] for r in rows if r["method"] == "RK4" and r["setting"] == 0.01)
    print(f"\ntime to an error of {target:.1e}, that of RK4 at 0.01")
    equal = {}
    for name in METHODS:
        if "Optimistix" not in name:
            equal[name] = time_at(rows, name, "error", target)
            print(f"{name:38s} {equal[name]:8.3f}")
    exact = {name: time_at(rows, name, "drift", 1e-12) for name in ("RK4", "Dopri8", "Kvaerno5")}
    # The cheapest that keeps the charge at all, accurate or not; and one as accurate as RK4.
    ours = [r for r in rows if r["method"].startswith("Variational") and r["drift"] < 1e-12]
    exact["variational"] = min(r["time"] for r in ours)
    exact["variational, error of RK4"] = min(r["time"] for r in ours if r["error"] <= target)
    print("\ntime to a drift of 1e-12 over t = 32")
    for name, ratio in exact.items():
        print(f"{name:38s} {ratio:8.3f}")
    print(f"drift over t = 128: {long}")
    print(f"steps of the true law solved: {solved}")
    record = {
        "steps of the true law solved": solved,
        "rows": rows,
        "drift over t = 128": long,
        "equal accuracy": equal,
        "time to a drift of 1e-12": exact,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    record["device"], record["jax"] = str(jax.devices()[0]), jax.__version__
    (options.out / "solvers.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
