"""Lie algebras of affine groups: generators as matrices, and their exponential."""
