"""The formula

    L = (1 - cos(x))/x**2

and its gradient, written out by the chain rule.
"""

import numpy as np


def sum_to(gradient, shape):
    """The gradient of an input of this shape: summed over the axes along which the input was repeated."""
    gradient = np.sum(gradient, axis=tuple(range(np.ndim(gradient) - len(shape))))
    return np.sum(gradient, axis=tuple(k for k, size in enumerate(shape) if size == 1), keepdims=True)


@np.errstate(all="ignore")
def value_and_gradient(x):
    """The value, elementwise for arrays whose shapes broadcast, and the gradient of its sum, by input."""
    x = np.asarray(x, dtype=float)
    v1 = np.cos(x)
    v2 = 1 - v1
    v3 = x**2
    L = v2/v3
    dL = np.full(np.shape(L), 1.0)
    dv2 = dL * (1/v3)         # quotient rule
    dv3 = dL * (-v2/v3**2)    # quotient rule
    dv1 = dv2 * -1            # difference rule
    dx = dv3 * (2*x)          # power rule
    dx += dv1 * (-np.sin(x))  # cosine
    return L, {
        "x": sum_to(dx, np.shape(x)),
    }


if __name__ == "__main__":
    value, gradient = value_and_gradient(1e-08)
    print("L =", value)
    for name, number in gradient.items():
        print(f"dL/d{name} =", number)
