# %% [markdown]
# # Declare a group
#
# A wire is wound around the z axis like the thread of a screw, and a bead slides along it on a spring. Turning the wire changes
# it, and so does lifting it. Turning *and* lifting it together, by the right amounts, does not: that is its symmetry. The package
# does not have this group. You will declare it by its generator, and get a charge that the bead conserves.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import noetherax as nx

# %% [markdown]
# ## The generator
#
# A group of affine maps is given by its generators, vector fields $\xi(x) = A x + b$. That of the screw is $\xi(x, y, z) = (-y,
# x, 1)$: a point turns about the axis, and rises by one for every radian.


# %%
class Screw(nx.AffineGroup):
    def algebra(self):
        turn = jnp.array([[[0.0, -1, 0], [1, 0, 0], [0, 0, 0]]])
        lift = jnp.array([[0.0, 0, 1]])
        return turn, lift


group = Screw()
print(group.dimension, "generator")
print(group.generators(jnp.array([[1.0, 0.0, 0.0]])))

# %% [markdown]
# Is it the symmetry that you meant? Apply a group element and look: a full turn lifts a point by $2\pi$.

# %%
q, v = jnp.array([[1.0, 0.0, 0.0]]), jnp.array([[0.0, 0.0, 1.0]])
print(group.act(jnp.array([2 * jnp.pi]), q, v)[0].round(4))

# %% [markdown]
# ## Invariant features
#
# For rotations, translations and most other groups, `group.invariant_features(points)` derives the features. The invariants of a
# screw are not polynomials, so an error is raised, and you write them by hand: here, position and velocity in axes that turn with
# the height.

# %%
try:
    group.invariant_features(points=1)
except ValueError as error:
    print(str(error)[:200], "…")


class Alongside(nx.InvariantFeatures):
    num_features: int = 5

    def __call__(self, q, v):
        cosine, sine = jnp.cos(q[0, 2]), jnp.sin(q[0, 2])
        turn = jnp.array([[cosine, sine], [-sine, cosine]])
        return jnp.concatenate([turn @ q[0, :2], turn @ v[0, :2], v[0, 2:]])


# %% [markdown]
# Now test what you wrote. The check draws random states and group elements, and prints those that break the symmetry.

# %%
nx.testing.check_features(
    Alongside(), group, points=1, dtype=jnp.float32, max_examples=20
)
print("invariant, smooth and complete")

# %% [markdown]
# ## A model, and its charge
#
# Observations come from a true law, `wire`. A model on the features learns from them:


# %%
def wire(q, v):
    x, y, *_ = Alongside()(q, v)
    return jnp.sum(v**2) / 2 - 2 * ((x - 1) ** 2 + y**2)


q, v = 0.7 * jax.random.normal(jax.random.key(0), (2, 4096, 1, 3)) + jnp.array(
    [1.0, 0, 0]
)
a = jax.vmap(lambda q, v: nx.acceleration(wire, q, v))(q, v)

model = nx.NeuralLagrangian(Alongside(), width=48, key=jax.random.key(1))
model, history = nx.fit(
    model, (q, v, a), steps=2000, key=jax.random.key(2), progress=False
)
print(f"loss {history.loss[0]:.1e} → {history.loss[-1]:.1e}")

# %% [markdown]
# ## What is conserved
#
# Integrate the model, and compare three charges along its motion: of the turn alone, of the lift alone, and of the screw.

# %%
ts = jnp.linspace(0.0, 20.0, 201)
start = jnp.array([[1.5, 0, 0]]), jnp.array([[0.0, 0.8, 0.5]])
orbit = nx.rollout(model, *start, ts=ts)
groups = {
    "turn": nx.AxialRotations(),
    "lift": nx.Translations(3, axes=(2,)),
    "screw": group,
}
print(f"{'charge':8} {'drift, model':>14} {'drift, truth':>14}")
for name, each in groups.items():
    own, true = (
        nx.drift(each.noether_charge(law), orbit).max() for law in (model, wire)
    )
    print(f"{name:8} {own:14.1e} {true:14.1e}")

# %% alt="Three charges over time: those of the turn and of the lift swing widely, that of the screw is a straight line" caption="Charges of the true law along the motion of the model. Neither the turn nor the lift is a symmetry of the wire; the screw that joins them is."
figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
for name, each in groups.items():
    ax.plot(ts, jax.vmap(each.noether_charge(wire))(orbit.q, orbit.v)[:, 0], label=name)
ax.set(xlabel="time", ylabel="charge")
ax.legend()
plt.show()

# %% [markdown]
# The screw charge of the *model* is conserved up to the error of the solver, since the features have the symmetry for any
# weights. How well that of the *true* law is conserved, in the last column, depends on how well the law was learned.
# The other two charges are conserved by neither law, and differ: many Lagrangians have the same motion, but other momenta.
# `examples/own_group.py` does the same; see the [gallery](../gallery/index.md#a-symmetry-of-your-own).
#
# Next: [several points, reflections, angles](../groups.md), and [the laws that test them](property_test_a_layer.md).
