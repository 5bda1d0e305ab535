"""The paper's Tables 1 and 2 and Figures 1 and 2, from the layers themselves.

What the symmetry-enforcing layer S of two particles passes on to the network, for each symmetry that
is declared (Müller 2023, sections 2.2.2 and 3.1.3): nothing here is typed, all of it is read off the
features that the groups derive and the models that are built on them.
Run as `python experiments/invariant_layers.py`; see `--help` for options.
"""

import _experiment as ex
import jax
from _common import parse_arguments, print_table, write_results

import noetherax as nx

SPACE, POINTS = 4, 2
ROTATIONS, TRANSLATIONS = nx.Rotations(SPACE), nx.Translations(SPACE)
SYMMETRIES = {  # invariant under translations?, under rotations?
    (False, False): nx.Trivial(SPACE),
    (False, True): ROTATIONS,
    (True, False): TRANSLATIONS,
    (True, True): TRANSLATIONS * ROTATIONS,
}
ANSWER = {False: "no", True: "yes"}


def title(translations: bool, rotations: bool) -> str:
    return f"translations: {ANSWER[translations]}, rotations: {ANSWER[rotations]}"


def table(content: dict) -> list[list]:
    """The paper's arrangement: translations down, rotations across."""
    return [[ANSWER[row], *(content[row, column] for column in (False, True))] for row in ANSWER]


def draw(folder, lagrangians) -> None:
    """Figure 1, the layers of a model; Figure 2, those of all four symmetries."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(11, 3.5), layout="constrained")
    nx.plot.plot_layers(lagrangians[True, True], ax=figure.add_subplot())
    ex.save_figure(figure, folder, "figure01_model")
    figure, axes = plt.subplots(4, 1, figsize=(11, 15), layout="constrained")
    for ax, (symmetry, lagrangian) in zip(axes, lagrangians.items(), strict=True):
        nx.plot.plot_layers(lagrangian, title=title(*symmetry), ax=ax)
    ex.save_figure(figure, folder, "figure02_layers")


def main() -> None:
    options = parse_arguments(
        "The invariant layers of two particles.", steps=1, quick_steps=1, out="results/layers"
    )
    features = {key: group.invariant_features(POINTS) for key, group in SYMMETRIES.items()}
    names = {key: nx.feature_names(x) for key, x in features.items()}
    counts = {key: x.num_features for key, x in features.items()}
    print(f"{POINTS} particles in R^{SPACE}: what each symmetry leaves\n")
    for key, each in names.items():
        print(f"{title(*key)}\n  {', '.join(each)}")
    print("\nNumber of inputs to the first dense layer (the paper's Table 2: 16, 11, 12, 6)")
    print_table(["translations", "rotations: no", "rotations: yes"], table(counts))
    keys = jax.random.split(jax.random.key(options.seed), len(features))
    lagrangians = {
        symmetry: nx.NeuralLagrangian(x, key=key)
        for (symmetry, x), key in zip(features.items(), keys, strict=True)
    }
    draw(options.out, lagrangians)
    record = {title(*key): {"features": counts[key], "names": names[key]} for key in features}
    write_results(options.out, {"settings": {"seed": options.seed}, "layers": record})


if __name__ == "__main__":
    main()
