#!/usr/bin/env python3
"""Computes the coefficients in src/exp.rs, saturating.rs, rough_gelu.rs and attention/bf16_amx.rs (needs numpy).

    python3 kernels/fit.py

Each fit minimises the largest relative error over a grid that is dense where the error
oscillates fastest, at the ends. One step solves a linear least-squares problem in a
Chebyshev basis; Lawson's rule then multiplies each point's weight by its error, which
drives the solution to the minimax one. A quotient P/Q becomes linear as P - f Q = 0,
each row divided by the Q of the step before (Sanathanan and Koerner 1963).
"""

import math

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial, chebyshev


def lawson(solve, error, points, steps=400):
    """The best of `steps` reweighted solutions: (largest error, solution)."""
    weight, best = np.ones(points), (np.inf, None)
    for _ in range(steps):
        solution = solve(np.sqrt(weight))
        e = np.abs(error(solution))
        best = min(best, (e.max(), solution), key=lambda pair: pair[0])
        weight *= e / e.max() + 1e-3  # never to zero: a point may matter again
        weight /= weight.max()
    return best


def fit_exp(degree=4):
    """p with e^r = 1 + r + r² p(r) on |r| ≤ ln 2 / 2 (and 0.1 % beyond: r is rounded)."""
    limit = math.log(2) / 2 * 1.001
    r = limit * np.cos(np.linspace(0, np.pi, 2000))
    r = r[np.abs(r) > 1e-4]  # the quotient below cancels at 0
    basis, relative = chebyshev.chebvander(r / limit, degree), r * r / np.exp(r)
    target = (np.expm1(r) - r) / (r * r)

    def solve(weight):
        rows = weight * relative
        return np.linalg.lstsq(basis * rows[:, None], target * rows, rcond=None)[0]

    worst, p = lawson(solve, lambda p: (basis @ p - target) * relative, len(r))
    return worst, monomials(p, -limit, limit)


def fit_saturating(f, limit, degree=5):
    """P, Q with f(x) = x P(x²) / Q(x²) on 0 ≤ x ≤ limit, Q(0) = 1."""
    x = limit * (1 - np.cos(np.linspace(1e-3, np.pi / 2, 1200)))
    target = np.array([f(v) / v for v in x])
    basis = chebyshev.chebvander(2 * x * x / limit**2 - 1, degree)
    q = np.ones_like(x)

    def solve(weight):
        nonlocal q
        rows = (weight / (np.abs(q) * target))[:, None]
        system = np.hstack([basis * rows, -basis * target[:, None] * rows])
        pq = np.linalg.svd(system, full_matrices=False)[2][-1]
        q = basis @ pq[degree + 1 :]
        return pq

    def error(pq):
        return (basis @ pq[: degree + 1]) / (basis @ pq[degree + 1 :]) / target - 1

    worst, pq = lawson(solve, error, len(x))
    p = monomials(pq[: degree + 1], 0, limit**2)
    q = monomials(pq[degree + 1 :], 0, limit**2)
    return worst, p / q[0], q / q[0]


def fit_rough_gelu(limit=4.0, degree=6):
    """P with erf(a/√2)/2 ≈ a P(a²) on 0 ≤ a ≤ limit, least in the error of a times that."""
    a = np.linspace(1e-3, limit, 1500)
    target = np.array([math.erf(v / math.sqrt(2)) / 2 / v for v in a])
    basis = chebyshev.chebvander(2 * a * a / limit**2 - 1, degree)

    def solve(weight):
        rows = weight * a * a
        return np.linalg.lstsq(basis * rows[:, None], target * rows, rcond=None)[0]

    worst, p = lawson(solve, lambda p: (basis @ p - target) * a * a, len(a))
    return worst, monomials(p, 0, limit**2)


def fit_power_of_2(degree=3):
    """p with 2^f ≈ p(f) on 0 ≤ f ≤ 1."""
    f = (1 - np.cos(np.linspace(0, np.pi, 2000))) / 2
    basis, target = chebyshev.chebvander(2 * f - 1, degree), np.exp2(f)

    def solve(weight):
        rows = weight / target
        return np.linalg.lstsq(basis * rows[:, None], target * rows, rcond=None)[0]

    worst, p = lawson(solve, lambda p: (basis @ p) / target - 1, len(f))
    return worst, monomials(p, 0, 1)


def monomials(coefficients, lo, hi):
    """A Chebyshev series on [lo, hi] as powers, lowest first."""
    series = Chebyshev(coefficients, domain=[lo, hi])
    return series.convert(kind=Polynomial, domain=[-1, 1], window=[-1, 1]).coef


def rust(values):
    """f32 literals, as few digits as name the value."""
    return "[" + ", ".join(str(np.float32(v)) for v in values) + "]"


def main():
    worst, p = fit_exp()
    print(f"exp   P {rust(p)}  relative error {worst:.1e}")
    for name, f, limit in [("erf", math.erf, 3.925), ("tanh", math.tanh, 9.02)]:
        worst, p, q = fit_saturating(f, limit)
        print(f"{name:5} P {rust(p)}\n      Q {rust(q)}  relative error {worst:.1e}")
    worst, p = fit_rough_gelu()
    print(f"gelu  P {rust(p)}  error {worst:.1e}")
    worst, p = fit_power_of_2()
    print(f"2^f   P {rust(p)}  relative error {worst:.1e}")


if __name__ == "__main__":
    main()
