"""The table of what is derived for every shipped group, computed from the groups themselves."""

import warnings

import jax
import jax.numpy as jnp
import noetherax as nx
import numpy as np

STEP = 1e-4

GROUPS = {
    "Trivial(3)": nx.Trivial(3),
    "Translations(3)": nx.Translations(3),
    "Rotations(2)": nx.Rotations(2),
    "Rotations(3)": nx.Rotations(3),
    "Rotations(4)": nx.Rotations(4),
    "Orthogonal(3)": nx.Orthogonal(3),
    "AxialRotations()": nx.AxialRotations(),
    "Translations(3) * Rotations(3)": nx.Translations(3) * nx.Rotations(3),
    "Euclidean(3)": nx.Euclidean(3),
    "Lorentz()": nx.Lorentz(),
    "Poincare()": nx.Poincare(),
    "Unitary(2)": nx.Unitary(2),
    "Unitary(4)": nx.Unitary(4),
    "SpecialUnitary(4)": nx.SpecialUnitary(4),
    "SpecialUnitary(6)": nx.SpecialUnitary(6),
    "Symplectic(2)": nx.Symplectic(2),
    "Symplectic(4)": nx.Symplectic(4),
    "SpecialLinear(2)": nx.SpecialLinear(2),
    "SpecialLinear(3)": nx.SpecialLinear(3),
}


def derived_table() -> str:
    """A Markdown table: charges, and for one, two and three points the features."""
    lines = [
        "| group | charges | 1 point | 2 points | 3 points |",
        "| --- | --: | --- | --- | --- |",
    ]
    for name, group in GROUPS.items():
        cells = [_cell(group, points) for points in (1, 2, 3)]
        lines.append(f"| `{name}` | {group.dimension} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(group: nx.AffineGroup, points: int) -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        features = group.invariant_features(points)
    singular = (
        " ✗" if any("singular" in str(warning.message) for warning in caught) else ""
    )
    if not features.num_features:
        return f"none{singular}"
    # By differences, since compiling the derivatives of some fifty layers would take a minute.
    state = np.random.default_rng(0).normal(size=2 * points * group.space)
    steps = STEP * np.eye(len(state))
    states = np.concatenate(
        [state + steps, state - steps, state[None], 2 * state[None]]
    )
    with jax.enable_x64(True):
        layer = jax.jit(
            jax.vmap(lambda x: features(*x.reshape(2, points, group.space)))
        )
        values = np.asarray(layer(jnp.asarray(states)))
    later, earlier = values[: len(state)], values[len(state) : -2]
    independent = np.linalg.matrix_rank((later - earlier) / (2 * STEP), tol=1e-5)
    degrees = np.round(np.log2(values[-1] / values[-2])).astype(int)
    by_degree = ", ".join(
        f"{np.sum(degrees == k)} of degree {k}" for k in np.unique(degrees)
    )
    return f"{by_degree}; {independent} independent{singular}"
