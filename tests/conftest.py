import jax
import matplotlib

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
# The tests compile much and run little: compile quickly.
jax.config.update("jax_disable_most_optimizations", True)
matplotlib.use("Agg")
