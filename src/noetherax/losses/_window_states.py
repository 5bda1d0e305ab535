from .._types import Time
from ..data import Windows
from ._base import States


def window_states(windows: Windows, interval: Time) -> States:
    """The states inside of windows. Velocities that were not observed are central differences, whose
    noise is the least that positions give at each time."""
    times = slice(1, -1)
    v = (windows.q[:, 2:] - windows.q[:, :-2]) / (2 * interval)
    v = v if windows.v is None else windows.v[:, times]
    a = None if windows.a is None else _flat(windows.a[:, times])
    return _flat(windows.q[:, times]), _flat(v), a


def _flat(x):
    return x.reshape(-1, *x.shape[2:])
