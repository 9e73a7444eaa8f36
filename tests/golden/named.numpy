"""The formula

    y_pred = w*x + b
    loss = (y_true - y_pred)**2

and its gradient, written out by the chain rule.
"""

import numpy as np


def sum_to(gradient, shape):
    """The gradient of an input of this shape: summed over the axes along which the input was repeated."""
    gradient = np.sum(gradient, axis=tuple(range(np.ndim(gradient) - len(shape))))
    return np.sum(gradient, axis=tuple(k for k, size in enumerate(shape) if size == 1), keepdims=True)


@np.errstate(all="ignore")
def value_and_gradient(w, x, b, y_true):
    """The value, elementwise for arrays whose shapes broadcast, and the gradient of its sum, by input."""
    w = np.asarray(w, dtype=float)
    x = np.asarray(x, dtype=float)
    b = np.asarray(b, dtype=float)
    y_true = np.asarray(y_true, dtype=float)
    v1 = w*x
    y_pred = v1 + b
    v2 = y_true - y_pred
    loss = v2**2
    dloss = np.full(np.shape(loss), 1.0)
    dv2 = dloss * (2*v2)  # power rule
    dy_true = dv2 * 1     # difference rule
    dy_pred = dv2 * -1    # difference rule
    dv1 = dy_pred * 1     # sum rule
    db = dy_pred * 1      # sum rule
    dw = dv1 * x          # product rule
    dx = dv1 * w          # product rule
    return loss, {
        "w": sum_to(dw, np.shape(w)),
        "x": sum_to(dx, np.shape(x)),
        "b": sum_to(db, np.shape(b)),
        "y_true": sum_to(dy_true, np.shape(y_true)),
    }


if __name__ == "__main__":
    value, gradient = value_and_gradient(1.0, 2.0, 0.0, 4.0)
    print("loss =", value)
    for name, number in gradient.items():
        print(f"dloss/d{name} =", number)
