#!/usr/bin/env bash
# PyTorch 2.13.0: the two ways to a Hessian give two different wrong answers for one smooth function, without a warning.
#
# ||x||**2 is a parabola, its Hessian is 2*I everywhere. At x = 0, where the norm alone has a kink that the square cancels,
# torch.func.hessian (forward over reverse) says 0, so "flat", and torch.autograd.functional.hessian (reverse over
# reverse) says nan. The same for the squared distance of two equal points (torch.dist) and for matrix_norm.
# sinc, which has no kink at all and the second derivative -pi**2/3 at 0, is split in the same way.
# abs(x)**2, cos(abs(x)) and std(x)**2 are 0 by both ways (right: 2, -1 and 1).
# The same functions written without the kink (x*x).sum(), x.var() are right, and so is
# torch.nn.functional.pairwise_distance, which adds its eps first.
# A zero Hessian passes every check for nan; an exact fit of least squares written with norm() is where one meets it.
#
# Seen at x = [0, 0] in float64, the second derivative by x[0]:
#                            func    functional   right
#   vector_norm(x)**2         0.0         nan      2
#   dist(x, 0)**2             0.0         nan      2
#   matrix_norm(diag(x))**2   0.0         nan      2
#   sum(sinc(x))              0.0         nan     -3.2899
#   sum(abs(x)**2)            0.0         0.0      2
#   sum(cos(abs(x)))          0.0         0.0     -1
#   std(x)**2                 0.0         0.0      1
#   sum(x*x)                  2.0         2.0      2
#   var(x)                    1.0         1.0      1
# (The norm alone is known since 2023: https://github.com/pytorch/pytorch/issues/92075)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet torch==2.13.0
"$folder/environment/bin/python" - << 'PYTHON'
import math
import warnings

warnings.filterwarnings("ignore")
import torch

assert torch.__version__.startswith("2.13.0"), torch.__version__
zero = torch.zeros(2, dtype=torch.float64)
nan = math.nan
# The function, torch.func.hessian's [0][0], torch.autograd.functional.hessian's, and what is right.
rows = {
    "vector_norm(x)**2": (lambda x: torch.linalg.vector_norm(x) ** 2, 0.0, nan, 2.0),
    "dist(x, 0)**2": (lambda x: torch.dist(x, torch.zeros_like(x)) ** 2, 0.0, nan, 2.0),
    "matrix_norm(diag(x))**2": (lambda x: torch.linalg.matrix_norm(torch.diag(x)) ** 2, 0.0, nan, 2.0),
    "sum(sinc(x))": (lambda x: torch.sinc(x).sum(), 0.0, nan, -math.pi**2 / 3),
    "sum(abs(x)**2)": (lambda x: (x.abs() ** 2).sum(), 0.0, 0.0, 2.0),
    "sum(cos(abs(x)))": (lambda x: torch.cos(x.abs()).sum(), 0.0, 0.0, -1.0),
    "std(x)**2": (lambda x: x.std() ** 2, 0.0, 0.0, 1.0),
    "sum(x*x)": (lambda x: (x * x).sum(), 2.0, 2.0, 2.0),
    "var(x)": (lambda x: x.var(), 1.0, 1.0, 1.0),
}


def difference(function, h=1e-4):
    """The second difference quotient along the first element: the judge that knows no rules."""
    step = torch.tensor([h, 0.0], dtype=torch.float64)
    return ((function(step) - 2 * function(zero) + function(-step)) / h**2).item()


print(f"{'':25}{'func':>8}{'functional':>12}{'right':>9}")
for name, (function, forward, reverse, right) in rows.items():
    one = torch.func.hessian(function)(zero)[0, 0].item()
    other = torch.autograd.functional.hessian(function, zero)[0, 0].item()
    print(f"{name:25}{one:8.4g}{other:12.4g}{right:9.5g}")
    assert one == forward, (name, one)
    assert other == reverse or (other != other and reverse != reverse), (name, other)
    assert abs(difference(function) - right) < 1e-5, (name, difference(function))
print("as described")
PYTHON
