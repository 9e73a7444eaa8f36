"""What PyTorch has and the language has not: why, and what to write instead."""

from __future__ import annotations

_SEVERAL = "it gives several tensors, or picks elements by their order; max and min along an axis are there"
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
    "angle arange as_strided bitwise_and bitwise_or block_diag broadcast_tensors broadcast_to cartesian_prod celu"
    " channel_shuffle cholesky_inverse cholesky_solve column_stack combinations complex conj conv1d conv2d conv3d"
    " copysign corrcoef cosine_embedding_loss cov cross ctc_loss cumprod cumulative_trapezoid diff diagflat"
    " diagonal_scatter dsplit dstack einsum embedding empty erfcx erfinv expand expm flatten_dense fliplr flipud fold"
    " frac full full_like gather gaussian_nll_loss gcd geqrf glu gradient group_norm hardshrink hinge_embedding_loss"
    " hstack i0 i0e i1 i1e igamma igammac imag index_add index_copy index_fill index_put index_select interpolate"
    " inv_ex kl_div kron_ lcm ldexp linspace local_response_norm log_ndtr logcumsumexp logit logspace masked_fill"
    " masked_scatter masked_select matrix_exp max_pool1d max_pool2d avg_pool1d avg_pool2d max_pool3d movedim moveaxis"
    " margin_ranking_loss multi_margin_loss multilabel_margin_loss multidot multi_dot multigammaln mvlgamma"
    " nan_to_num nanmean narrow ndtr ndtri nextafter numel_ orgqr ormqr outer_ pad pdist pinv pinverse pixel_shuffle"
    " poisson_nll_loss polar prelu put put_along_axis real renorm repeat repeat_interleave resize rms_norm roll rot90"
    " row_stack scatter scatter_add scatter_reduce soft_margin_loss softmin softshrink solve_triangular solve_ex sparse"
    " square_ stft take take_along_dim tensordot tensorinv tensorsolve tile trapezoid trapz triangular_solve"
    " tril_indices triplet_margin_loss triu_indices trunc fix unflatten unfold vander vecdot vstack view_as_real"
    " where_ zeta bilinear sum_to_size expm1_ hamming_window hann_window logaddexp2 cosh_ entr bessel_j0 airy_ai"
    " multilabel_soft_margin_loss scaled_dot_product_attention multi_head_attention_forward softmin threshold_"
)
_WHY = dict.fromkeys(_OTHERS.split(), _HERE) | {name: why for why, names in _GROUPS.items() for name in names.split()}


def why_absent(name: str) -> str:
    """Why a function of PyTorch is not in the language, and what to write instead; empty for any other name.

    >>> why_absent("argmax")
    'it gives whole numbers or truth values, which have no gradient'
    """
    return _WHY.get(name, "")
