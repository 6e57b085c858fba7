"""What CuPy offers: names and signatures, read from version 14.2.

`minillm.backend.strict.signature` says how the signatures are written. Functions of CuPy that
nobody here has needed are left out: to use one, add its line.
"""

from __future__ import annotations

from minillm.backend.strict.signature import signatures

__all__ = ["CONSTANTS", "CREATION", "FUNCTIONS", "LACKING", "LINALG", "UFUNCS"]

# Numbers, types, and functions of them: the same objects in NumPy and CuPy.
CONSTANTS = """
    bool bool_ e euler_gamma finfo float16 float32 float64 floating generic iinfo inexact inf int8
    int16 int32 int64 int_ integer intp isdtype issubdtype nan newaxis number pi promote_types
    signedinteger dtype uint16 uint32 uint64 uint8 unsignedinteger broadcast_shapes
"""

# Elementwise functions.
UFUNCS = """
    abs absolute acos acosh add arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh atan
    atan2 atanh bitwise_and bitwise_count bitwise_invert bitwise_left_shift bitwise_not bitwise_or
    bitwise_right_shift bitwise_xor cbrt ceil conj conjugate copysign cos cosh deg2rad degrees
    divide divmod equal exp exp2 expm1 fabs float_power floor floor_divide fmax fmin fmod frexp gcd
    greater greater_equal heaviside hypot invert isfinite isinf isnan lcm ldexp left_shift less
    less_equal log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or
    logical_xor matmul maximum minimum mod modf multiply negative nextafter not_equal positive pow
    power rad2deg radians reciprocal remainder right_shift rint sign signbit sin sinh sqrt square
    subtract tan tanh true_divide trunc
"""

# Functions of arrays.
FUNCTIONS = signatures(
    """
    all(a!; axis=, out=, keepdims=)
    allclose(a?, b?; rtol=, atol=, equal_nan=)
    amax(a!; axis=, out=, keepdims=)
    amin(a!; axis=, out=, keepdims=)
    any(a!; axis=, out=, keepdims=)
    append(arr!, values?; axis=)
    argmax(a!; axis=, out=, keepdims=)
    argmin(a!; axis=, out=, keepdims=)
    argpartition(a!, kth; axis=)
    argwhere(a!)
    around(a!; decimals=, out=)
    array_equal(a1!, a2!; equal_nan=)
    array_equiv(a1!, a2!)
    array_split(ary!, indices_or_sections; axis=)
    astype(x!, dtype; copy=)
    average(a!; axis=, weights!=, returned=, keepdims=)
    bincount(x!; weights!=, minlength=)
    broadcast_to(array!, shape)
    clip(a!, a_min?, a_max?; out=)
    column_stack(tup[])
    compress(condition!, a!; axis=, out=)
    concat(tup[]; axis=, out=, dtype=, casting=)
    concatenate(tup[]; axis=, out=, dtype=, casting=)
    convolve(a!, v!; mode=)
    copy(a!; order=)
    corrcoef(a!; y!=, rowvar=)
    count_nonzero(a!; axis=)
    cov(a!; y!=, rowvar=, bias=, ddof=)
    cross(a!, b!; axis=)
    cumprod(a!; axis=, dtype=, out=)
    cumsum(a!; axis=, dtype=, out=)
    diag(v!; k=)
    diag_indices_from(arr!)
    diagflat(v!; k=)
    diagonal(a!; offset=, axis1=, axis2=)
    diff(a!; n=, axis=, prepend?=, append?=)
    digitize(x!, bins!; right=)
    dot(a!, b!; out=)
    dstack(tup[])
    expand_dims(a!, axis)
    extract(condition!, a!)
    fill_diagonal(a!, val?; wrap=)
    fix(x!; out=)
    flatnonzero(a!)
    flip(a!; axis=)
    fliplr(a!)
    flipud(a!)
    hsplit(ary!, indices_or_sections)
    hstack(tup[]; dtype=, casting=)
    inner(a!, b!)
    interp(x!, xp!, fp!; left=, right=, period=)
    isclose(a?, b?; rtol=, atol=, equal_nan=)
    isin(element!, test_elements!; assume_unique=, invert=)
    isneginf(x!; out=)
    isposinf(x!; out=)
    kron(a!, b!)
    lexsort(keys!)
    matrix_transpose(x!)
    max(a!; axis=, out=, keepdims=)
    mean(a!; axis=, dtype=, out=, keepdims=)
    median(a!; axis=, out=, overwrite_input=, keepdims=)
    min(a!; axis=, out=, keepdims=)
    moveaxis(a!, source, destination)
    nan_to_num(x?; copy=, nan=, posinf=, neginf=)
    nanargmax(a!; axis=, out=, keepdims=)
    nanargmin(a!; axis=, out=, keepdims=)
    nanmax(a!; axis=, out=, keepdims=)
    nanmean(a!; axis=, dtype=, out=, keepdims=)
    nanmin(a!; axis=, out=, keepdims=)
    nansum(a!; axis=, dtype=, out=, keepdims=)
    nonzero(a!)
    outer(a!, b!; out=)
    pad(array!, pad_width; mode=, constant_values=)
    partition(a!, kth; axis=)
    percentile(a!, q?; axis=, out=, overwrite_input=, method=, keepdims=)
    permute_dims(a!; axes=)
    prod(a!; axis=, dtype=, out=, keepdims=)
    ptp(a!; axis=, out=, keepdims=)
    quantile(a!, q?; axis=, out=, overwrite_input=, method=, keepdims=)
    ravel(a!; order=)
    repeat(a!, repeats; axis=)
    reshape(a!, newshape; order=)
    roll(a!, shift; axis=)
    rollaxis(a!, axis; start=)
    rot90(a!; k=, axes=)
    round(a!; decimals=, out=)
    searchsorted(a!, v?; side=, sorter!=)
    select(condlist[], choicelist[], default=)
    setdiff1d(ar1!, ar2!; assume_unique=)
    sinc(x!)
    split(ary!, indices_or_sections; axis=)
    squeeze(a!; axis=)
    stack(tup[]; axis=, out=, dtype=, casting=)
    std(a!; axis=, dtype=, out=, ddof=, keepdims=)
    sum(a!; axis=, dtype=, out=, keepdims=)
    swapaxes(a!, axis1, axis2)
    tensordot(a!, b!; axes=)
    tile(A!, reps)
    trace(a!; offset=, axis1=, axis2=, dtype=, out=)
    transpose(a!; axes=)
    trapezoid(y!; x!=, dx=, axis=)
    tril(m!; k=)
    tril_indices_from(arr!; k=)
    triu(m!; k=)
    triu_indices_from(arr!; k=)
    union1d(arr1!, arr2!)
    unique(ar!; return_index=, return_inverse=, return_counts=, axis=, equal_nan=)
    unravel_index(indices!, dims; order=)
    var(a!; axis=, dtype=, out=, ddof=, keepdims=)
    vdot(a!, b!)
    vsplit(ary!, indices_or_sections)
    vstack(tup[]; dtype=, casting=)
    where(condition!, x?=, y?=)
    """
)

# Functions that make arrays from numbers. `array`, `empty` and `full` are written out elsewhere.
CREATION = signatures(
    """
    arange(start, stop=, step=; dtype=)
    diag_indices(n; ndim=)
    eye(N; M=, k=, dtype=, order=)
    identity(n; dtype=)
    indices(dimensions; dtype=)
    linspace(start, stop; num=, endpoint=, retstep=, dtype=, axis=)
    logspace(start, stop; num=, endpoint=, base=, dtype=, axis=)
    ones(shape; dtype=, order=)
    ones_like(a!; dtype=, order=, shape=)
    tri(N; M=, k=, dtype=)
    tril_indices(n; k=, m=)
    triu_indices(n; k=, m=)
    zeros(shape; dtype=, order=)
    zeros_like(a!; dtype=, order=, shape=)
    """
)

# The functions of `linalg`.
LINALG = signatures(
    """
    cholesky(a!)
    det(a!)
    eigh(a!; UPLO=)
    eigvalsh(a!; UPLO=)
    inv(a!)
    lstsq(a!, b!; rcond=)
    matrix_power(M!, n)
    matrix_rank(M!; tol=)
    norm(x!; ord=, axis=, keepdims=)
    pinv(a!; rcond=)
    qr(a!; mode=)
    slogdet(a!)
    solve(a!, b!)
    svd(a!; full_matrices=, compute_uv=)
    """
)


# What NumPy has and CuPy has not, as far as a program for both may be tempted.
LACKING = """
    block einsum_path errstate float128 fromregex frompyfunc geomspace geterr getbufsize
    histogram_bin_edges insert longdouble matvec memmap nanpercentile nanquantile ndenumerate nditer
    object_ polyder polydiv polyint seterr spacing unstack vecdot vecmat
"""
