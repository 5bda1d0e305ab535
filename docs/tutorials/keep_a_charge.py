# %% [markdown]
# # Keep a charge
#
# A neural Lagrangian of invariant features conserves its charges in continuous time. A computer takes finite steps. You will see
# how well a Runge–Kutta method and a variational solver conserve the charge over several revolutions.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import noetherax as nx
import optax

jax.config.update(
    "jax_enable_x64", True
)  # rounding of float32 would hide the difference

# %% [markdown]
# ## A learned orbit
#
# Kepler's problem with eccentricity 0.5 and its rotations declared.

# %%
system = nx.systems.Kepler(eccentricity=0.5)
group = nx.Rotations(3)
model = nx.NeuralLagrangian(
    group.invariant_features(points=1),
    width=24,
    key=jax.random.key(0),
    dtype=jnp.float64,
)
schedule = optax.cosine_decay_schedule(3e-3, 600)
adam = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
model, history = nx.fit(
    model,
    system.sampler(noise=0.0),
    steps=600,
    optimizer=adam,
    key=jax.random.key(1),
    progress=False,
)
print(f"explained: {history.explained:.3%}")

# %% [markdown]
# ## Follow it with three solvers
#
# All take steps of 0.05, about two hundred per revolution, for six revolutions.

# %%
ts = jnp.linspace(0.0, 60.0, 61)
charge, energy = group.noether_charge(model), nx.Energy(model)
solvers = {
    "RK4": nx.RK4(),
    "VariationalMidpoint": nx.VariationalMidpoint(),
    "VariationalGauss4": nx.VariationalGauss4(),
}
orbits = {
    name: nx.rollout(model, *system.initial_state(), ts=ts, dt=0.05, solver=solver)
    for name, solver in solvers.items()
}
print(f"{'solver':22} {'drift of the charge':>20} {'of the energy':>14}")
for name, orbit in orbits.items():
    drifts = [nx.drift(each, orbit).max() for each in (charge, energy)]
    print(f"{name:22} {drifts[0]:20.1e} {drifts[1]:14.1e}")

# %% alt="Left: drift of the angular momentum over time. That of RK4 grows steadily, those of the variational solvers stay near 1e-14. Right: error of the energy, growing for RK4 and bounded for the others" caption="The same model and the same steps. What differs is the solver."
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for name, orbit in orbits.items():
    left.semilogy(ts[1:], nx.drift(charge, orbit)[1:] + 1e-17, label=name)
    right.semilogy(ts[1:], nx.drift(energy, orbit)[1:] + 1e-17, label=name)
left.set(xlabel="time", ylabel="drift of the angular momentum")
right.set(xlabel="time", ylabel="drift of the energy")
left.legend()
plt.show()

# %% [markdown]
# - **RK4** conserves the charge to the order of the method. The error keeps growing.
# - **Variational solvers** conserve it to rounding at *any* step, because the discrete step has the symmetry. Their energy error
#   is of the order of the method, but does not grow.
#
# ## What the step size changes
#
# With a variational solver the charge is conserved at any step size. The orbit does depend on it: a coarse step makes the ellipse
# precess.

# %%
print(f"{'step':>6} {'RK4':>10} {'midpoint':>10}   drift of the charge to t = 20")
for dt in (0.2, 0.1):
    drifts = []
    for name in ("RK4", "VariationalMidpoint"):
        options = dict(ts=ts[:21], dt=dt, solver=solvers[name])
        path = nx.rollout(model, *system.initial_state(), **options)
        drifts.append(nx.drift(charge, path).max())
    print(f"{dt:6} {drifts[0]:10.1e} {drifts[1]:10.1e}")

# %% [markdown]
# The conserved charge is the model's. How close it is to the true one depends on the training, not on the solver. [Exact
# where?](../exact.md) lists which claim holds where, with measurements and costs.
