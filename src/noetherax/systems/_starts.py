"""Fixed numbers for initial states."""

import numpy as np

PAPER = np.array(
    [
        [-1.0902805, -0.12405161, -0.7085263, -0.10214504],
        [-0.21140446, -0.71716917, 0.47501928, 1.5214312],
        [0.14773327, -0.03144972, 1.0839803, -1.3460099],
    ]
).ravel()
"""The normally distributed numbers that start the paper's two particles in four dimensions."""


def fixed_normals(count: int) -> np.ndarray:
    """`count` numbers of the normal distribution, always the same, first those of the paper."""
    further = np.random.default_rng(0).normal(size=max(count - len(PAPER), 0))
    return np.concatenate([PAPER, further])[:count]
