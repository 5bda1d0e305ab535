# %% [markdown]
# # From a table to a law
#
# A ball rolls in a round bowl. A camera above it records its position, with errors of a millimetre, and drops frames. The result
# is a CSV table. You will turn it into a law of motion, and test that law on recordings that it has not seen.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import noetherax as nx
import numpy as np

# %% [markdown]
# ## The table
#
# This cell simulates the camera: ten recordings, 240 of 300 frames each, positions in metres.

# %%
rng = np.random.default_rng(0)


def bowl(q, v):
    r2 = jnp.sum(q**2)
    return jnp.sum(v**2) / 2 - r2 / 2 - r2**2 / 4


lines = ["run,seconds,x,y"]
for run in range(10):
    times = np.sort(rng.choice(np.arange(300), 240, replace=False)) / 30
    start = rng.uniform(0.4, 1.0, (2, 1, 2)) * rng.choice([-1, 1], (2, 1, 2))
    path = np.asarray(nx.rollout(bowl, *start, ts=times).q[:, 0])
    for t, (x, y) in zip(times, path + 1e-3 * rng.normal(size=path.shape), strict=True):
        lines.append(f"{run},{t:.4f},{x:.4f},{y:.4f}")
with open("bowl.csv", "w") as file:
    file.write("\n".join(lines))
print("\n".join(lines[:4]))

# %% [markdown]
# ## Read it
#
# `position` lists the columns of each point: here one point with two coordinates. `recording` tells the runs apart.

# %%
tracks = nx.Tracks.from_csv(
    "bowl.csv", time="seconds", position=[["x", "y"]], recording="run"
)
train, held_out = tracks.split(0.8, by="recording")
print(tracks)

# %% [markdown]
# ## Velocities and accelerations
#
# The camera recorded neither. `smooth` fits polynomials to short windows, chooses their length and degree from the data, and
# estimates the errors of the result. If the error of the acceleration were as large as the acceleration, you would need more
# frames, or [a loss on trajectories](../data.md#without-accelerations).

# %%
smoothed, unseen = train.smooth(), held_out.smooth()
print(smoothed.smoothing)

# %% [markdown]
# ## Declare and fit
#
# You know that the bowl is round. Nothing else is declared.

# %%
group = nx.Rotations(2)
model = nx.NeuralLagrangian(
    group.invariant_features(points=1), width=32, key=jax.random.key(0)
)
model, history = nx.fit(
    model,
    smoothed,
    validation=unseen,
    steps=800,
    key=jax.random.key(1),
    progress=False,
)
print(
    f"explained: {history.explained:.2%}, of the validation {history.explained_validation:.2%}"
)

# %% [markdown]
# ## Judge it
#
# `evaluate` integrates the model from the first sample of each held-out recording.

# %%
charges = {"angular momentum": group.noether_charge, "energy": nx.Energy}
print(nx.evaluate(model, unseen, charges=charges))

# %% [markdown]
# *distance* is the largest error of a trajectory relative to its size; the noise of the first sample contributes to it. *recorded
# drift* is the change of the model's charges along the recorded motion, *model drift* along its own motion.

# %% alt="Left: recorded positions as dots with the learned orbit through them. Right: the model's angular momentum and energy stay within a few millionths, on a logarithmic axis" caption="A recording that was held out, the model's motion from its first sample, and the drift of its charges."
seen, (q, v, _) = unseen[0], unseen.observations()
orbit = nx.rollout(model, q[0], v[0], ts=seen.t)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
left.plot(*np.asarray(seen.q[:, 0]).T, ".", color="0.6", label="recorded")
left.plot(*orbit.q[:, 0].T, label="model")
left.set(xlabel="x (m)", ylabel="y (m)", aspect="equal")
left.legend()
for name, of in charges.items():
    right.semilogy(orbit.ts[1:], nx.drift(of(model), orbit)[1:] + 1e-9, label=name)
right.set(xlabel="time (s)", ylabel="drift")
right.legend()
plt.show()

# %% [markdown]
# ## Keep it
#
# One file, with notes of your choice:

# %%
nx.save("bowl.nx", model, metadata={"data": "bowl.csv", "steps": 800})

# %% [markdown]
# Next: [angles, inputs, several files](../data.md), [validation and stopping](../training.md), [sharing a model](../howto/files.md).
