#!/usr/bin/env bash
# PyTorch 2.13.0: two parameters can be left with ONE .grad between them, and then every use of .grad that works in place
# counts twice: the second backward() without zero_grad(), and clip_grad_norm_.
#
# Where both terms of a sum are views of parameters (view, reshape, flatten, unsqueeze, .T), autograd hands the same
# upstream gradient to both leaves, each of which keeps it as its .grad instead of copying it. Without the views, or
# behind cat, stack, expand or a minus sign, each leaf has memory of its own.
#
# What one would expect of L = sum((a + b)**2) at a = b = 1: dL/da = 4, and 8 after a second backward() that adds to it.
# What happens: 4, then 12 (each leaf adds its 4 to the same memory), then 20. Clipping to norm 1 divides the
# gradients by their norm once for each parameter. A step of SGD after one backward() and zero_grad() is right: nothing is
# changed in place there, which is why this goes unseen until gradients are accumulated or clipped.
#
# Seen:
#   with views      same memory True    [4.0, 12.0, 20.0]  norm after clipping to 1: 0.025
#   without views   same memory False   [4.0, 8.0, 12.0]   norm after clipping to 1: 1.0
# (Related, without this consequence: https://github.com/pytorch/pytorch/issues/34082)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet torch==2.13.0
"$folder/environment/bin/python" - << 'PYTHON'
import warnings

warnings.filterwarnings("ignore")
import torch

assert torch.__version__.startswith("2.13.0"), torch.__version__


def run(with_views):
    a, b = (torch.ones(2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    history = []
    for _ in range(3):
        total = a.view(1, 2) + b.view(1, 2) if with_views else a + b
        (total**2).sum().backward()
        history.append(a.grad[0].item())
    shared = a.grad.data_ptr() == b.grad.data_ptr()
    torch.nn.utils.clip_grad_norm_([a, b], 1.0)
    norm = torch.cat([a.grad, b.grad]).norm().item()
    return shared, history, round(norm, 4)


views, plain = run(True), run(False)
print("with views    ", views)
print("without views ", plain)
assert views == (True, [4.0, 12.0, 20.0], 0.025), views
assert plain == (False, [4.0, 8.0, 12.0], 1.0), plain


def share(form):
    a, b = (torch.ones(2, 2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    (form(a, b) ** 2).sum().backward()
    return a.grad.data_ptr() == b.grad.data_ptr()


forms = {
    "reshape": (lambda a, b: a.reshape(4) + b.reshape(4), True),
    "flatten": (lambda a, b: a.flatten() + b.flatten(), True),
    "unsqueeze": (lambda a, b: a.unsqueeze(0) + b.unsqueeze(0), True),
    "both .T": (lambda a, b: a.T + b.T, True),
    "one .T": (lambda a, b: a.T + b, False),
    "difference": (lambda a, b: a.view(4) - b.view(4), False),
    "expand": (lambda a, b: a.expand(3, 2, 2) + b.expand(3, 2, 2), False),
    "cat": (lambda a, b: torch.cat([a, b]), False),
}
for name, (form, expected) in forms.items():
    print(f"{name:12}", "one memory" if share(form) else "memory of its own")
    assert share(form) == expected, name
print("as described")
PYTHON
