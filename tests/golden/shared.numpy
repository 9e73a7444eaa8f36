"""The formula

    a = x*x
    L = a*sin(a)

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
    a = x*x
    v1 = np.sin(a)
    L = a*v1
    dL = np.full(np.shape(L), 1.0)
    dv1 = dL * a           # product rule
    da = dL * v1           # product rule
    da += dv1 * np.cos(a)  # sine
    dx = da * x            # product rule
    dx += da * x           # product rule
    return L, {
        "x": sum_to(dx, np.shape(x)),
    }


if __name__ == "__main__":
    value, gradient = value_and_gradient(1.5)
    print("L =", value)
    for name, number in gradient.items():
        print(f"dL/d{name} =", number)
