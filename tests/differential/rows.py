"""How a call of each operation may look, as rows of data: the language of the generated formulas.

In a pattern, a letter in braces is a slot. Terms: `a`, `b`, `c` any; `v` a vector, `m` a matrix, `q` a square matrix,
`z` a single number, `k` classes. Settings: `d` an axis, `D` one or several, `P` axes in some order, `S` a shape of as
many elements, `L` the last sizes, `i` an index, `n` a number, `f` True or False, `r` a reduction, `o` an order of a
norm, `x` an index in brackets, `N` the length of the first axis. The same slot twice is the same text twice.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np
import torch

from gradexplain.rules.row import Rule
from gradexplain.rules.settings import REQUIRED
from gradexplain.rules.table import RULES

# What a setting of a row may be, by its name.
SETTINGS = {
    "dim": ("{d}", "{d}", "{D}"), "keepdim": ("{f}",), "dims": ("{P}",), "shape": ("{S}",), "dim0": ("{d}",),
    "dim1": ("{d}",), "start_dim": ("{d}",), "end_dim": ("{d}",), "index": ("{i}",), "correction": ("0", "1", "2"),
    "p": ("{o}",), "diagonal": ("0", "1", "-1"), "n": ("{N}", "2"), "reduction": ("{r}",), "delta": ("{n}",),
    "beta": ("{n}",), "num_classes": ("3", "4"), "eps": ("1e-5", "0.1"), "normalized_shape": ("{L}",),
    "start": ("{i}",), "end": ("{i}",), "step": ("1", "2"),
}  # fmt: skip
# Rows of the table that are words of other rows, and are written by nobody.
INTERNAL = {"slice", "diagonals", "layer_norm_scaled", "layer_norm_affine", "cofactor", "kron_left", "kron_right",
            "prod_of_others", "first_largest"}  # fmt: skip
# Where a name may stand, as it is written, and what has it.
HOMES = {
    "": None, "torch.": torch, "F.": torch.nn.functional, "torch.linalg.": torch.linalg, "np.": np,
    "torch.special.": torch.special, "torch.nn.functional.": torch.nn.functional, "math.": math,
    "np.linalg.": np.linalg, "linalg.": torch.linalg, "special.": torch.special,
}  # fmt: skip
BARE = (torch, torch.nn.functional, torch.special, torch.linalg)
AXIS = {"dim=": "axis=", "keepdim=": "keepdims="}

# What the table does not say: rules whose calls look in a way of their own, and what is no row of it.
BY_HAND = {
    "maximum": "max({a}, {b})|maximum({a}, {b})|torch.maximum({a}, {b})|torch.max({a}, {b})|{a}.max({b})|"
               "np.maximum({a}, {b})|max({a}, {b}, {c})|torch.fmax({a}, {b})|{a}.maximum({b})",
    "minimum": "min({a}, {b})|minimum({a}, {b})|torch.minimum({a}, {b})|torch.min({a}, {b})|np.minimum({a}, {b})|"
               "{a}.min({b})|min({a}, {b}, {c})|{a}.minimum({b})",
    "clamp": "clamp({a}, {n}, 2)|clamp({a}, min={n})|clamp({a}, max={n})|{a}.clamp({b}, {c})|torch.clip({a}, {n})|"
             "np.clip({a}, -1, {n})|{a}.clamp(min={b})|torch.clamp({a}, min=-1, max={b})|clamp({a}, 1, -1)|"
             "np.clip({a}, a_min=0, a_max={n})|{a}.clip(0, 1)|{a}.clamp({n})",
    "where": "where({a} > {b}, {a}, {b})|torch.where({a} <= 0, {n}*{a}, {b})|where({a} != 0, {b}/{a}, 0)|"
             "where({a} > 0, sqrt({a}), {b})|np.where({a} >= {n}, {a}, {c})|where({a} == {b}, {c}, {a})|"
             "{a}.where({a} > 0, {b})|where({a} < {b}, 1.0, {c})|where({z} > 0, {a}, {b})",
    "gt": "where({a} > {n}, {b}, {c})", "ge": "where({a} >= {n}, {b}, {c})", "lt": "where({a} < {b}, {b}, {c})",
    "le": "where({a} <= {b}, {b}, {c})", "eq": "where({a} == {n}, {b}, {c})", "ne": "where({a} != {b}, {b}, {c})",
    "add": "{a} + {b}|{a} + {n}|{n} + {a}|torch.add({a}, {b})|np.add({a}, {b})|{a}.add({b})|"
           "torch.add({a}, {b}, alpha=2)",
    "sub": "{a} - {b}|{a} - {n}|{n} - {a}|torch.sub({a}, {b})|{a}.sub({n})|np.subtract({a}, {b})",
    "mul": "{a}*{b}|{n}*{a}|{a}*{b}|torch.mul({a}, {b})|{a}.mul({b})|np.multiply({a}, {b})",
    "div": "{a}/{b}|{n}/{a}|{a}/{n}|torch.div({a}, {b})|{a}.div({b})|np.divide({a}, {b})|torch.true_divide({a}, {b})",
    "neg": "-{a}|torch.neg({a})|{a}.neg()|np.negative({a})|+{a}",
    "pow": "{a}**2|{a}**{n}|{a}**{b}|{n}**{a}|torch.pow({a}, {n})|{a}.pow(3)|np.power({a}, {b})|{a}**0.5|{a}**-1|"
           "{a}**0|{a}**3|-{a}**2",
    "identity": "torch.clone({a})|{a}.clone()",
    "polygamma": "polygamma(1, {a})|torch.polygamma(2, {a})|{a}.polygamma(0)|torch.special.polygamma(1, {a})",
    "reshape": "{a}.reshape({S})|reshape({a}, {S})|{a}.view({S})|torch.reshape({a}, {S})|{a}.reshape(-1)|{a}.view(-1)|"
               "np.reshape({a}, {S})|reshape({a}, [-1])|{a}.reshape(-1, 1)|{a}.view(1, -1)",
    "permute": "{a}.permute({P})|torch.permute({a}, {P})|permute({a}, dims={P})|{a}.permute(1, 0)",
    "flip": "flip({a}, {P})|torch.flip({a}, dims=[{d}])|{a}.flip({d})|flip({a}, ({d},))|np.flip({a}, {d})|"
            "np.flip({a}, axis={d})|torch.fliplr({m})",
    "transpose": "{a}.T|{m}.mT|{m}.t()|transpose({a}, {d}, {d})|{a}.transpose({d}, {i})|{a}.swapaxes({d}, {i})|"
                 "torch.t({m})|torch.transpose({a}, dim0={d}, dim1={i})|np.transpose({a})|{m}.H|{m}.mH",
    "expand_as": "{a}.expand_as({b})", "reshape_as": "{a}.reshape_as({b})|{a}.view_as({b})",
    "cat": "cat([{a}, {b}])|torch.cat(({a}, {b}), dim={d})|cat([{a}, {a}], {d})|np.concatenate([{a}, {b}])|"
           "torch.concat([{a}, {b}, {c}], dim={d})|torch.cat([{a}], {d})|np.concatenate(({a}, {b}), axis={d})",
    "stack": "stack([{a}, {b}])|torch.stack(({a}, {b}), dim={d})|stack([{a}, {a}], {d})|np.stack([{a}, {b}], axis={d})|"
             "torch.stack([{z}, {z}, {n}*{z}])|torch.tensor([1.0, 2.0])*{a}|{a} + torch.tensor([[0.5]])",
    "select": "{a}[{x}]|{a}[{i}]|{a}[{x}]|{a}[{x}]|{a}[{x}]|torch.select({a}, {d}, {i})|{a}.select({d}, {i})|"
              "{a}[..., None]*{b}|{a}[{x}][{i}]",
    "diag": "diag({v})|torch.diag({v})|torch.diag_embed({a})|diag({m})|np.diag({v})|{v}.diag()|torch.diag({v}, 1)",
    "diagonal": "diagonal({m})|diag({m})|torch.diagonal({a})|{m}.diagonal()|np.diag({m})|{m}.diag()|"
                "torch.diagonal({a}, 1)|torch.diagonal({m}, offset=-1)|{a}.diagonal(dim1=-2, dim2=-1)",
    "tril": "tril({m})|torch.tril({a}, diagonal={i})|{m}.tril(1)|np.tril({m})|np.tril({m}, -1)|np.tril({m}, k=1)",
    "triu": "triu({m})|torch.triu({a}, diagonal={i})|{m}.triu(-1)|np.triu({m}, 1)",
    "eye": "{q} + eye({N})|{q} @ torch.eye({N})|{q} + 2*eye(len({q}))|{q}*np.eye({N})|{a} + torch.eye(2, 3)",
    "ones": "{a} + ones({N})|torch.ones(({N},))*{a}|{a}*ones(2, 1)|torch.ones({a}.shape[0])*{a}|np.ones(3)*{a}|"
            "{a} + torch.full((2, 1), {n})",
    "zeros": "{a} + zeros({N})|torch.zeros(({N},)) + {a}|{a} + torch.zeros(1, 1)",
    "ones_like": "{a} + ones_like({a})|torch.ones_like({a})*{b}", "zeros_like": "{a} + torch.zeros_like({a})",
    "matmul": "{a} @ {b}|{m} @ {m}.T|{m}.T @ {m}|torch.matmul({a}, {b})|torch.mm({m}, {q})|torch.bmm({a}, {b})|"
              "{a}.matmul({b})|np.matmul({a}, {b})|{m}.mm({q})|np.dot({a}, {b})|{a} @ {a}|torch.mm({a}, {a}.T)|"
              "torch.linalg.multi_dot([{m}, {m}.T])|torch.linalg.matmul({a}, {b})",
    "matvec": "{m} @ {v}|torch.mv({m}, {v})|{m}.mv({v})|{q} @ {v}", "vecmat": "{v} @ {m}|{v} @ {q}|{v} @ {m}.T",
    "dot": "dot({v}, {v})|torch.dot({v}, {a})|{v}.dot({v})|torch.inner({a}, {b})|torch.vdot({v}, {v})|{v} @ {a}|"
           "np.inner({a}, {b})|np.vdot({a}, {b})|torch.linalg.vecdot({a}, {a})|{v}.inner({v})",
    "outer": "outer({v}, {v})|torch.outer({v}, {a})|{v}.outer({v})|np.outer({a}, {b})|torch.ger({v}, {v})",
    "trace": "trace({m})|torch.trace({q})|{q}.trace()|np.trace({m})",
    "inverse": "inverse({q})|torch.linalg.inv({q})|{q}.inverse()|np.linalg.inv({q} + 3*eye({N}))|"
               "inverse({m} @ {m}.T + eye({N}))",
    "solve": "solve({q}, {a})|torch.linalg.solve({q}, {a})|np.linalg.solve({q}, {a})|"
             "torch.linalg.solve({m} @ {m}.T + eye({N}), {a})",
    "det": "det({q})|torch.linalg.det({q})|{q}.det()|torch.det({q})|np.linalg.det({q})|det({m} @ {m}.T)",
    "logdet": "logdet({q})|torch.logdet({m} @ {m}.T + eye({N}))|{q}.logdet()",
    "cholesky": "cholesky({m} @ {m}.T + eye({N}))|torch.linalg.cholesky({m} @ {m}.T + 4*torch.eye({N}))|"
                "np.linalg.cholesky({m} @ {m}.T + np.eye({N}))",
    "norm": "norm({a})|norm({a}, dim={D})|torch.norm({a})|{a}.norm()|torch.linalg.norm({a})|np.linalg.norm({a})|"
            "torch.linalg.vector_norm({a}, dim={d})|torch.linalg.matrix_norm({m})|{a}.norm(2, {d})|"
            "torch.norm({a}, dim={d}, keepdim={f})|torch.linalg.norm({a}, 'fro')|np.linalg.norm({a}, axis={d})|"
            "torch.linalg.norm({a}, dim={D})|torch.linalg.matrix_norm({m}, 'fro', dim=(0, 1))",
    "norm_of_order": "norm({a}, {o})|norm({a}, p={o}, dim={d})|torch.norm({a}, {o})|torch.linalg.norm({a}, {o})|"
                     "{a}.norm({o})|torch.linalg.vector_norm({a}, {o})|torch.linalg.vector_norm({a}, ord={o}, dim={D})|"
                     "torch.linalg.norm({a}, ord={o}, dim={D})|np.linalg.norm({a}, {o})|np.linalg.norm({a}, ord={o})|"
                     "torch.norm({a}, p={o}, dim={D})|torch.linalg.matrix_norm({m}, {o})|np.linalg.norm({v}, 1)",
    "amax": "amax({a})|torch.amax({a}, {D})|{a}.amax(dim={D}, keepdim={f})|max({a})|torch.max({a})|{a}.max()|"
            "np.max({a})|np.max({a}, {d})|np.amax({a}, axis={d})|torch.amax({a}, dim=({d},))",
    "amin": "amin({a})|torch.amin({a}, {D})|{a}.amin({d})|min({a})|torch.min({a})|{a}.min()|np.min({a}, axis={d})",
    "max_along": "torch.max({a}, {d})[0]|{a}.max(dim={d})[0]|{a}.max({d}).values|torch.max({a}, dim={d}).values|"
                 "torch.max({a}, {d}, True)[0]|{a}.max({d}, keepdim={f}).values|"
                 "torch.max({a}, dim={d}, keepdim=True)[0]",
    "min_along": "torch.min({a}, {d})[0]|{a}.min(dim={d})[0]|{a}.min({d}).values|torch.min({a}, dim={d}).values|"
                 "{a}.min({d}, {f})[0]",
    "var": "var({a})|torch.var({a}, {D})|{a}.var(dim={d}, unbiased={f})|np.var({a})|np.var({a}, axis={d}, ddof=1)|"
           "torch.var({a}, correction=0)|{a}.var({f})|torch.var({a}, {d}, {f})|torch.var({a}, unbiased=False)|"
           "{a}.var({d}, keepdim={f})|torch.var({a}, dim={D}, correction=2, keepdim={f})|np.var({a}, {d})",
    "std": "std({a})|torch.std({a}, {D})|{a}.std(dim={d}, unbiased={f})|np.std({a})|np.std({a}, axis={d}, ddof=1)|"
           "torch.std({a}, correction=0)|{a}.std({f})|torch.std({a}, {d}, {f})|{a}.std()|"
           "torch.std({a}, {d}, keepdim={f})",
    "sum": "sum({a})|torch.sum({a}, {D})|{a}.sum(dim={D}, keepdim={f})|np.sum({a}, axis={d})|{a}.sum({d})|"
           "torch.sum({a}, {d}, {f})|sum({a}, dim={d})|np.sum({a}, {d}, keepdims=True)|torch.sum({a}, axis={d})|"
           "{a}.sum(0, 1)|{a}.sum(axis={D}, keepdims={f})|sum({a}, None)|np.sum({a})",
    "softmax": "softmax({a}, dim={d})|F.softmax({a}, {d})|torch.softmax({a}, dim={d})|{a}.softmax({d})|F.softmax({a})|"
               "softmax({a}, {d})|nn.Softmax(dim={d})({a})|nn.Softmax({d})({a})",
    "log_softmax": "log_softmax({a}, dim={d})|F.log_softmax({a}, {d})|{a}.log_softmax(-1)|nn.LogSoftmax({d})({a})|"
                   "F.log_softmax({a}, dim={d})|F.log_softmax({a})",
    "layer_norm": "layer_norm({a}, {L})|F.layer_norm({a}, {L})|nn.LayerNorm({L})({a})|nn.LayerNorm({L}, 0.1)({a})|"
                  "F.layer_norm({a}, {L}, None, None, 0.01)|F.layer_norm({a}, {a}.shape)|"
                  "F.layer_norm({a}, {L}, eps=0.5)|nn.LayerNorm(normalized_shape={L}, eps=0.1)({a})|"
                  "F.layer_norm({a}, {L}, {b}, {c})|F.layer_norm({a}, {L}, weight={b})",
    "cross_entropy": "cross_entropy({a}, {k})|F.cross_entropy({a}, {b})|nn.CrossEntropyLoss()({a}, {k})|"
                     "F.cross_entropy({a}, {k}, reduction={r})|F.cross_entropy({a}, softmax({b}, 0))|"
                     "nn.CrossEntropyLoss(reduction={r})({a}, {k})|F.cross_entropy({a}, {k}, label_smoothing=0.1)",
    "nll_loss": "nll_loss({a}, {k})|F.nll_loss(log_softmax({a}, dim=1), {k}, reduction={r})|nn.NLLLoss()({a}, {k})",
    "one_hot": "{a}*F.one_hot({k}, 3)|one_hot({k}, num_classes=4) + {a}|F.one_hot({k}, 3) @ {a}",
    "select_scatter": "torch.select_scatter({a}, {b}, {d}, {i})|{a}.select_scatter({b}, dim={d}, index={i})",
    "slice_scatter": "torch.slice_scatter({a}, {b}, {d}, {i})|torch.slice_scatter({a}, {b}, dim={d}, start=1, end=2)",
    "huber_loss": "huber_loss({a}, {b})|F.huber_loss({a}, {b}, reduction={r}, delta=0.5)|F.huber_loss({a}, {b}, {r})|"
                  "nn.HuberLoss(delta={n})({a}, {b})|F.huber_loss({a}, {b}, {r}, 2)|nn.HuberLoss({r}, 0.5)({a}, {b})",
    "smooth_l1_loss": "smooth_l1_loss({a}, {b})|F.smooth_l1_loss({a}, {b}, reduction={r}, beta=0.5)|"
                      "F.smooth_l1_loss({a}, {b}, {r})|nn.SmoothL1Loss(beta={n})({a}, {b})|"
                      "nn.SmoothL1Loss(reduction={r})({a}, {b})",
    "layers": "nn.ReLU()({a})|nn.ReLU6()({a})|nn.LeakyReLU({n})({a})|nn.LeakyReLU()({a})|nn.ELU(alpha=0.5)({a})|"
              "nn.SELU()({a})|nn.GELU()({a})|nn.SiLU()({a})|nn.Mish()({a})|nn.Sigmoid()({a})|nn.LogSigmoid()({a})|"
              "nn.Tanh()({a})|nn.Tanhshrink()({a})|nn.Softplus()({a})|nn.Softplus(beta=2)({a})|nn.Softplus(2, 1)({a})|"
              "nn.Softsign()({a})|nn.Hardtanh(-2, {n})({a})|nn.Hardsigmoid()({a})|nn.Hardswish()({a})|"
              "nn.Flatten()({a})|nn.Flatten(0)({a})|nn.MSELoss()({a}, {b})|nn.L1Loss(reduction={r})({a}, {b})|"
              "nn.BCELoss()(sigmoid({a}), {b})|nn.BCEWithLogitsLoss()({a}, {b})|nn.ReLU(inplace=True)({a})|"
              "F.relu({a}, inplace=True)|torch.nn.ReLU()({a})|F.gelu({a}, approximate='tanh')|nn.ELU(0.5)({a})",
    "gelu_tanh": "F.gelu({a}, approximate='tanh')|gelu({a}, approximate='tanh')|nn.GELU(approximate='tanh')({a})",
    "linear": "linear({a}, {m})|F.linear({a}, {m}, {v})|F.linear({a}, {b}, bias={c})|F.linear({a}, weight={b})",
    "matrix_power": "torch.matrix_power({q}, 2)|{q}.matrix_power(3)|torch.linalg.matrix_power({q}, n=2)|"
                    "matrix_power({q}, 0) + {q}|torch.linalg.matrix_power({q}, -1)|np.linalg.matrix_power({q}, 2)",
    "sizes": "{a}/{a}.numel()|{a}/len({a})|{a}*{a}.shape[0]|{a}/{a}.size(0)|{a}.sum()/{a}.shape[-1]|{a}/{a}.size({d})",
    "rows": "{a}*[1, 2]|[{z}, {z}]*{a}|dot([1, 2, 3], {v})|{a} + [[1, 2], [3, 4]]",
}  # fmt: skip


def rows(numbers: bool = False) -> dict[str, list[str]]:
    """The patterns of every row of the rule table, and of what is read besides, by name; or of single numbers only."""
    found = {rule.name: list(_by_table(rule)) for rule in RULES.values()
             if rule.name not in BY_HAND and rule.name not in INTERNAL}  # fmt: skip
    found |= {name: patterns.split("|") for name, patterns in BY_HAND.items()}
    if numbers:
        of_numbers = {name for name, rule in RULES.items() if rule.partials}
        found = {
            name: [pattern for pattern in patterns if not set("vmqkdDPSLxN") & set(_slots(pattern))]
            for name, patterns in found.items() if name in of_numbers
        }  # fmt: skip
        found["where"] = [pattern for pattern in found["where"] if "{z}" not in pattern]
    return found


def _slots(pattern: str) -> str:
    return "".join(pattern[place + 1] for place, sign in enumerate(pattern[:-1]) if sign == "{")


def _by_table(rule: Rule) -> Iterator[str]:
    """Calls of a rule by each of its names in each of its homes, its settings left out, by place and by keyword."""
    for name in dict.fromkeys((rule.name, *rule.aliases, *((rule.torch or "").split(".")[-1:]))):
        if name.isidentifier():
            for prefix, home in HOMES.items():
                # PyTorch's own parts of its losses, with numbers for words.
                if home is torch and ("loss" in name or "entropy" in name):
                    continue
                if hasattr(home, name) if home else any(hasattr(module, name) for module in BARE):
                    for inside in _arguments(rule):
                        yield f"{prefix}{name}({_for_home(prefix, inside)})"
            if hasattr(torch.Tensor, name):
                for inside in _arguments(rule):
                    yield f"{{a}}.{name}({inside.removeprefix('{a}').removeprefix(', ')})"


def _for_home(prefix: str, inside: str) -> str:
    for ours, numpys in AXIS.items() if prefix.startswith("np") else ():
        inside = inside.replace(ours, numpys)
    return re.sub(r"\{[abc]\}", "{z}", inside) if prefix == "math." else inside


def _arguments(rule: Rule) -> Iterator[str]:
    optional = [(name, "{n}", None) for name in rule.keywords[len(rule.keywords) - len(rule.defaults):]]
    count = rule.required if rule.partials else len(rule.pullbacks)
    optional += [(name, SETTINGS[name][0], default) for name, default, _ in rule.settings]
    tensors = ["{a}", "{b}", "{c}"][:count]
    needed = [(name, slot) for name, slot, default in optional if default is REQUIRED]
    yield ", ".join([*tensors, *[slot for _, slot in needed]])
    for end in range(1, len(optional) + 1):
        given = optional[:end]
        yield ", ".join([*tensors, *[slot for _, slot, _ in given]])
        yield ", ".join([*tensors, *[f"{name}={slot}" for name, slot, _ in given]])
        for name, slot, _ in given:
            yield from (", ".join([*tensors, f"{name}={other}"]) for other in SETTINGS.get(name, (slot,)))
