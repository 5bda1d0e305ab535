"""From the generators of a group to its invariant features."""
