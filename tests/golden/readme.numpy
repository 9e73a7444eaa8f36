"""The formula

    L = (y - (w*x + b))**2

and its gradient, written out by the chain rule.
"""

import numpy as np


def sum_to(gradient, shape):
    """The gradient of an input of this shape: summed over the axes along which the input was repeated."""
    gradient = np.sum(gradient, axis=tuple(range(np.ndim(gradient) - len(shape))))
    return np.sum(gradient, axis=tuple(k for k, size in enumerate(shape) if size == 1), keepdims=True)


@np.errstate(all="ignore")
def value_and_gradient(y, w, x, b):
    """The value, elementwise for arrays whose shapes broadcast, and the gradient of its sum, by input."""
    y = np.asarray(y, dtype=float)
    w = np.asarray(w, dtype=float)
    x = np.asarray(x, dtype=float)
    b = np.asarray(b, dtype=float)
    v1 = w*x
    v2 = v1 + b
    v3 = y - v2
    L = v3**2
    dL = np.full(np.shape(L), 1.0)
    dv3 = dL * (2*v3)  # power rule
    dy = dv3 * 1       # difference rule
    dv2 = dv3 * -1     # difference rule
    dv1 = dv2 * 1      # sum rule
    db = dv2 * 1       # sum rule
    dw = dv1 * x       # product rule
    dx = dv1 * w       # product rule
    return L, {
        "y": sum_to(dy, np.shape(y)),
        "w": sum_to(dw, np.shape(w)),
        "x": sum_to(dx, np.shape(x)),
        "b": sum_to(db, np.shape(b)),
    }


if __name__ == "__main__":
    value, gradient = value_and_gradient(4.0, 1.0, 2.0, 0.0)
    print("L =", value)
    for name, number in gradient.items():
        print(f"dL/d{name} =", number)
