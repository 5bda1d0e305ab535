# %% [markdown]
# # Which symmetry do my data have?
#
# The package does not search for a symmetry, but you can test candidates. Fit the same data with several groups and compare them
# on data that none has seen. The right group lowers the error; one that is too large leaves an error that no training removes.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import noetherax as nx

# %% [markdown]
# ## The data
#
# A particle in a trap that is symmetric about the z axis, and stiffer along it. Few observations, with noise:

# %%
stiffness = jnp.array([1.0, 1.0, 2.0])


def trap(q, v):
    inward = jnp.sum(q[:, :2] ** 2)
    return jnp.sum(v**2) / 2 - jnp.sum(stiffness * q**2) / 2 - inward**2 / 4


def observe(key, count, noise):
    q, v, error = jax.random.normal(key, (3, count, 1, 3))
    a = jax.vmap(lambda q, v: nx.acceleration(trap, q, v))(q, v)
    return q, v, a + noise * error


train = observe(jax.random.key(0), 120, 0.05)
unseen = observe(jax.random.key(1), 2000, 0.0)

# %% [markdown]
# ## Candidates
#
# From no symmetry at all to more than there is. The mass is known, so each model is a potential, a function of the group's
# invariants of position.

# %%
candidates = {
    "none": nx.Trivial(3),
    "about z": nx.AxialRotations(),
    "all rotations": nx.Rotations(3),
    "shift along z": nx.Translations(3, axes=(2,)),
}


def error(model, data):
    q, v, a = data
    predicted = jax.vmap(lambda q, v: nx.acceleration(model, q, v))(q, v)
    return float(jnp.sqrt(jnp.mean((predicted - a) ** 2) / jnp.mean(a**2)))


models, errors = {}, {}
print(f"{'candidate':14} {'invariants':>10} {'charges':>8} {'seen':>8} {'unseen':>8}")
for name, group in candidates.items():
    features = group.configuration_features(points=1)
    model = nx.NeuralSeparableLagrangian(features, width=32, key=jax.random.key(0))
    model, _ = nx.fit(model, train, steps=800, key=jax.random.key(2), progress=False)
    models[name] = model
    errors[name] = error(model, train), error(model, unseen)
    print(
        f"{name:14} {features.num_features:10} {group.dimension:8} "
        f"{errors[name][0]:8.3f} {errors[name][1]:8.3f}"
    )

# %% alt="Bars of the error on seen and unseen data for four candidate groups. Rotations about z has the smallest error on unseen data" caption="A symmetry that is too large cannot fit what was seen. One that is too small fits it, and errs on what was not."
figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
place = jnp.arange(len(errors))
for offset, (label, index) in enumerate((("seen", 0), ("unseen", 1))):
    heights = [pair[index] for pair in errors.values()]
    ax.bar(place + 0.4 * offset - 0.2, heights, 0.4, label=label)
ax.set_xticks(place, errors)
ax.set(ylabel="relative error of the acceleration", yscale="log")
ax.legend()
plt.show()

# %% [markdown]
# ## How to read it
#
# - **Too large** (all rotations, a shift along z): the error is large even on the *seen* data. The law does not have this
#   symmetry.
# - **Too small** (none): the model fits the seen data, noise included, and is worse on the unseen.
# - **Right** (about z): the least error on unseen data, and a conserved charge.
#
# ## A second opinion
#
# The candidate's charge should be constant along recorded motions. Take the model fitted without any symmetry, and look at the
# charges of all candidates along a true trajectory:

# %%
ts = jnp.linspace(0.0, 10.0, 101)
start = jnp.array([[1.0, 0.3, 0.5]]), jnp.array([[0.1, 0.9, -0.3]])
recorded = nx.rollout(trap, *start, ts=ts)
print(f"{'candidate':14} drift of each charge along a recorded motion")
for name, group in candidates.items():
    if group.dimension:
        charge = group.noether_charge(models["none"])
        drifts = nx.drift(charge, recorded, per_charge=True).max(axis=0)
        print(f"{name:14} " + "  ".join(f"{x:.2f}" for x in drifts))

# %% [markdown]
# The angular momentum about z hardly changes. The other two components, and the momentum along z, do.
