"""Rules of axes and parts of tensors, and of tensors that are filled with one number."""

from __future__ import annotations

from gradexplain.rules import result_shapes as shapes
from gradexplain.rules.row import Rule
from gradexplain.rules.settings import AXES, AXIS, NEW_SIZES, REQUIRED, SIZE, SIZES, WHOLE, Setting

PLACE = Setting("dim", REQUIRED, AXIS)
ORDERED = Setting("dims", REQUIRED, AXES)
ELEMENT = (PLACE, Setting("index", REQUIRED, WHOLE))
RANGE = (PLACE, Setting("start", None, WHOLE), Setting("end", None, WHOLE), Setting("step", 1, WHOLE))
SWAPPED = (Setting("dim0", REQUIRED, AXIS), Setting("dim1", REQUIRED, AXIS))
FLAT = (Setting("start_dim", 0, AXIS), Setting("end_dim", -1, AXIS))
REMOVED = (Setting("dim", None, AXES),)
JOINED = Setting("dim", 0, AXIS)
TRIANGLE = Setting("diagonal", 0, WHOLE)

ROWS = (
    Rule("transpose", "transposition", pullbacks=("transpose(g, dim0, dim1)",), shape=shapes.transpose,
         settings=SWAPPED, aliases=("swapaxes", "swapdims"), linear=1,
         example="sum(A @ A.T)"),
    Rule("permute", "permutation of axes", pullbacks=("unpermuted(g, dims)",), shape=shapes.permute,
         settings=(ORDERED,), linear=1),
    Rule("reshape", "reshaping", pullbacks=("reshape_as(g, a)",), shape=shapes.reshape,
         settings=(Setting("shape", REQUIRED, NEW_SIZES),), aliases=("view",), linear=1,
         example="sum(reshape(x, (2, 2)) @ A)"),
    Rule("reshape_as", "reshaping", pullbacks=("reshape_as(g, a)", ""), shape=shapes.reshaped_as,
         torch="torch.reshape(a, b.shape)", aliases=("view_as",), linear=1),
    Rule("expand_as", "expansion", pullbacks=("g", ""), shape=shapes.as_other, torch="torch.broadcast_to(a, b.shape)",
         linear=1),
    Rule("flatten", "flattening", pullbacks=("reshape_as(g, a)",), shape=shapes.flatten,
         settings=FLAT, aliases=("ravel",), linear=1, example="sum(flatten(A)**2)"),
    Rule("unsqueeze", "new axis", pullbacks=("squeeze(g, dim)",), shape=shapes.unsqueeze,
         settings=(PLACE,), linear=1, example="sum(unsqueeze(x, 1)*A)"),
    Rule("squeeze", "removed axis", pullbacks=("reshape_as(g, a)",), shape=shapes.squeeze, settings=REMOVED,
         linear=1),
    Rule("flip", "reversal", pullbacks=("flip(g, dims)",), shape=shapes.flipped, settings=(ORDERED,),
         linear=1),
    Rule("cat", "joining", pullbacks=("part_of_cat(g, dim)",), shape=shapes.cat, settings=(JOINED,),
         aliases=("concat", "concatenate"), any_number=True, torch="torch.cat(inputs, dim)",
         example="sum(cat([x, y])**2)"),
    Rule("stack", "stacking", pullbacks=("part_of_stack(g, dim)",), shape=shapes.stack, settings=(JOINED,),
         any_number=True, torch="torch.stack(inputs, dim)",
         example="sum(stack([x, y])**2)"),
    Rule("select", "element", pullbacks=("select_scatter(zeros_like(a), g, dim, index)",), shape=shapes.select,
         settings=ELEMENT, linear=1, example="x[0]*x[1]"),
    Rule("slice", "range of elements", pullbacks=("slice_scatter(zeros_like(a), g, dim, start, end, step)",),
         shape=shapes.sliced, settings=RANGE, torch=None,
         linear=1, example="sum(x[1:]**2)"),
    Rule("select_scatter", "element put in",
         pullbacks=("select_scatter(g, zeros_like(b), dim, index)", "select(g, dim, index)"),
         shape=shapes.put_in(shapes.select), settings=ELEMENT),
    Rule("slice_scatter", "range put in",
         pullbacks=("slice_scatter(g, zeros_like(b), dim, start, end, step)", "slice(g, dim, start, end, step)"),
         shape=shapes.put_in(shapes.sliced),
         settings=RANGE),
    Rule("diag", "diagonal matrix", pullbacks=("diagonal(g)",), shape=shapes.diag, torch="diag_embed", written="diag",
         linear=1, example="sum(diag(x) @ A)"),
    Rule("diag_embed", "diagonal matrices", pullbacks=("diagonals(g)",), shape=shapes.diag_embed, linear=1,
         numpy="a[..., None, :]*np.eye(np.shape(a)[-1])",
         example="sum(diag_embed(A)**2)"),
    Rule("diagonals", "diagonals of matrices", pullbacks=("diag_embed(g)",), shape=shapes.diagonals,
         torch="torch.diagonal(a, 0, -2, -1)", numpy="np.diagonal(a, axis1=-2, axis2=-1)", linear=1,
         written="diagonal",
         example="sum(diagonal(diag_embed(A), dim1=-2, dim2=-1)**2)"),
    Rule("diagonal", "diagonal", pullbacks=("diagonal_like(g, a)",), shape=shapes.diagonal, written="diag", linear=1,
         example="sum(diag(A)**2)"),
    Rule("tril", "lower triangle", pullbacks=("tril(g, diagonal)",), shape=shapes.at_least_matrix,
         settings=(TRIANGLE,), linear=1, example="sum(tril(A)**2)"),
    Rule("triu", "upper triangle", pullbacks=("triu(g, diagonal)",), shape=shapes.at_least_matrix,
         settings=(TRIANGLE,), linear=1, example="sum(triu(A)**2)"),
)  # fmt: skip

FILLED = (
    Rule("ones_like", "ones", pullbacks=("",), shape=lambda s, _: s[0]),
    Rule("zeros_like", "zeros", pullbacks=("",), shape=lambda s, _: s[0]),
    Rule("eye", "unit matrix", shape=lambda _, settings: (settings["n"], settings["n"]),
         settings=(Setting("n", REQUIRED, SIZE),)),
    Rule("ones", "ones", shape=shapes.filled, settings=(Setting("shape", REQUIRED, SIZES),)),
    Rule("zeros", "zeros", shape=shapes.filled, settings=(Setting("shape", REQUIRED, SIZES),)),
)  # fmt: skip
