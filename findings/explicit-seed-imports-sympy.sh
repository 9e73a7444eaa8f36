#!/usr/bin/env bash
# PyTorch 2.13.0: the first autograd.grad() or backward() that is given an explicit upstream gradient imports SymPy.
#
# torch.autograd.grad(y, x) and torch.autograd.grad(y, x, torch.ones_like(y)) compute the same thing for a y of one number.
# The second one compares the shapes of y and of the seed by way of PyTorch's symbolic shapes, and
# that imports SymPy: some 490 modules, a sixth to a fifth of the time of `import torch`, in a process that has no symbolic
# shape anywhere. So a loop that times its first backward(gradient=...) times an import, and a short-lived
# process that wants a gradient should leave a seed of 1 out. The function that torch.func.vjp returns makes the same import when it is called.
#
# Seen: sympy imported: after import torch False, after grad(y, x) False, after y.backward() False,
#       after grad(y, x, seed) True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet torch==2.13.0
"$folder/environment/bin/python" - << 'PYTHON'
import sys
import time
import warnings

warnings.filterwarnings("ignore")
import torch

assert torch.__version__.startswith("2.13.0"), torch.__version__
x = torch.tensor(3.0, requires_grad=True)


def imported():
    return "sympy" in sys.modules


seen = [imported()]
torch.autograd.grad(x * x, x)
seen.append(imported())
(x * x).backward()
seen.append(imported())
count, begin = len(sys.modules), time.perf_counter()
torch.autograd.grad(x * x, x, torch.tensor(1.0))
print(f"{len(sys.modules) - count} more modules, {time.perf_counter() - begin:.2f} s")
seen.append(imported())
print("sympy imported after: import torch, grad(y, x), y.backward(), grad(y, x, seed):", seen)
assert seen == [False, False, False, True], seen
print("as described")
PYTHON
