"""The formula

    L = mean((X @ W.T + b - Y)**2)

and its gradient, written out by the chain rule.
"""

import numpy as np


@np.errstate(all="ignore")
def value_and_gradient(X, W, b, Y):
    """The value, for arrays of the shapes X 2x2, W 1x2, b 1, Y 2x1, and the gradient, by input."""
    X = np.asarray(X, dtype=float)
    W = np.asarray(W, dtype=float)
    b = np.asarray(b, dtype=float)
    Y = np.asarray(Y, dtype=float)
    v1 = W.T
    v2 = X @ v1
    v3 = v2 + b
    v4 = v3 - Y
    v5 = v4**2
    L = np.mean(v5)
    dL = np.full(np.shape(L), 1.0)
    dv5 = dL/2*np.ones((2, 1))  # mean
    dv4 = 2*v4*dv5              # power rule
    dv3 = dv4                   # difference rule
    dY = -dv4                   # difference rule
    dv2 = dv3                   # sum rule
    db = np.sum(dv3, axis=0)    # sum rule
    dX = dv2 @ v1.T             # matrix product rule
    dv1 = X.T @ dv2             # matrix product rule
    dW = dv1.T                  # transposition
    return L, {
        "X": dX,
        "W": dW,
        "b": db,
        "Y": dY,
    }


if __name__ == "__main__":
    value, gradient = value_and_gradient([[1, 2], [3, 4]], [[0.5, -0.5]], [0], [[3], [7]])
    print("L =", value)
    for name, number in gradient.items():
        print(f"dL/d{name} =", number)
