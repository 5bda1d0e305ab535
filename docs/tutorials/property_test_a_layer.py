# %% [markdown]
# # Property-test a layer
#
# A layer that is only *almost* invariant trains well and conserves nothing exactly. The loss does not show such bugs. You will
# find four of them, with the property tests ("laws") that the package runs on itself.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import noetherax as nx
from noetherax import testing

jax.config.update("jax_enable_x64", True)  # the laws compare at rounding

# %% [markdown]
# ## A layer
#
# Two particles in space, under joint translations and rotations. The layer sees their relative motion:

# %%
group = nx.Translations(3) * nx.Rotations(3)


def layer(q, v):
    r, u = q[0] - q[1], v[0] - v[1]
    return jnp.array([r @ r, r @ u, u @ u])


testing.check_features(layer, group, points=2, complete=False, max_examples=20)
print("invariant and smooth")

# %% [markdown]
# ## Four bugs
#
# The first depends slightly on an absolute position. The second takes the root of a square, whose derivative is infinite where
# the particles meet. The third omits the velocity of the centre. The fourth is symmetric only below a threshold, beyond which it
# is cut off.


# %%
def leaning(q, v):
    return layer(q, v) + 1e-9 * q[0, 0]


def rooted(q, v):
    return jnp.sqrt(layer(q, v)[:1])


def forgetful(q, v):
    return layer(q, v)


def threshold(q, v):
    return jnp.where(q[0, 2] > 2.0, 0.0, layer(q, v))


found = {}
bugs = {leaning: False, rooted: False, forgetful: True, threshold: False}
for bug, complete in bugs.items():
    try:
        testing.check_features(bug, group, points=2, complete=complete, max_examples=60)
        found[bug.__name__] = "not found"
    except AssertionError as error:
        found[bug.__name__] = str(error).splitlines()[0]
for name, message in found.items():
    print(f"{name:10} {message[:76]}")

# %% [markdown]
# ## What a report says
#
# The law, the generator, the state, the size of the violation, and the tolerance with its reason:

# %%
try:
    testing.check_features(leaning, group, points=2, complete=False, max_examples=60)
except AssertionError as error:
    print("\n".join(line[:84] for line in str(error).splitlines()[:14]))

# %% [markdown]
# ## What a bug does to a charge
#
# The effect of a small bug can grow. A term $\varepsilon x$ in the Lagrangian changes the momentum at the rate $\varepsilon$, for
# as long as the motion goes on:

# %% alt="Drift of the momentum over time for three sizes of the bug: three parallel lines that grow with time, each a factor of a thousand apart" caption="Momentum of a model whose layer leans on an absolute position by ε."
ts = jnp.linspace(0.0, 20.0, 201)
q = jnp.array([[1.0, 0.0, 0.0], [-1.0, 0.2, 0.0]])
v = jnp.array([[0.3, 0.5, 0.0], [0.1, -0.4, 0.1]])
figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
print(f"{'epsilon':>8} {'loss of momentum':>18}")
for epsilon in (1e-9, 1e-6, 1e-3):

    def lagrangian(q, v, epsilon=epsilon):
        return jnp.sum(v**2) / 2 - layer(q, v)[0] + epsilon * q[0, 0]

    path = nx.rollout(lagrangian, q, v, ts=ts, solver=nx.VariationalGauss4())
    drift = nx.drift(nx.Translations(3).noether_charge(lagrangian), path)
    ax.semilogy(ts[1:], drift[1:], label=f"ε = {epsilon:g}")
    print(f"{epsilon:8g} {drift.max():18.1e}")
ax.set(xlabel="time", ylabel="drift of the momentum")
ax.legend()
plt.show()

# %% [markdown]
# ## In pytest
#
# One decorator tests every law on each of your objects:
#
# ```python
# @testing.parametrize_with_laws([testing.Features(layer, group, points=2, complete=False)])
# def test_laws(subject, law):
#     law(subject)
# ```
#
# Next: [Lagrangians, charges, forces, and what the laws cannot see](../laws.md).
