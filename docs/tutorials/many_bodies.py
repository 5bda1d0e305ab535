# %% [markdown]
# # Many bodies
#
# Identical points that interact in pairs obey one law for all pairs. You will learn it from three bodies and use it for thirty.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import noetherax as nx

jax.config.update("jax_enable_x64", True)

# %% [markdown]
# ## Three bodies, observed
#
# The true law, unknown to the model: a soft repulsion and a weak spring between every two points in the plane.


# %%
def potential(distance2):
    return jnp.exp(-distance2) + 0.05 * distance2


def truth(q, v):
    first, second = jnp.triu_indices(len(q), 1)
    pairs = jnp.sum((q[first] - q[second]) ** 2, axis=1)
    return jnp.sum(v**2) / 2 - jnp.sum(potential(pairs))


q, v = jax.random.normal(jax.random.key(0), (2, 2000, 3, 2))
q, v = 1.5 * q, 0.5 * v
a = jax.jit(jax.vmap(lambda q, v: nx.acceleration(truth, q, v)))(q, v)

# %% [markdown]
# ## A law of pairs
#
# `Euclidean(2)` makes the pair potential a function of the distance. The masses are given as one.

# %%
group = nx.Euclidean(2)
model = nx.PairwiseLagrangian(group, width=16, key=jax.random.key(1), dtype=jnp.float64)
model, history = nx.fit(
    model, (q, v, a), steps=500, key=jax.random.key(2), progress=False
)
model, history = nx.polish(model, (q, v, a), samples=2000, iterations=8, progress=False)
print(f"loss {history.loss[0]:.1e} → {history.loss[-1]:.1e}")

# %% [markdown]
# ## Thirty bodies
#
# The same weights, not fitted again.

# %%
many_q, many_v = jax.random.normal(jax.random.key(3), (2, 30, 2))
ts = jnp.linspace(0.0, 4.0, 41)
options = dict(ts=ts, dt=0.02, solver=nx.RK4())
motion = nx.rollout(model, 2 * many_q, 0.3 * many_v, **options)
reference = nx.rollout(truth, 2 * many_q, 0.3 * many_v, **options)
error = jnp.abs(motion.q - reference.q).max()
print(f"largest error of a position: {error:.4f}")
print(f"spread of the positions:     {jnp.std(motion.q):.4f}")

# %% [markdown]
# Momentum and angular momentum of the thirty are charges of the model, as of the true law:

# %%
names = ("momentum x", "momentum y", "angular momentum")
charge = jax.vmap(group.noether_charge(model))(motion.q, motion.v)
print(f"{'':18} {'start':>10} {'change':>10}")
for name, x in zip(names, charge.T, strict=True):
    print(f"{name:18} {x[0]:10.4f} {jnp.abs(x - x[0]).max():10.1e}")

# %% alt="Left: the learned force between two points over their distance, on the true one. Right: paths of thirty points, with the true end positions as circles on the learned ones" caption="The force between two points, learned from three bodies, and the motion of thirty under it."
r = jnp.linspace(0.2, 4.0, 60)


def pull(law, r):
    q = jnp.stack([jnp.zeros(2), jnp.array([1.0, 0.0]) * r])
    return nx.acceleration(law, q, jnp.zeros((2, 2)))[1, 0]


figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for name, law, style in (("true", truth, "k"), ("learned", model, "--C1")):
    left.plot(r, jax.vmap(lambda r, law=law: pull(law, r))(r), style, label=name)
left.set(xlabel="distance", ylabel="force")
left.legend()
right.plot(motion.q[:, :, 0], motion.q[:, :, 1], color="C1", linewidth=0.8)
right.plot(*reference.q[-1].T, "o", color="black", fillstyle="none", label="true end")
right.set(xlabel="x", ylabel="y", aspect="equal")
right.legend()
plt.show()

# %% [markdown]
# Next: [masses, charges and kinds of points, cut-offs, boxes](../lagrangians.md#many-bodies).
