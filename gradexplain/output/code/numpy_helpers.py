"""What NumPy lacks, as text that is written into a module that uses it."""

from __future__ import annotations

from gradexplain.rules.activations import SELU_ALPHA, SELU_SCALE

# What the definition of a rule would lose digits for, or has no formula for. A helper may use those of other rules.
HELPERS = {
    "sigmoid": """\
def sigmoid(a):
    small = np.exp(-np.abs(a))
    return np.where(a < 0, small, 1.0) / (1 + small)
""",
    "logsigmoid": """\
def logsigmoid(a):
    return -np.logaddexp(0.0, -a)
""",
    "softplus": """\
def softplus(a, b=1, c=20):
    return np.where(b * a > c, a, np.logaddexp(0.0, b * a) / b)
""",
    "elu": """\
def elu(a, b=1):
    return np.where(a > 0, a, b * np.expm1(a))
""",
    "selu": f"""\
def selu(a):
    return {SELU_SCALE} * np.where(a > 0, a, {SELU_ALPHA} * np.expm1(a))
""",
    "gelu": """\
def gelu(a):
    return a * erfc(-a / math.sqrt(2)) / 2
""",
    "erf": """\
erf = np.vectorize(math.erf, otypes=[float])
""",
    "erfc": """\
erfc = np.vectorize(math.erfc, otypes=[float])
""",
    "lgamma": """\
def lgamma(a):
    return math.inf if math.isinf(a) or (a <= 0 and not a % 1 > 0) else math.lgamma(a)


lgamma = np.vectorize(lgamma, otypes=[float])
""",
    "digamma": """\
def digamma(a):
    if a <= 0 and not a % 1 > 0:
        return math.nan
    if a < 0:
        return float(digamma(1 - a)) - math.pi / math.tan(math.pi * math.fmod(a, 1))
    # Up to where the asymptotic series is exact to the last digit.
    below = []
    while a < 12:
        below.append(-1 / a)
        a += 1
    series = 1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12, -3617 / 8160
    terms = [-c / a ** (2 * k) for k, c in enumerate(series, 1)]
    return math.fsum([math.log(a), -1 / (2 * a), *terms, *below])


digamma = np.vectorize(digamma, otypes=[float])
""",
    "polygamma": """\
def polygamma(n, a):
    if n == 0:
        return float(digamma(a))
    if a <= 0 and not a % 1 > 0:
        return math.inf if n % 2 else math.nan
    # Up to where the asymptotic series is exact to the last digit; n! is in front of it all.
    below = []
    while a < 12 + 2 * n:
        below.append(a ** -(n + 1.0))
        a += 1
    bernoulli = 1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510
    terms = [1 / (n * a**n), 1 / (2 * a ** (n + 1.0))]
    for k, b in enumerate(bernoulli, 1):
        terms.append(b * math.comb(int(n) + 2 * k - 1, 2 * k) / (n * a ** (n + 2.0 * k)))
    return (-1) ** (n + 1) * math.factorial(int(n)) * math.fsum(terms + below)


polygamma = np.vectorize(polygamma, otypes=[float])
""",
    "flatten": """\
def flatten(a, start_dim=0, end_dim=-1):
    start, end = start_dim % max(a.ndim, 1), end_dim % max(a.ndim, 1)
    return a.reshape(*a.shape[:start], -1, *a.shape[end + 1 :])
""",
    "squeeze": """\
def squeeze(a, axis=None):
    axes = range(a.ndim) if axis is None else np.atleast_1d(axis)
    return np.squeeze(a, tuple(int(k) for k in axes if a.shape[k] == 1))
""",
    "select_scatter": """\
def select_scatter(a, part, axis, index):
    found = np.array(a, dtype=float)
    np.moveaxis(found, axis, 0)[index] = part
    return found
""",
    "slice_scatter": """\
def slice_scatter(a, part, axis, start=None, end=None, step=1):
    found = np.array(a, dtype=float)
    np.moveaxis(found, axis, 0)[start:end:step] = np.moveaxis(part, axis, 0)
    return found
""",
    "kron_left": """\
def kron_left(g, a, b):
    # What flows through the Kronecker product of a and b to a.
    blocks = np.reshape(g, [size for pair in zip(a.shape, b.shape) for size in pair])
    return np.sum(blocks * np.expand_dims(b, tuple(range(0, 2 * a.ndim, 2))), axis=tuple(range(1, blocks.ndim, 2)))
""",
    "kron_right": """\
def kron_right(g, a, b):
    # What flows through the Kronecker product of a and b to b.
    blocks = np.reshape(g, [size for pair in zip(a.shape, b.shape) for size in pair])
    return np.sum(blocks * np.expand_dims(a, tuple(range(1, 2 * a.ndim, 2))), axis=tuple(range(0, blocks.ndim, 2)))
""",
    "prod_of_others": """\
def prod_of_others(a, axis=None):
    # For each element the product of all others, without dividing by it.
    moved = a.ravel() if axis is None else np.moveaxis(a, axis, -1)
    ones = np.ones_like(moved[..., :1])
    before = np.cumprod(np.concatenate([ones, moved[..., :-1]], -1), -1)
    after = np.flip(np.cumprod(np.concatenate([ones, np.flip(moved, -1)[..., :-1]], -1), -1), -1)
    return (before * after).reshape(a.shape) if axis is None else np.moveaxis(before * after, -1, axis)
""",
    "first_largest": """\
def first_largest(a, axis):
    found = np.zeros_like(a)
    np.put_along_axis(found, np.expand_dims(np.argmax(a, axis), axis), 1.0, axis)
    return found
""",
    "logsumexp": """\
def logsumexp(a, axis=None, keepdims=False):
    top = np.max(a, axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    found = top + np.log(np.sum(np.exp(a - top), axis, keepdims=True))
    return found if keepdims else np.squeeze(found, axis)
""",
    "log_softmax": """\
def log_softmax(a, axis=-1):
    return a - logsumexp(a, axis, True)
""",
    "softmax": """\
def softmax(a, axis=-1):
    return np.exp(log_softmax(a, axis))
""",
    "cofactor": """\
def cofactor(a):
    # The matrix of cofactors, of singular matrices as well: from the singular values, each left out in turn.
    left, values, right = np.linalg.svd(a)
    sign = np.linalg.det(left) * np.linalg.det(right)
    return sign[..., None, None] * (left * np.expand_dims(prod_of_others(values, -1), -2)) @ right
""",
    "logdet": """\
def logdet(a):
    sign, found = np.linalg.slogdet(a)
    return np.where(sign < 0, np.nan, found)
""",
    "reduced": """\
def reduced(losses, reduction):
    return losses if reduction == "none" else np.sum(losses) if reduction == "sum" else np.mean(losses)
""",
    "binary_cross_entropy": """\
def binary_cross_entropy(a, b, reduction="mean"):
    # PyTorch's logarithms are never below -100.
    return reduced(-b * np.maximum(np.log(a), -100) - (1 - b) * np.maximum(np.log1p(-a), -100), reduction)
""",
    "binary_cross_entropy_with_logits": """\
def binary_cross_entropy_with_logits(a, b, reduction="mean"):
    return reduced(np.logaddexp(0.0, a) - a * b, reduction)
""",
    "nll_loss": """\
def nll_loss(a, b, reduction="mean"):
    axis = 1 if a.ndim > 1 else 0
    return reduced(-np.take_along_axis(a, np.expand_dims(b.astype(int), axis), axis).squeeze(axis), reduction)
""",
    "cross_entropy": """\
def cross_entropy(a, b, reduction="mean"):
    # b has classes, or for each class a probability.
    axis = 1 if a.ndim > 1 else 0
    if a.shape != b.shape:
        return nll_loss(log_softmax(a, axis), b, reduction)
    return reduced(-np.sum(b * log_softmax(a, axis), axis), reduction)
""",
    "one_hot": """\
def one_hot(a, classes):
    return np.eye(classes)[a.astype(int)]
""",
}
SUM_TO = '''\
def sum_to(gradient, shape):
    """The gradient of an input of this shape: summed over the axes along which the input was repeated."""
    gradient = np.sum(gradient, axis=tuple(range(np.ndim(gradient) - len(shape))))
    return np.sum(gradient, axis=tuple(k for k, size in enumerate(shape) if size == 1), keepdims=True)
'''
