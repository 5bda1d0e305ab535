# %% [markdown]
# # Friction and forces
#
# Real machines lose energy and are driven. A force is added to the Lagrangian, and every charge has a balance: its change is what
# the forces put in. You will find the friction of a pendulum from a recording, and see what friction between two bodies must
# conserve.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import noetherax as nx
import numpy as np

jax.config.update("jax_enable_x64", True)

# %% [markdown]
# ## A damped pendulum
#
# The recording is an angle, sampled twenty times a second with noise of a milliradian. The true law is a pendulum with friction
# $-0.1\,v$.


# %%
def pendulum(q, v):
    return jnp.sum(v**2) / 2 + jnp.sum(jnp.cos(q))


truth = nx.Forced(pendulum, lambda q, v: -0.1 * v)
t = 0.05 * np.arange(600)
motion = nx.rollout(truth, jnp.full((1, 1), 2.0), jnp.zeros((1, 1)), ts=t).q[:, 0, 0]
angle = motion + 1e-3 * np.random.default_rng(0).normal(size=len(t))
tracks = nx.Tracks.from_table(
    {"t": t, "angle": angle},
    time="t",
    position=[["angle"]],
    periods={"angle": 2 * np.pi},
)
seen, later = tracks.split(0.5)

# %% [markdown]
# ## A model with a force
#
# The potential is a network of sine and cosine of the angle. Friction has one unknown constant. `Forced` joins the two, and is
# accepted wherever a Lagrangian is.

# %%
features = nx.Periodic(1).configuration_features(1)
lagrangian = nx.NeuralSeparableLagrangian(
    features, width=8, depth=1, key=jax.random.key(0)
)
friction = nx.LinearFriction(nx.Trivial(1).configuration_features(1))
model = nx.Forced(lagrangian, friction)
model, history = nx.fit(
    model, seen.smooth(), steps=800, key=jax.random.key(1), progress=False
)
print(f"friction: {model.forces[0].constants[0]:.4f} from accelerations, true 0.1")

# %% [markdown]
# The effect of a small constant adds up over time, so refine it on windows of the trajectory, with Gauss–Newton steps.

# %%
loss = nx.TrajectoryLoss(tracks.interval, noise=1e-3)
model, history = nx.polish(
    model, seen.windows(100), loss=loss, iterations=6, progress=False
)
print(f"friction: {model.forces[0].constants[0]:.4f} from trajectories")

# %% alt="Left: the recorded angle over thirty seconds, with the model's prediction of the second half on top of it. Right: the energy of the model falls steadily" caption="The first half of the recording was seen, the second half is predicted from one state."
q, v, _ = seen.smooth().observations()
ts = np.append(seen.smooth()[0].t[-1], later[0].t)
path = nx.rollout(model, q[-1], v[-1], ts=ts)
error = np.abs(path.q[1:, 0, 0] - later[0].q[:, 0, 0]).max()
print(f"largest error of the prediction: {error:.4f} rad")

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
left.plot(t, angle, ".", markersize=2, color="0.6", label="recorded")
left.plot(path.ts, path.q[:, 0, 0], label="predicted")
left.set(xlabel="time (s)", ylabel="angle (rad)")
left.legend()
right.plot(path.ts, jax.vmap(nx.Energy(model))(path.q, path.v)[:, 0])
right.set(xlabel="time (s)", ylabel="energy")
plt.show()

# %% [markdown]
# ## What friction may not take
#
# Friction between two bodies takes energy, but no momentum and no angular momentum: what one loses, the other gains.
# [`Friction`][noetherax.Friction], a function of the group's invariants of q and their rates, guarantees that for any weights.
# Here the weights are random:

# %%
group = nx.Euclidean(2)


def bound(q, v):
    return jnp.sum(v**2) / 2 - jnp.sum((q[0] - q[1]) ** 2)


rub = nx.Friction(
    group.configuration_features(2), "convex", width=16, key=jax.random.key(2)
)
pair = nx.Forced(bound, rub)
q, v = jnp.array([[1.0, 0.0], [-1.0, 0.2]]), jnp.array([[0.3, 0.2], [0.1, -0.1]])
orbit = nx.rollout(pair, q, v, ts=0.1 * jnp.arange(301), solver=nx.VariationalGauss4())

charges = jax.vmap(group.noether_charge(pair))(orbit.q, orbit.v)
energy = jax.vmap(nx.Energy(pair))(orbit.q, orbit.v)[:, 0]
print(f"{'':18} {'start':>10} {'end':>10}")
names = ("momentum x", "momentum y", "angular momentum", "energy")
for name, x in zip(names, [*charges.T, energy], strict=True):
    print(f"{name:18} {x[0]:10.6f} {x[-1]:10.6f}")

# %% [markdown]
# ## The balance of a charge
#
# An external drive does change the momentum. `balance` subtracts what every force put in. What is left is rounding: nothing is
# lost or gained by the solver.


# %%
def drive(q, v, t):
    return jnp.stack([jnp.cos(2 * t) * jnp.array([1.0, 0.0]), jnp.zeros(2)])


machine = nx.Forced(bound, rub, drive)
orbit = nx.rollout(
    machine, q, v, ts=0.1 * jnp.arange(101), solver=nx.VariationalGauss4()
)
charge = group.noether_charge(machine)
change = jax.vmap(charge)(orbit.q, orbit.v)
print(f"change of the charges:  {jnp.abs(change - change[0]).max():.2f}")
print(f"left in the balance:    {jnp.abs(nx.balance(charge, orbit)).max():.0e}")

# %% [markdown]
# Next: [inputs, explicit time, other kinds of friction](../forces.md).
