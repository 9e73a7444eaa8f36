"""The formula

    L = sqrt(sqrt(sqrt(sqrt(sqrt(sqrt(sqrt(sqrt(sqrt(sqrt(sqrt(sqrt(sqrt(sqrt(sqrt(sqrt(sqrt(sqrt(sqrt(sqrt(x*x + 1)*w + 2)*x + 3)*w + 4)*x + 5)*w + 6)*x + 7)*w + 8)*x + 9)*w + 10)*x + 11)*w + 12)*x + 13)*w + 14)*x + 15)*w + 16)*x + 17)*w + 18)*x + 19)*w + 20)

and its gradient, written out by the chain rule.
"""

import numpy as np


def sum_to(gradient, shape):
    """The gradient of an input of this shape: summed over the axes along which the input was repeated."""
    gradient = np.sum(gradient, axis=tuple(range(np.ndim(gradient) - len(shape))))
    return np.sum(gradient, axis=tuple(k for k, size in enumerate(shape) if size == 1), keepdims=True)


@np.errstate(all="ignore")
def value_and_gradient(x, w):
    """The value, elementwise for arrays whose shapes broadcast, and the gradient of its sum, by input."""
    x = np.asarray(x, dtype=float)
    w = np.asarray(w, dtype=float)
    v1 = x*x
    v2 = v1 + 1
    v3 = np.sqrt(v2)
    v4 = v3*w
    v5 = v4 + 2
    v6 = np.sqrt(v5)
    v7 = v6*x
    v8 = v7 + 3
    v9 = np.sqrt(v8)
    v10 = v9*w
    v11 = v10 + 4
    v12 = np.sqrt(v11)
    v13 = v12*x
    v14 = v13 + 5
    v15 = np.sqrt(v14)
    v16 = v15*w
    v17 = v16 + 6
    v18 = np.sqrt(v17)
    v19 = v18*x
    v20 = v19 + 7
    v21 = np.sqrt(v20)
    v22 = v21*w
    v23 = v22 + 8
    v24 = np.sqrt(v23)
    v25 = v24*x
    v26 = v25 + 9
    v27 = np.sqrt(v26)
    v28 = v27*w
    v29 = v28 + 10
    v30 = np.sqrt(v29)
    v31 = v30*x
    v32 = v31 + 11
    v33 = np.sqrt(v32)
    v34 = v33*w
    v35 = v34 + 12
    v36 = np.sqrt(v35)
    v37 = v36*x
    v38 = v37 + 13
    v39 = np.sqrt(v38)
    v40 = v39*w
    v41 = v40 + 14
    v42 = np.sqrt(v41)
    v43 = v42*x
    v44 = v43 + 15
    v45 = np.sqrt(v44)
    v46 = v45*w
    v47 = v46 + 16
    v48 = np.sqrt(v47)
    v49 = v48*x
    v50 = v49 + 17
    v51 = np.sqrt(v50)
    v52 = v51*w
    v53 = v52 + 18
    v54 = np.sqrt(v53)
    v55 = v54*x
    v56 = v55 + 19
    v57 = np.sqrt(v56)
    v58 = v57*w
    v59 = v58 + 20
    L = np.sqrt(v59)
    dL = np.full(np.shape(L), 1.0)
    dv59 = dL * (1/(2*L))      # square root
    dv58 = dv59 * 1            # sum rule
    dv57 = dv58 * w            # product rule
    dv56 = dv57 * (1/(2*v57))  # square root
    dv55 = dv56 * 1            # sum rule
    dv54 = dv55 * x            # product rule
    dv53 = dv54 * (1/(2*v54))  # square root
    dv52 = dv53 * 1            # sum rule
    dv51 = dv52 * w            # product rule
    dv50 = dv51 * (1/(2*v51))  # square root
    dv49 = dv50 * 1            # sum rule
    dv48 = dv49 * x            # product rule
    dv47 = dv48 * (1/(2*v48))  # square root
    dv46 = dv47 * 1            # sum rule
    dv45 = dv46 * w            # product rule
    dv44 = dv45 * (1/(2*v45))  # square root
    dv43 = dv44 * 1            # sum rule
    dv42 = dv43 * x            # product rule
    dv41 = dv42 * (1/(2*v42))  # square root
    dv40 = dv41 * 1            # sum rule
    dv39 = dv40 * w            # product rule
    dv38 = dv39 * (1/(2*v39))  # square root
    dv37 = dv38 * 1            # sum rule
    dv36 = dv37 * x            # product rule
    dv35 = dv36 * (1/(2*v36))  # square root
    dv34 = dv35 * 1            # sum rule
    dv33 = dv34 * w            # product rule
    dv32 = dv33 * (1/(2*v33))  # square root
    dv31 = dv32 * 1            # sum rule
    dv30 = dv31 * x            # product rule
    dv29 = dv30 * (1/(2*v30))  # square root
    dv28 = dv29 * 1            # sum rule
    dv27 = dv28 * w            # product rule
    dv26 = dv27 * (1/(2*v27))  # square root
    dv25 = dv26 * 1            # sum rule
    dv24 = dv25 * x            # product rule
    dv23 = dv24 * (1/(2*v24))  # square root
    dv22 = dv23 * 1            # sum rule
    dv21 = dv22 * w            # product rule
    dv20 = dv21 * (1/(2*v21))  # square root
    dv19 = dv20 * 1            # sum rule
    dv18 = dv19 * x            # product rule
    dv17 = dv18 * (1/(2*v18))  # square root
    dv16 = dv17 * 1            # sum rule
    dv15 = dv16 * w            # product rule
    dv14 = dv15 * (1/(2*v15))  # square root
    dv13 = dv14 * 1            # sum rule
    dv12 = dv13 * x            # product rule
    dv11 = dv12 * (1/(2*v12))  # square root
    dv10 = dv11 * 1            # sum rule
    dv9 = dv10 * w             # product rule
    dv8 = dv9 * (1/(2*v9))     # square root
    dv7 = dv8 * 1              # sum rule
    dv6 = dv7 * x              # product rule
    dv5 = dv6 * (1/(2*v6))     # square root
    dv4 = dv5 * 1              # sum rule
    dv3 = dv4 * w              # product rule
    dw = dv58 * v57            # product rule
    dw += dv52 * v51           # product rule
    dw += dv46 * v45           # product rule
    dw += dv40 * v39           # product rule
    dw += dv34 * v33           # product rule
    dw += dv28 * v27           # product rule
    dw += dv22 * v21           # product rule
    dw += dv16 * v15           # product rule
    dw += dv10 * v9            # product rule
    dw += dv4 * v3             # product rule
    dv2 = dv3 * (1/(2*v3))     # square root
    dv1 = dv2 * 1              # sum rule
    dx = dv55 * v54            # product rule
    dx += dv49 * v48           # product rule
    dx += dv43 * v42           # product rule
    dx += dv37 * v36           # product rule
    dx += dv31 * v30           # product rule
    dx += dv25 * v24           # product rule
    dx += dv19 * v18           # product rule
    dx += dv13 * v12           # product rule
    dx += dv7 * v6             # product rule
    dx += dv1 * x              # product rule
    dx += dv1 * x              # product rule
    return L, {
        "x": sum_to(dx, np.shape(x)),
        "w": sum_to(dw, np.shape(w)),
    }


if __name__ == "__main__":
    value, gradient = value_and_gradient(1.5, 2.0)
    print("L =", value)
    for name, number in gradient.items():
        print(f"dL/d{name} =", number)
