"""The formula

    z = X @ W + b
    loss = cross_entropy(z, y)

and its gradient, written out by the chain rule.
"""

import numpy as np


def logsumexp(a, axis=None, keepdims=False):
    top = np.max(a, axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    found = top + np.log(np.sum(np.exp(a - top), axis, keepdims=True))
    return found if keepdims else np.squeeze(found, axis)


def log_softmax(a, axis=-1):
    return a - logsumexp(a, axis, True)


def softmax(a, axis=-1):
    return np.exp(log_softmax(a, axis))


def one_hot(a, classes):
    return np.eye(classes)[a.astype(int)]


def reduced(losses, reduction):
    return losses if reduction == "none" else np.sum(losses) if reduction == "sum" else np.mean(losses)


def nll_loss(a, b, reduction="mean"):
    axis = 1 if a.ndim > 1 else 0
    return reduced(-np.take_along_axis(a, np.expand_dims(b.astype(int), axis), axis).squeeze(axis), reduction)


def cross_entropy(a, b, reduction="mean"):
    # b has classes, or for each class a probability.
    axis = 1 if a.ndim > 1 else 0
    if a.shape != b.shape:
        return nll_loss(log_softmax(a, axis), b, reduction)
    return reduced(-np.sum(b * log_softmax(a, axis), axis), reduction)


@np.errstate(all="ignore")
def value_and_gradient(X, W, b, y):
    """The value, for arrays of the shapes X 2x2, W 2x3, b 3, y 2, and the gradient, by input."""
    X = np.asarray(X, dtype=float)
    W = np.asarray(W, dtype=float)
    b = np.asarray(b, dtype=float)
    y = np.asarray(y, dtype=float)
    v1 = X @ W
    z = v1 + b
    loss = cross_entropy(z, y)
    dloss = np.full(np.shape(loss), 1.0)
    dz = dloss*(softmax(z, axis=1) - one_hot(y, 3))/2  # cross entropy of softmax
    dv1 = dz                                           # sum rule
    db = np.sum(dz, axis=0)                            # sum rule
    dX = dv1 @ W.T                                     # matrix product rule
    dW = X.T @ dv1                                     # matrix product rule
    return loss, {
        "X": dX,
        "W": dW,
        "b": db,
    }


if __name__ == "__main__":
    value, gradient = value_and_gradient([[1, 2], [0, 1]], [[1, -1, 0], [0, 1, 2]], [0, 1, 0], [0, 2])
    print("loss =", value)
    for name, number in gradient.items():
        print(f"dloss/d{name} =", number)
