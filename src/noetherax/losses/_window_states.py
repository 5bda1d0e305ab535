from .._types import Time
from ..training._windows import Windows
from ._base import States


def window_states(windows: Windows, interval: Time) -> States:
    """The states inside of windows. Velocities that were not observed are central differences, whose
    noise is the least that positions give at each time."""
    q, v, a = (None if x is None else x[:, 1:-1] for x in windows)
    if v is None:
        v = (windows.q[:, 2:] - windows.q[:, :-2]) / (2 * interval)
    q, v, a = (None if x is None else x.reshape(-1, *x.shape[2:]) for x in (q, v, a))
    return q, v, a
