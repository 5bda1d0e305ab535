"""Systems with a known law: the truth that learned dynamics are judged by."""

from ._double_pendulum import DoublePendulum, DoublePendulumLagrangian
from ._double_well import DoubleWell, DoubleWellLagrangian
from ._harmonic_oscillator import HarmonicOscillator, HarmonicOscillatorLagrangian
from ._kepler import Kepler, KeplerLagrangian
from ._motion import motion
from ._orbits import Orbits
from ._relativistic_charge import RelativisticCharge, RelativisticChargeLagrangian
from ._schwarzschild import Schwarzschild, SchwarzschildLagrangian
from ._spin_chain import SpinChain, SpinChainLagrangian
from ._system import System
from ._two_particles import TwoParticles, TwoParticlesLagrangian

__all__ = [
    "DoublePendulum",
    "DoublePendulumLagrangian",
    "DoubleWell",
    "DoubleWellLagrangian",
    "HarmonicOscillator",
    "HarmonicOscillatorLagrangian",
    "Kepler",
    "KeplerLagrangian",
    "Orbits",
    "RelativisticCharge",
    "RelativisticChargeLagrangian",
    "Schwarzschild",
    "SchwarzschildLagrangian",
    "SpinChain",
    "SpinChainLagrangian",
    "System",
    "TwoParticles",
    "TwoParticlesLagrangian",
    "motion",
]
