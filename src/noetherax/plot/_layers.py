from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from ..features import feature_names
from ..lagrangians import NeuralLagrangian

MOST_NAMES = 16
"""Features named one by one; beyond that the first and the last."""

BOX: dict[str, Any] = dict(boxstyle="round,pad=0.5", facecolor="0.95", edgecolor="black")


def plot_layers(lagrangian: NeuralLagrangian, *, title: str = "", ax: Axes | None = None) -> Axes:
    """A diagram of a neural Lagrangian's layers, read off the model itself (Müller 2023, Figures 1
    and 2): the state, the invariant features by name, the dense layers with their sizes, L.

    !!! example

        ```python
        import jax
        import noetherax as nx
        from noetherax.plot import plot_layers

        features = nx.Rotations(3).invariant_features(points=1)
        model = nx.NeuralLagrangian(features, width=16, key=jax.random.key(0))
        ax = plot_layers(model, title="a particle about a centre")
        shown = [text.get_text() for text in ax.texts]
        assert "S: 3 features" in shown and any("3 → 16" in text for text in shown)
        ```

    **Arguments:**

    - `lagrangian`: the model.
    - `title`: of the axes.
    - `ax`: Matplotlib axes to draw into; new ones if not given.

    **Returns:**

    The axes.

    **Raises:**

    `TypeError` for a Lagrangian that has no layers.
    """
    if not isinstance(lagrangian, NeuralLagrangian):
        raise TypeError(f"Only a NeuralLagrangian has layers, but got {type(lagrangian).__name__}.")
    if ax is None:
        ax = plt.figure(figsize=(11, 3.5), layout="constrained").add_subplot()
    boxes = _boxes(lagrangian)
    for index, (head, body) in enumerate(boxes):
        place = (index + 0.5) / len(boxes)
        ax.text(place, 0.5, body, ha="center", va="center", fontsize="small", bbox=BOX)
        ax.text(place, 0.0, head, ha="center", va="bottom", fontsize="small")
        if index:
            arrow: Any = dict(arrowstyle="->", color="black")
            start, end = place - 0.6 / len(boxes), place - 0.4 / len(boxes)
            ax.annotate("", (end, 0.5), (start, 0.5), arrowprops=arrow)
    ax.set(xlim=(0, 1), ylim=(0, 1), title=title)
    ax.axis("off")
    return ax


def _boxes(lagrangian: NeuralLagrangian) -> list[tuple[str, str]]:
    """Caption and content of every box, from left to right."""
    names = list(feature_names(lagrangian.features))
    if len(names) > MOST_NAMES:
        names = [*names[: MOST_NAMES - 2], "⋮", names[-1]]
    layers = lagrangian.network.layers
    activation = lagrangian.network.activation
    activation = getattr(activation, "__name__", type(activation).__name__)
    boxes = [
        ("state", "q, v"),
        (f"S: {lagrangian.features.num_features} features", "\n".join(names)),
    ]
    boxes += [("standardised", "(S − centre)\n/ unit")]
    for index, layer in enumerate(layers):
        last = index == len(layers) - 1
        body = "\n".join(
            [
                f"{layer.in_features} → {1 if last else layer.out_features}",
                "with bias" if layer.use_bias else "no bias",
                *([] if last else [activation]),
            ]
        )
        boxes.append((f"dense {index + 1}", body))
    return [*boxes, ("Lagrangian", "L")]
