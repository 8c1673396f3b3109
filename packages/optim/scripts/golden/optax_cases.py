"""
Optax's numbers for optimisers, transformations, schedules and losses, in double precision.
Needs jax and optax. Run: python packages/optim/scripts/golden/optax_cases.py

A case is an expression such as T('adam', 0.01, b1=0.8): it is built here with Optax, and written
down with names in camelCase for the tests to build with this package: positional arguments stay
positional and keywords become one object of options.
"""
import json
import os
import re

import jax

jax.config.update('jax_enable_x64', True)

import jax.numpy as jnp
import numpy as np
import optax
from optax import contrib

folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'test-data')


def camel(name):
    return re.sub(r'_([a-z0-9])', lambda m: m.group(1).upper(), name)


class T:
    """A call of a function of Optax, by its name; `ours` where the name here is another."""

    def __init__(self, name, *args, ours=None, **kwargs):
        self.name, self.args, self.kwargs = name, args, kwargs
        self.ours = ours or camel(name)

    def build(self):
        function = getattr(optax, self.name, None) or getattr(contrib, self.name)
        return function(*map(build, self.args), **{k: build(v) for k, v in self.kwargs.items()})

    def json(self):
        call = {'call': self.ours, 'args': list(map(plain, self.args))}
        if self.kwargs:
            call['options'] = {camel(k): plain(v) for k, v in self.kwargs.items()}
        return call


class Key:
    """A random key."""

    def __init__(self, seed):
        self.seed = seed


def build(value):
    if isinstance(value, T):
        return value.build()
    if isinstance(value, Key):
        return jax.random.key(value.seed)
    if isinstance(value, list):
        return [build(v) for v in value]
    if isinstance(value, dict):
        return {k: build(v) for k, v in value.items()}
    return value


def plain(value):
    if isinstance(value, T):
        return value.json()
    if isinstance(value, Key):
        return value.seed
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {camel(str(k)): plain(v) for k, v in value.items()}
    return value


def numbers(tree):
    return jax.tree.map(lambda x: np.asarray(x).tolist(), tree)


# --- optimisers and transformations ------------------------------------------------------------------

rng = np.random.RandomState(0)
shapes = {'bias': (3,), 'conv': (2, 2, 2, 3), 'kernel': (4, 3), 'wide': (2, 5)}
# float32's numbers, so that both sides start from the same.
draw = lambda scale: {
    k: jnp.asarray((rng.normal(size=s) * scale).astype(np.float32), jnp.float64) for k, s in shapes.items()
}
params = draw(1.0)
gradients = [draw(s) for s in (1.0, 0.3, 2.0, 0.05, 1.0, 0.7, 1.5)]
MASK = {'bias': False, 'conv': True, 'kernel': True, 'wide': False}

optimisers = [
    T('sgd', 0.1),
    T('sgd', 0.1, momentum=0.9),
    T('sgd', 0.1, momentum=0.9, nesterov=True),
    T('sgd', T('linear_schedule', 0.1, 0.01, 5), momentum=0.5),
    T('adam', 0.01),
    T('adam', 0.01, b1=0.8, b2=0.95, eps=1e-3, eps_root=1e-4),
    T('adam', 0.01, nesterov=True),
    T('adam', T('cosine_decay_schedule', 0.1, 10)),
    T('nadam', 0.01),
    T('adamw', 0.01),
    T('adamw', 0.01, weight_decay=0.1, mask=MASK),
    T('adamw', 0.01, weight_decay=T('linear_schedule', 0.1, 0.0, 5)),
    T('nadamw', 0.01, weight_decay=0.1),
    T('adamax', 0.01),
    T('adamax', 0.01, b1=0.5, b2=0.6, eps=1e-2),
    T('adamaxw', 0.01, weight_decay=0.1),
    T('amsgrad', 0.01),
    T('amsgrad', 0.01, b1=0.7, b2=0.8, bias_correction_mu=False, bias_correction_nu=False),
    T('radam', 0.01),
    T('radam', 0.01, b1=0.8, b2=0.9, threshold=4.5, nesterov=True),
    T('adabelief', 0.01),
    T('adabelief', 0.01, b1=0.8, eps=1e-3, eps_root=1e-5, nesterov=True),
    T('adan', 0.01),
    T('adan', 0.01, b1=0.9, b2=0.8, b3=0.95, weight_decay=0.05),
    T('yogi', 0.01),
    T('yogi', 0.01, b1=0.8, b2=0.9, eps=1e-2),
    T('lion', 0.01),
    T('lion', 0.01, b1=0.8, b2=0.9, weight_decay=0.1),
    T('lamb', 0.01),
    T('lamb', 0.01, weight_decay=0.1, mask=MASK),
    T('lars', 0.1),
    T('lars', 0.1, weight_decay=0.01, weight_decay_mask=MASK, trust_ratio_mask=MASK,
      trust_coefficient=0.1, eps=1e-3, momentum=0.8, nesterov=True),
    T('novograd', 0.01),
    T('novograd', 0.01, b1=0.8, b2=0.5, weight_decay=0.1),
    T('rmsprop', 0.01),
    T('rmsprop', 0.01, decay=0.8, eps=1e-3, initial_scale=0.5, eps_in_sqrt=False, bias_correction=True),
    T('rmsprop', 0.01, centered=True),
    T('rmsprop', 0.01, centered=True, eps_in_sqrt=False, bias_correction=True, momentum=0.9, nesterov=True, eps=1e-3,
      initial_scale=2.0),
    T('adagrad', 0.1),
    T('adagrad', 0.1, initial_accumulator_value=0.0, eps=1e-3),
    T('adadelta', 0.5),
    T('adadelta', 0.5, rho=0.8, eps=1e-3, weight_decay=0.1),
    T('adafactor', 0.1),
    T('adafactor', 0.1, min_dim_size_to_factor=2),
    T('adafactor', 0.1, min_dim_size_to_factor=2, decay_rate=0.6, multiply_by_parameter_scale=False,
      clipping_threshold=None, momentum=0.9, weight_decay_rate=0.01),
    T('sign_sgd', 0.1),
    T('signum', 0.1, beta=0.8),
    T('noisy_sgd', 0.1, key=Key(7)),
    T('optimistic_gradient_descent', 0.1, alpha=0.9, beta=0.7),
    T('polyak_sgd', max_learning_rate=0.05, scaling=0.5, f_min=0.1, variant='sps+'),
    T('muon', 0.1),
    T('muon', 0.1, ns_coeffs='dion', beta=0.9, nesterov=False, adaptive=True, weight_decay=0.1,
      consistent_rms=0.2, adam_b1=0.8, adam_learning_rate=0.01),
    T('optimistic_adam_v2', 0.01),
    T('optimistic_adam_v2', 0.01, alpha=0.8, beta=0.5, b1=0.7, nesterov=False),
    T('sm3', 0.1),
    T('fromage', 0.1),
    T('fromage', T('linear_schedule', 0.5, 0.1, 5), min_norm=2.0),
    T('adafactor', learning_rate=0.1, min_dim_size_to_factor=2),
    T('adadelta', learning_rate=0.5, rho=0.5),
    T('schedule_free_sgd', learning_rate=0.2, warmup_steps=2),
    T('schedule_free_adamw', learning_rate=0.02, b1=0.8),
    T('schedule_free_sgd', 0.5),
    T('schedule_free_sgd', 0.5, warmup_steps=3, b1=0.8, weight_decay=0.1),
    T('schedule_free_adamw', 0.05, warmup_steps=2, weight_decay=0.1),
    T('schedule_free', T('sgd', 0.1), 0.1, b1=0.7, weight_lr_power=1.0),
    T('ademamix', 0.01),
    T('ademamix', 0.01, b3=T('linear_schedule', 0.9, 0.99, 5), alpha=T('linear_schedule', 0.0, 4.0, 5), weight_decay=0.1,
      mask=MASK),
    T('prodigy'),
    T('prodigy', 1.0, estim_lr0=1e-3, estim_lr_coef=2.0, weight_decay=0.1, betas=[0.8, 0.95]),
    T('prodigy', learning_rate=T('linear_schedule', 0.1, 1.0, 5), beta3=0.9, safeguard_warmup=True, estim_lr0=1e-4),
]

transformations = [
    T('identity', ours='identity'),
    T('set_to_zero'),
    T('scale', 0.5),
    T('scale_by_schedule', T('polynomial_schedule', 1.0, 0.1, 2, 4)),
    T('scale_by_sign'),
    T('scale_by_learning_rate', 0.1, flip_sign=False),
    T('trace', 0.9),
    T('ema', 0.9),
    T('ema', 0.9, debias=False),
    T('clip', 0.5),
    T('clip_by_global_norm', 1.0),
    T('clip_by_block_rms', 0.5),
    T('adaptive_grad_clip', 0.1),
    T('adaptive_grad_clip', 0.5, eps=2.0),
    T('add_decayed_weights', 0.1),
    T('add_decayed_weights', 0.1, mask=MASK),
    T('add_noise', 0.1, 0.5, Key(3)),
    T('apply_every', 3),
    T('centralize'),
    T('keep_params_nonnegative'),
    T('normalize_by_update_norm', scale_factor=2.0),
    T('scale_by_param_block_norm'),
    T('scale_by_param_block_rms', min_scale=1.0),
    T('scale_by_trust_ratio', min_norm=1.5, trust_coefficient=0.3, eps=0.1),
    T('scale_by_rms', bias_correction=True),
    T('scale_by_sm3', b1=0.5, b2=0.9, eps=1e-3),
    T('add_decayed_weights', weight_decay=0.1, mask=MASK),
    T('apply_every', k=2),
    T('reduce_on_plateau', patience=2, factor=0.5),
    T('reduce_on_plateau', patience=1, factor=0.5, cooldown=2, accumulation_size=2, min_scale=0.3),
    T('zero_nans'),
    T('chain', T('clip_by_global_norm', 1.0), T('adam', 0.1), T('add_decayed_weights', 0.01)),
    T('masked', T('sgd', 0.1, momentum=0.9), MASK),
    T('freeze', MASK) if hasattr(optax, 'freeze') else T('masked', T('set_to_zero'), MASK),
    T('partition', {'fast': T('adam', 0.1), 'slow': T('sgd', 0.01, momentum=0.5)},
      {'bias': 'fast', 'conv': 'slow', 'kernel': 'fast', 'wide': 'slow'}),
    T('apply_if_finite', T('adam', 0.1), 2),
    T('MultiSteps', T('adam', 0.1), 3, ours='multiSteps'),
    T('MultiSteps', T('sgd', 0.1, momentum=0.9), 2, ours='multiSteps', use_grad_mean=False),
    T('scale_by_ademamix', b1=0.8, b3=0.99),
    T('normalize'),
    T('sam', T('sgd', 0.1, momentum=0.9), T('chain', T('normalize'), T('sgd', 0.05))),
    T('sam', T('adam', 0.1), T('sgd', 0.05, momentum=0.9), sync_period=3, reset_state=False),
    T('inject_hyperparams_of', T('adam', 0.1, b1=0.8), ours='injectHyperparams'),
]


class Injected(T):
    def build(self):
        inner = self.args[0]
        return optax.inject_hyperparams(getattr(optax, inner.name))(
            *map(build, inner.args), **{k: build(v) for k, v in inner.kwargs.items()})


transformations[-1] = Injected('inject_hyperparams', T('adam', 0.1, b1=0.8))
transformations.append(Injected('inject_hyperparams', T('sgd', T('linear_schedule', 1.0, 0.0, 5), momentum=0.9)))


def run(case):
    optimiser = case.build()
    # Random numbers are others in double precision.
    cast = lambda tree: jax.tree.map(lambda x: x.astype(jnp.float32 if 'nois' in case.name else x.dtype), tree)
    p, after = cast(params), []
    state = optimiser.init(p)
    for g in map(cast, gradients):
        if 'polyak' in case.name or 'plateau' in case.name:
            updates, state = optimiser.update(g, state, p, value=0.7)
        else:
            updates, state = optimiser.update(g, state, p)
        p = optax.apply_updates(p, updates)
        after.append(p)
    result = {**case.json(), 'after': [numbers(after[i]) for i in (0, 2, 6)]}
    if 'schedule_free' in case.name:
        result['eval'] = numbers(contrib.schedule_free_eval_params(state, p))
    return result


def lookahead():
    optimiser = optax.lookahead(optax.sgd(0.1, momentum=0.9), 3, 0.4)
    p = optax.LookaheadParams.init_synced(params)
    state, after = optimiser.init(p), []
    for g in gradients:
        updates, state = optimiser.update(g, state, p)
        p = optax.apply_updates(p, updates)
        after.append({'fast': p.fast, 'slow': p.slow})
    return [numbers(after[i]) for i in (0, 2, 6)]


def sophia(**kwargs):
    """With squares of gradients for the Hessian's diagonal, because random signs differ by precision."""
    squares = optax.GradientTransformation(lambda p: None, lambda g, s, p=None: (jax.tree.map(jnp.square, g), s))
    optimiser = contrib.sophia(0.1, hessian_diagonal_fn=squares, **kwargs)
    p, after = params, []
    state = optimiser.init(p)
    for g in gradients:
        updates, state = optimiser.update(g, state, p)
        p = optax.apply_updates(p, updates)
        after.append(p)
    return {'options': {camel(k): v for k, v in kwargs.items()}, 'after': [numbers(after[i]) for i in (0, 2, 6)]}


# --- L-BFGS ------------------------------------------------------------------------------------------

def rosenbrock(p):
    return jnp.sum(100 * (p['b'] - p['a'] ** 2) ** 2 + (1 - p['a']) ** 2)


def quartic(p):
    return jnp.sum((p['a'] - 1) ** 4) + jnp.sum((p['b'] + 0.5) ** 2) + 0.1 * jnp.sum(p['a'] * p['b'])


def backtracking(name, loss, rate, steps, **kwargs):
    optimiser = optax.chain(optax.sgd(rate), optax.scale_by_backtracking_linesearch(**kwargs))
    p = {'a': jnp.asarray([-1.0, 0.5]), 'b': jnp.asarray([1.0, 2.0])}
    state = optimiser.init(p)
    rows = []
    for _ in range(steps):
        value, grad = jax.value_and_grad(loss)(p)
        updates, state = optimiser.update(grad, state, p, value=value, grad=grad, value_fn=loss)
        p = optax.apply_updates(p, updates)
        rows.append({'params': numbers(p), 'rate': float(state[-1].learning_rate),
                     'evaluations': int(state[-1].info.num_linesearch_steps)})
    return {'loss': name, 'rate': rate, 'options': {camel(k): v for k, v in kwargs.items()}, 'steps': rows}


def rprop(**kwargs):
    """By PyTorch: Optax 0.2.8 gives each update out one call late."""
    import torch
    leaves = {k: torch.tensor(np.asarray(v)).requires_grad_() for k, v in params.items()}
    optimiser = torch.optim.Rprop(leaves.values(), lr=0.1, **kwargs)
    after = []
    for g in gradients:
        for k, leaf in leaves.items():
            leaf.grad = torch.tensor(np.asarray(g[k]))
        optimiser.step()
        after.append({k: leaf.detach().numpy().tolist() for k, leaf in leaves.items()})
    return [after[i] for i in (0, 2, 6)]


def lbfgs(name, loss, steps, **kwargs):
    optimiser = optax.lbfgs(**kwargs)
    p = {'a': jnp.asarray([-1.0, 0.5]), 'b': jnp.asarray([1.0, 2.0])}
    state = optimiser.init(p)
    rows = []
    for _ in range(steps):
        value, grad = jax.value_and_grad(loss)(p)
        updates, state = optimiser.update(grad, state, p, value=value, grad=grad, value_fn=loss)
        p = optax.apply_updates(p, updates)
        info = state[-1].info
        rows.append({'params': numbers(p), 'value': float(loss(p)), 'rate': float(state[-1].learning_rate),
                     'evaluations': int(info.num_linesearch_steps)})
    return {'loss': name, 'options': {camel(k): v for k, v in kwargs.items()}, 'steps': rows}


with open(os.path.join(folder, 'optimisers.json'), 'w') as file:
    json.dump({
        'optax': optax.__version__,
        'params': numbers(params),
        'gradients': [numbers(g) for g in gradients],
        'optimisers': [run(c) for c in optimisers],
        'transformations': [run(c) for c in transformations],
        'lookahead': lookahead(),
        'sophia': [sophia(update_interval=2), sophia(b1=0.8, b2=0.7, gamma=0.5, update_interval=1, weight_decay=0.1),
                   sophia(clip_threshold=None, eps=0.3, update_interval=3)],
        'rprop': [
            {'call': 'rprop', 'args': [0.1], 'after': rprop()},
            {'call': 'rprop', 'args': [0.1], 'options': {'etaMinus': 0.3, 'etaPlus': 1.5, 'minStepSize': 0.01,
             'maxStepSize': 0.2}, 'after': rprop(etas=(0.3, 1.5), step_sizes=(0.01, 0.2))},
        ],
        'backtracking': [
            backtracking('rosenbrock', rosenbrock, 1.0, 6, max_backtracking_steps=60),
            backtracking('quartic', quartic, 1.0, 6, max_backtracking_steps=15, store_grad=True),
            backtracking('quartic', quartic, 2.0, 5, max_backtracking_steps=4, slope_rtol=0.3,
                         decrease_factor=0.5, increase_factor=2.0, max_learning_rate=0.7, atol=1e-3, rtol=1e-2),
        ],
        'lbfgs': [
            lbfgs('rosenbrock', rosenbrock, 6),
            lbfgs('quartic', quartic, 6, memory_size=3),
            lbfgs('quartic', quartic, 5, memory_size=2, scale_init_precond=False),
        ],
    }, file)

# --- schedules ---------------------------------------------------------------------------------------

COUNTS = [0, 1, 2, 3, 5, 8, 9, 10, 12, 15, 19, 20, 21, 40]
schedules = [
    T('constant_schedule', 0.3),
    T('polynomial_schedule', 1.0, 0.1, 2, 10),
    T('polynomial_schedule', 1.0, 0.1, 0.5, 10, transition_begin=3),
    T('polynomial_schedule', 1.0, 0.1, 2, 0),
    T('linear_schedule', 1.0, 0.1, 10),
    T('linear_schedule', 0.0, 2.0, 10, transition_begin=5),
    T('cosine_decay_schedule', 2.0, 20),
    T('cosine_decay_schedule', 2.0, 20, alpha=0.1, exponent=2.0),
    T('exponential_decay', 1.0, 5, 0.5),
    T('exponential_decay', 1.0, 5, 0.5, transition_begin=3, staircase=True, end_value=0.2),
    T('exponential_decay', 1.0, 5, 1.5, end_value=4.0),
    T('piecewise_constant_schedule', 1.0, {3: 0.5, 10: 0.1}),
    T('piecewise_constant_schedule', 1.0),
    T('piecewise_interpolate_schedule', 'linear', 1.0, {3: 2.0, 10: 0.1, 20: 0.5}),
    T('piecewise_interpolate_schedule', 'cosine', 1.0, {5: 2.0, 15: 0.1}),
    T('linear_onecycle_schedule', 20, 1.0),
    T('linear_onecycle_schedule', 20, 1.0, pct_start=0.5, pct_final=0.8, div_factor=10.0, final_div_factor=100.0),
    T('cosine_onecycle_schedule', 20, 1.0),
    T('cosine_onecycle_schedule', 20, 1.0, pct_start=0.5, div_factor=10.0, final_div_factor=100.0),
    T('warmup_constant_schedule', 0.0, 1.0, 8),
    T('warmup_cosine_decay_schedule', 0.0, 1.0, 5, 20),
    T('warmup_cosine_decay_schedule', 0.1, 1.0, 5, 20, end_value=0.2, exponent=2.0),
    T('warmup_exponential_decay_schedule', 0.0, 1.0, 5, 4, 0.5),
    T('warmup_exponential_decay_schedule', 0.0, 1.0, 5, 4, 0.5, transition_begin=2, staircase=True, end_value=0.1),
    T('sgdr_schedule', [
        {'init_value': 0.0, 'peak_value': 1.0, 'warmup_steps': 2, 'decay_steps': 8},
        {'init_value': 0.1, 'peak_value': 0.5, 'warmup_steps': 3, 'decay_steps': 12, 'end_value': 0.05},
    ]),
    T('join_schedules', [T('constant_schedule', 1.0), T('linear_schedule', 0.5, 0.0, 10)], [9]),
]


def run_schedule(case):
    schedule = case.build()
    return {**case.json(), 'values': [float(schedule(jnp.asarray(c))) for c in COUNTS]}


with open(os.path.join(folder, 'schedules.json'), 'w') as file:
    json.dump({'optax': optax.__version__, 'counts': COUNTS, 'schedules': list(map(run_schedule, schedules))}, file)

# --- losses ------------------------------------------------------------------------------------------

class A:
    """An array operand."""

    def __init__(self, value, dtype='float32'):
        self.value, self.dtype = np.asarray(value, dtype), dtype

    def built(self):
        return jnp.asarray(self.value, jnp.float64 if self.dtype == 'float32' else self.dtype)

    def json(self):
        return {'array': self.value.tolist(), 'dtype': self.dtype}


uniform = lambda *shape: A(rng.uniform(-2, 2, shape).round(3))
distribution = lambda *shape: A(rng.dirichlet(np.ones(shape[-1]), shape[:-1]).astype(np.float32))
L, D = uniform(4, 5), distribution(4, 5)
I = A([0, 4, 2, 1], 'int32')
B = A([[1, 0, 1, 0, 1], [0, 0, 1, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]])
SIGNS = A(np.sign(rng.normal(size=(4, 5))))
LP = A(np.log(rng.dirichlet(np.ones(5), 4)).astype(np.float32))
W = A([[True, True, True, False, True], [True, True, True, True, True], [False, True, True, False, True],
       [True, True, False, True, False]], 'bool')
ZD = A([[0, 0.5, 0.5, 0, 0], [1, 0, 0, 0, 0], [0.2, 0.2, 0.2, 0.2, 0.2], [0, 0, 0, 0.75, 0.25]])
# Where formulas have corners, and far out.
E = A([-1e4, -100, -20, -1, -1e-3, 0, 1e-3, 1, 20, 100, 1e4])
ONES, ZEROS, SOME = A(np.ones(11)), A(np.zeros(11)), A(np.full(11, 0.25))
LOGITS, LABELS = uniform(3, 7, 5), A([[1, 2, 2, 4], [3, 3, 1, 0], [2, 0, 0, 0]], 'int32')
FRAME_PADS = A([[0] * 7, [0] * 6 + [1], [0] * 4 + [1] * 3])
LABEL_PADS = A([[0, 0, 0, 0], [0, 0, 0, 1], [0, 1, 1, 1]])

losses = [
    ('softmax_cross_entropy', [L, D], {}),
    ('softmax_cross_entropy', [L, D], {'axis': 0}),
    ('softmax_cross_entropy', [L, D], {'axis': [0, 1]}),
    ('softmax_cross_entropy_with_integer_labels', [L, I], {}),
    ('softmax_cross_entropy_with_integer_labels', [L, I], {'where': W}),
    ('softmax_cross_entropy_with_integer_labels', [uniform(3, 4, 2), A([0, 7, 5], 'int32')], {'axis': [1, 2]}),
    ('safe_softmax_cross_entropy', [L, ZD], {}),
    ('poly_loss_cross_entropy', [L, D], {}),
    ('poly_loss_cross_entropy', [L, D], {'epsilon': -0.5}),
    ('sigmoid_binary_cross_entropy', [L, B], {}),
    ('sigmoid_focal_loss', [L, B], {}),
    ('sigmoid_focal_loss', [L, D], {'alpha': 0.25, 'gamma': 1.5}),
    *[(name, [E, targets], options) for targets in (ONES, ZEROS, SOME) for name, options in (
        ('sigmoid_binary_cross_entropy', {}), ('sigmoid_focal_loss', {'alpha': 0.25}),
        ('sigmoid_focal_loss', {'gamma': 0.5}), ('hinge_loss', {}), ('perceptron_loss', {}),
        ('huber_loss', {}), ('log_cosh', {}), ('squared_error', {}))],
    ('softmax_cross_entropy_with_integer_labels', [E, A(5, 'int32')], {}),
    ('multiclass_hinge_loss', [ZEROS, A(5, 'int32')], {}),
    ('hinge_loss', [L, SIGNS], {}),
    ('perceptron_loss', [L, SIGNS], {}),
    ('multiclass_hinge_loss', [L, I], {}),
    ('multiclass_perceptron_loss', [L, I], {}),
    ('kl_divergence', [LP, D], {}),
    ('kl_divergence', [LP, ZD], {'axis': 0}),
    ('kl_divergence_with_log_targets', [LP, A(np.log(D.value))], {}),
    ('generalized_kl_divergence', [L, D], {}),
    ('smooth_labels', [ZD, 0.1], {}),
    ('ranking_softmax_loss', [L, D], {'reduce_fn': None}),
    ('ranking_softmax_loss', [L, D], {'where': W, 'reduce_fn': None}),
    ('squared_error', [L, D], {}),
    ('l2_loss', [L, D], {}),
    ('l2_loss', [L], {}),
    ('huber_loss', [L, D], {}),
    ('huber_loss', [L, D], {'delta': 0.5}),
    ('log_cosh', [L, D], {}),
    ('cosine_similarity', [L, D], {}),
    ('cosine_distance', [L, D], {'epsilon': 2.0, 'axis': 0}),
    ('triplet_margin_loss', [L, D, SIGNS], {}),
    ('triplet_margin_loss', [L, D, SIGNS], {'margin': 0.3, 'norm_degree': 4, 'eps': 1e-3}),
    ('ntxent', [L, A([0, 1, 0, 1], 'int32')], {}),
    ('ntxent', [L, A([0, 1, 0, 0], 'int32')], {'temperature': 0.5}),
    ('ctc_loss', [LOGITS, FRAME_PADS, LABELS, LABEL_PADS], {}),
    ('ctc_loss', [LOGITS, FRAME_PADS, LABELS, LABEL_PADS], {'blank_id': 4}),
    ('dice_loss', [uniform(2, 3, 3, 4), A(rng.randint(0, 2, (2, 3, 3, 4)))], {}),
    ('dice_loss', [uniform(2, 3, 3, 1), A(rng.randint(0, 2, (2, 3, 3, 1)))], {'alpha': 0.3, 'beta': 0.7, 'smooth': 0.5}),
    ('dice_loss', [uniform(2, 6, 4), A(rng.randint(0, 2, (2, 6, 4)))], {'ignore_background': True, 'reduction': 'none'}),
    ('sparsemax_loss', [E, ONES], {}),
    ('sparsemax_loss', [E, ZEROS], {}),
    ('sparsemax_loss', [L, B], {}),
    ('multiclass_sparsemax_loss', [L, I], {}),
    ('multiclass_sparsemax_loss', [A([[3, 0, 0], [0.1, 0.2, 0.3], [1, 1, -5]]), A([0, 2, 1], 'int32')], {}),
    ('projection_non_negative', [L], {}),
    ('projection_box', [L, -1.0, 0.5], {}),
    ('projection_hypercube', [L], {}),
    ('projection_hypercube', [L, 1.5], {}),
    *[(f'projection_{name}', [x], {}) for x in (L, D, A([0.25, -0.125, 0.5])) for name in (
        'simplex', 'l1_sphere', 'l1_ball', 'l2_sphere', 'l2_ball', 'linf_ball')],
    *[(f'projection_{name}', [L, 2.5], {}) for name in (
        'simplex', 'l1_sphere', 'l1_ball', 'l2_sphere', 'l2_ball', 'linf_ball')],
    ('projection_vector', [L, D], {}),
    ('projection_hyperplane', [L, D, 0.7], {}),
    ('projection_halfspace', [L, D, 0.7], {}),
    ('projection_halfspace', [L, D, -9.5], {}),
]


def run_loss(name, operands, options):
    f = getattr(optax.losses, name, None) or getattr(optax.projections, name)
    kwargs = {k: v.built() if isinstance(v, A) else tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    rest = [o.built() if isinstance(o, A) else o for o in operands[1:]]
    loss = lambda x: f(x, *rest, **kwargs)
    x = operands[0].built()
    shown = {k: v for k, v in options.items() if k != 'reduce_fn'}
    return {
        'call': camel(name),
        'operands': [o.json() if isinstance(o, A) else o for o in operands],
        'options': {camel(k): v.json() if isinstance(v, A) else v for k, v in shown.items()},
        'value': numbers(loss(x)),
        'gradient': numbers(jax.grad(lambda x: jnp.sum(loss(x)))(x)),
    }


with open(os.path.join(folder, 'losses.json'), 'w') as file:
    json.dump({'optax': optax.__version__, 'losses': [run_loss(*case) for case in losses]}, file)
