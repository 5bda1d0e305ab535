"""Cost of invariant features: to derive them, and to evaluate them by tensors and in closed form.

Derivation is timed once for each case in this process (it runs once in a program as well); evaluation
is compiled first, and the median of several repeats, as a ratio of the general route to the closed
form in the same run.

    python benchmarks/features.py --out results/benchmarks
"""

import argparse
import json
import statistics
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

import noetherax as nx
from noetherax.algebras import balance, read_algebra
from noetherax.invariants import Frame, tensor_invariants

BATCH, REPEATS = 1024, 15


class ByGenerators(nx.AffineGroup):
    """A group known by its matrices only."""

    name: str

    def __init__(self, name: str):
        self.name = name

    def algebra(self):
        linear = GENERATORS[self.name]()
        return linear, np.zeros(linear.shape[:2])


def conjugated(linear: np.ndarray) -> np.ndarray:
    mixing = np.random.default_rng(0).normal(size=linear.shape[1:])
    return mixing @ linear @ np.linalg.inv(mixing)


def triangular(size: int) -> np.ndarray:
    identity = np.eye(size)
    pairs = [(j, k) for j in range(size) for k in range(j + 1, size)]
    return np.array([np.outer(identity[j], identity[k]) for j, k in pairs])


GENERATORS = {
    "SO(8), conjugated": lambda: conjugated(nx.Rotations(8).algebra()[0]),
    "SU(4), degree 4": lambda: nx.SpecialUnitary(8).algebra()[0],
    "Sp(8)": lambda: nx.Symplectic(8).algebra()[0],
    "upper triangular 8 x 8, degree 4": lambda: triangular(8),
    "SO(3) on 5 vectors, degree 3": lambda: np.kron(nx.Rotations(3).algebra()[0], np.eye(5)),
    "U(16)": lambda: nx.Unitary(32).algebra()[0],
    "SO(64)": lambda: nx.Rotations(64).algebra()[0],
}

CLOSED = {
    "Rotations(3)": nx.Rotations(3),
    "Rotations(4)": nx.Rotations(4),
    "Lorentz()": nx.Lorentz(),
    "SpecialLinear(3)": nx.SpecialLinear(3),
}


def seconds(function) -> tuple[float, Any]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def microseconds(features: nx.InvariantFeatures, space: int) -> float:
    """Median time of one evaluation in a batch, compiled."""
    layer = jax.jit(jax.vmap(features))
    q, v = np.random.default_rng(0).normal(size=(2, BATCH, 2, space)).astype(np.float32)
    jax.block_until_ready(layer(q, v))
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(layer(q, v))
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times) / BATCH


def derive() -> dict:
    """Seconds to declare a group and to derive the features of one point."""
    cases: dict[str, tuple] = {name: (partial(ByGenerators, name), 1) for name in GENERATORS}
    cases["Rotations(8), 8 points, no determinants"] = (partial(nx.Rotations, 8), 8)
    results = {}
    for name, (construct, points) in cases.items():
        options = {"determinants": False} if points == 8 else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            declared, group = seconds(construct)
            derived, features = seconds(partial(group.invariant_features, points, **options))
        count = features.num_features
        results[name] = {"declare": declared, "derive": derived, "features": count}
        print(f"{name:42s} {declared:8.2f} s {derived:8.2f} s {count:6d} features", flush=True)
    return results


def evaluate() -> dict:
    """Microseconds per state of two points, closed form and invariant tensors."""
    results = {}
    for name, group in CLOSED.items():
        algebra, unit = balance(read_algebra(group.algebra(), name))
        frame = Frame(2, group.space, tuple(range(group.space)), np.diag(unit))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            closed = microseconds(group.invariant_features(2), group.space)
            general = microseconds(tensor_invariants(algebra, frame, name, 4), group.space)
        results[name] = {"closed": closed, "tensors": general, "ratio": general / closed}
        print(f"{name:42s} {closed:8.2f} us {general:7.2f} us  ratio {general / closed:.2f}")
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    print("derive: declaring the group, deriving its features")
    results: dict = {"derive": derive()}
    print("evaluate: closed form, invariant tensors")
    results["evaluate"] = evaluate()
    path = options.out / "features.json"
    path.write_text(json.dumps(results, indent=2) + "\n")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
