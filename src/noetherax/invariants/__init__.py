"""From the generators of a group to its invariant features: analysis in float64 NumPy, outside
`jax.jit`."""

from ._affine import affine_invariants
from ._configuration import affine_configuration_invariants
from ._frame import Frame
from ._tensors import tensor_invariants

__all__ = ["Frame", "affine_configuration_invariants", "affine_invariants", "tensor_invariants"]
