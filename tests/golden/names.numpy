"""The formula

    損失 = (λ - ŷ)**2

and its gradient, written out by the chain rule.
"""

import numpy as np


def sum_to(gradient, shape):
    """The gradient of an input of this shape: summed over the axes along which the input was repeated."""
    gradient = np.sum(gradient, axis=tuple(range(np.ndim(gradient) - len(shape))))
    return np.sum(gradient, axis=tuple(k for k, size in enumerate(shape) if size == 1), keepdims=True)


@np.errstate(all="ignore")
def value_and_gradient(λ, ŷ):
    """The value, elementwise for arrays whose shapes broadcast, and the gradient of its sum, by input."""
    λ = np.asarray(λ, dtype=float)
    ŷ = np.asarray(ŷ, dtype=float)
    v1 = λ - ŷ
    損失 = v1**2
    d損失 = np.full(np.shape(損失), 1.0)
    dv1 = d損失 * (2*v1)  # power rule
    dλ = dv1 * 1          # difference rule
    dŷ = dv1 * -1         # difference rule
    return 損失, {
        "λ": sum_to(dλ, np.shape(λ)),
        "ŷ": sum_to(dŷ, np.shape(ŷ)),
    }


if __name__ == "__main__":
    value, gradient = value_and_gradient(1.0, 2.0)
    print("損失 =", value)
    for name, number in gradient.items():
        print(f"d損失/d{name} =", number)
