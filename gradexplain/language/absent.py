"""What PyTorch has and the language has not: why, and what to write instead."""

from __future__ import annotations

_SEVERAL = "it gives several tensors, or picks elements by their order"
_WHOLE = "it gives whole numbers or truth values, which have no gradient"
_RANDOM = "it is random, and a formula has one value"
_LEAVES = "it leaves the graph, so that nothing is differentiated behind it"
_HERE = "gradexplain rules lists all functions"
_GROUPS = {
    _SEVERAL: "sort topk kthvalue median nanmedian mode cummax cummin slogdet eig eigh eigvals eigvalsh svd svdvals qr"
              " lu lu_factor aminmax unbind split chunk tensor_split hsplit vsplit var_mean std_mean frexp meshgrid"
              " unique unique_consecutive histogram lstsq quantile nanquantile msort percentile modf partition",
    _WHOLE: "argmax argmin argsort nonzero count_nonzero searchsorted bucketize bincount any all isnan isinf isfinite"
            " isclose allclose equal logical_and logical_or logical_not logical_xor matrix_rank signbit argwhere histc",
    _RANDOM: "dropout dropout1d dropout2d dropout3d alpha_dropout rand randn randint randperm rand_like randn_like"
             " normal bernoulli multinomial poisson rrelu gumbel_softmax uniform random",
    _LEAVES: "item detach numpy tolist backward",
    "write the number itself; in a mask, -1e30 stands for -inf": "float int",
    "write sum(x*w)/sum(w)": "average",
    "write max(x, dim=0) - min(x, dim=0)": "ptp",
    "write relu(x), or where(x > 0, x, 0)": "threshold",
    "write x/norm(x)": "normalize",
    "write (x - mean(x, dim=0))/std(x, dim=0)": "batch_norm instance_norm group_norm",
    "write norm(x - y)": "dist pairwise_distance cdist",
    "write sum(x*y)/(norm(x)*norm(y))": "cosine_similarity",
    "write A @ B + C": "addmm addmv addbmm baddbmm addr",
    "write a + t*(b - a)": "lerp",
    "write x + y*z, or x + y/z": "addcmul addcdiv",
    "write a - b*floor(a/b)": "fmod remainder mod",
    "write floor(a/b)": "floor_divide",
    "write where(x > 0, x, -x)": "positive",
    "write eye(n)": "identity_matrix",
    "write a power: x**(1/3)": "cbrt",
    "write exp(lgamma(x))": "gamma",
    "write x*pi/180 or x*180/pi": "deg2rad rad2deg radians degrees",
    "write maximum(x, y) or minimum(x, y)": "fmax fmin",
}  # fmt: skip
# Names of PyTorch that a nearer one of the language is no hint for.
_OTHERS = (
    "adjoint airy_ai angle arange as_strided as_strided_scatter as_tensor asarray avg_pool1d avg_pool2d bessel_j0"
    " bilinear bitwise_and bitwise_or block_diag broadcast_tensors broadcast_to cartesian_prod celu cfloat"
    " chain_matmul channel_shuffle cholesky_ex cholesky_inverse cholesky_solve coalesce column_stack combinations"
    " complex cond conj conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d copysign corrcoef"
    " cosine_embedding_loss cov cross ctc_loss cumprod cumulative_trapezoid device diagflat diagonal_copy"
    " diagonal_scatter diff dim dim_order dsmm dsplit dstack einsum embedding empty empty_like empty_permuted"
    " entr erfcx erfinv expand expand_copy expm fix flatten_dense fliplr flipud float_power fold fork frac full"
    " full_like gammainc gammaincc gather gaussian_nll_loss gcd geqrf glu gradient greater group_norm gru"
    " hamming_window hann_window hardshrink hash_tensor hinge_embedding_loss hsmm hstack i0 i0e i1 i1e igamma"
    " igammac imag index index_add index_copy index_fill index_put index_select int_repr interpolate inv_ex"
    " is_neg is_nonzero is_signed is_tensor isin isposinf isreal kl_div lcm ldexp ldl_factor ldl_solve less"
    " linear_cross_entropy linspace load lobpcg local_response_norm log_ndtr logaddexp2 logcumsumexp logit"
    " logspace long lstm lu_factor_ex lu_solve margin_ranking_loss masked_fill masked_scatter masked_select"
    " matrix_exp max_pool1d max_pool2d max_pool3d miopen_ctc_loss moveaxis movedim multi_dot"
    " multi_head_attention_forward multi_margin_loss multidot multigammaln multilabel_margin_loss"
    " multilabel_soft_margin_loss mvlgamma nan_to_num nanmean narrow native_layer_norm native_norm ndtr ndtri new"
    " new_ones new_tensor new_zeros nextafter nuclear_norm orgqr ormqr pad pdist permute_copy pinv pinverse"
    " pixel_shuffle poisson_nll_loss polar prelu put put_along_axis range real renorm repeat repeat_interleave"
    " resize resize_as resolve_neg rms_norm rnn_relu rnn_tanh roll rot90 row_stack rsub saddmm save scalar_tensor"
    " scaled_dot_product_attention scatter scatter_add scatter_reduce seed select_copy short slice_copy"
    " slice_inverse smm soft_margin_loss softmin softshrink solve_ex solve_triangular sparse spmm squeeze_copy"
    " stft storage stride sum_to_size sym_int sym_max sym_min sym_sqrt sym_sum symeig take take_along_dim"
    " tensordot tensorinv tensorsolve tile to transpose_copy trapezoid trapz triangular_solve tril_indices"
    " triplet_margin_loss triu_indices trunc unflatten unfold unsqueeze_copy vander vecdot view_as_complex"
    " view_as_real view_copy vmap vstack xlog1py xpu zeta"
)
_WHY = dict.fromkeys(_OTHERS.split(), _HERE) | {name: why for why, names in _GROUPS.items() for name in names.split()}


def why_absent(name: str) -> str:
    """Why a function of PyTorch is not in the language, and what to write instead; empty for any other name.

    >>> why_absent("argmax")
    'it gives whole numbers or truth values, which have no gradient'
    """
    if name.endswith("_") and name[:1].isalpha():
        return f"it would change what is used elsewhere: leave the last _ out, if {name[:-1]} is what it does"
    return _WHY.get(name, "")
