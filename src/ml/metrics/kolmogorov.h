#pragma once
#include <cstdint>

namespace quern::ml {

/// The two-sample Kolmogorov-Smirnov test's two-sided p-value for samples of n1 and n2 (both > 0) whose empirical
/// distributions are at most `d` apart: that of scipy.stats.ks_2samp(method="auto"), exact up to 10,000 values a side,
/// else by the one-sample distribution for the rounded n1 n2 / (n1 + n2). Absolute error below 1e-10.
double KolmogorovSmirnovP(int64_t n1, int64_t n2, double d);

/// P(D_n >= x) of the one-sample two-sided statistic, n > 0. Simard and L'Ecuyer, "Computing the Two-Sided
/// Kolmogorov-Smirnov Distribution", J. Stat. Software 39 (2011), with the choice of method that SciPy makes.
double KolmogorovSf(int64_t n, double x);

}  // namespace quern::ml
