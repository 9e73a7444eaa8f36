// The operations of the rule table as functions of numbers, by the id of the rule: those that are elementary, and those
// whose definition would lose digits. What is not here is computed by its definition, which comes with the formula.
// ASCII only, and nothing here reads the page: page.js does.
const OPERATIONS = (() => {
  const PI = Math.PI;
  const sigmoid = a => a >= 0 ? 1 / (1 + Math.exp(-a)) : Math.exp(a) / (1 + Math.exp(a));
  // log(1 + exp(a)) without overflow.
  const softplus = a => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a)));
  // The sine and the tangent of pi*a, exact at whole numbers.
  const sinePi = a => { const r = a - 2 * Math.round(a / 2); return Math.abs(r) === 1 ? 0 : Math.sin(PI * r); };
  const tangentPi = a => Math.tan(PI * (a - Math.round(a)));

  function erf(a) {
    const x = Math.abs(a);
    if (!(x < 2)) return a < 0 ? erfc(x) - 1 : 1 - erfc(x);
    // All terms have the same sign, so no digits are lost.
    let term = a, sum = a;
    for (let n = 1; n < 80; n++) {
      term *= 2 * a * a / (2 * n + 1);
      sum += term;
    }
    return 2 / Math.sqrt(PI) * Math.exp(-a * a) * sum;
  }
  function erfc(a) {
    if (Number.isNaN(a)) return NaN;
    if (a < 2) return a < -6 ? 2 : a > -2 ? 1 - erf(a) : 2 - erfc(-a);
    if (a > 28) return 0;
    // The continued fraction, from its far end.
    let tail = a;
    for (let n = 160; n > 0; n--) tail = a + n / 2 / tail;
    return Math.exp(-a * a) / Math.sqrt(PI) / tail;
  }

  const LOG_GAMMA = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156];
  function lgamma(a) {
    if (Number.isNaN(a)) return NaN;
    if (!Number.isFinite(a)) return Infinity;
    if (a <= 0) {
      return Number.isInteger(a) ? Infinity : Math.log(PI / Math.abs(sinePi(a))) - lgamma(1 - a);
    }
    if (a === 1 || a === 2) return 0;
    let shift = 1, x = a;
    for (; x < 12; x++) shift *= x;
    let sum = 0, power = 1 / x;
    for (const factor of LOG_GAMMA) {
      sum += factor * power;
      power /= x * x;
    }
    return (x - 0.5) * Math.log(x) - x + Math.log(2 * PI) / 2 + sum - Math.log(shift);
  }

  const BERNOULLI = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798];
  const FARTHEST = 10000;
  function digamma(a) {
    if (!Number.isFinite(a)) return a === Infinity ? a : NaN;
    if (a === 0) return -Infinity;
    if (a < 0) return Number.isInteger(a) ? NaN : digamma(1 - a) - PI / tangentPi(a);
    let sum = 0, x = a;
    for (; x < 12; x++) sum -= 1 / x;
    let power = 1;
    BERNOULLI.forEach((number, k) => {
      power /= x * x;
      sum -= number / (2 * k + 2) * power;
    });
    return sum + Math.log(x) - 1 / (2 * x);
  }
  function polygamma(n, a) {
    if (n === 0) return digamma(a);
    if (!(Number.isInteger(n) && n > 0 && n < 150) || Number.isNaN(a) || a < -FARTHEST) return NaN;
    if (a === Infinity) return 0;
    if (a <= 0 && Number.isInteger(a)) return Infinity;
    // The sum of 1/(a + k)**(n + 1) over all k from 0: the first terms one by one, the rest by Euler and Maclaurin.
    let sum = 0, x = a;
    for (; x < 14 + n; x++) sum += Math.pow(x, -n - 1);
    sum += Math.pow(x, -n) / n + Math.pow(x, -n - 1) / 2;
    let factor = (n + 1) / 2 * Math.pow(x, -n - 2);
    BERNOULLI.forEach((number, k) => {
      sum += number * factor;
      const m = n + 2 * k + 2;
      factor *= m * (m + 1) / ((2 * k + 3) * (2 * k + 4)) / (x * x);
    });
    let product = n % 2 ? 1 : -1;
    for (let k = 2; k <= n; k++) product *= k;
    return product * sum;
  }

  function logaddexp(a, b) {
    const large = Math.max(a, b);
    return Number.isFinite(large) ? large + Math.log1p(Math.exp(-Math.abs(a - b))) : large;
  }
  function round(a) {
    // Halves go to the even number.
    const low = Math.floor(a), rest = a - low;
    return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : rest >= 0.5 ? low + 1 : a;
  }
  const ALPHA = 1.6732632423543772, SCALE = 1.0507009873554805;

  return {
    add: (a, b) => a + b, sub: (a, b) => a - b, mul: (a, b) => a * b, div: (a, b) => a / b, neg: a => -a,
    pow: (a, b) => a === 1 ? 1 : Math.pow(a, b), identity: a => a,
    sqrt: Math.sqrt, abs: Math.abs, sign: Math.sign, hypot: (a, b) => Math.hypot(a, b),
    exp: Math.exp, expm1: Math.expm1, log: Math.log, log2: Math.log2, log10: Math.log10,
    log1p: Math.log1p, logaddexp, xlogy: (a, b) => a === 0 && !Number.isNaN(b) ? 0 : a * Math.log(b),
    sin: Math.sin, cos: Math.cos, tan: Math.tan, asin: Math.asin, acos: Math.acos, atan: Math.atan, atan2: Math.atan2,
    sinh: Math.sinh, cosh: Math.cosh, tanh: Math.tanh, asinh: Math.asinh, acosh: Math.acosh, atanh: Math.atanh,
    sinc: a => a === 0 ? 1 : sinePi(a) / (PI * a),
    sigmoid, logsigmoid: a => -softplus(-a), softplus: (a, b, c) => b * a > c ? a : softplus(b * a) / b,
    elu: (a, b) => a > 0 ? a : b * Math.expm1(a), selu: a => SCALE * (a > 0 ? a : ALPHA * Math.expm1(a)),
    gelu: a => a * erfc(-a / Math.SQRT2) / 2, erf, erfc, lgamma, digamma, polygamma,
    maximum: (a, b) => Math.max(a, b), minimum: (a, b) => Math.min(a, b), where: (a, b, c) => a ? b : c,
    floor: Math.floor, ceil: Math.ceil, round,
    gt: (a, b) => a > b, ge: (a, b) => a >= b, lt: (a, b) => a < b, le: (a, b) => a <= b,
    eq: (a, b) => a === b, ne: (a, b) => a !== b,
  };
})();
