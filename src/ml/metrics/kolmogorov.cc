#include "ml/metrics/kolmogorov.h"

#include <algorithm>
#include <boost/math/special_functions/log1p.hpp>
#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

namespace quern::ml {
namespace {

constexpr double kPi = std::numbers::pi;

// log(n!) - log(sqrt(2 pi n) (n / e)^n), for n >= 1.
double StirlingError(double n) {
  if (n < 16) return std::lgamma(n + 1) - (0.5 * std::log(2 * kPi * n) + n * std::log(n) - n);
  const double s = 1 / (n * n);
  return (1.0 / 12 - (1.0 / 360 - (1.0 / 1260 - (1.0 / 1680) * s) * s) * s) / n;
}

// The term j (0 < j < n) of the one-sided distribution's sum: the binomial probability of j out of n at x + j / n, by
// deviances (Loader 2000), which loses no digits for large n, times x / (x + j / n).
double SmirnovTerm(double n, double x, double j) {
  const double rest = n - j;
  const double nx = n * x;
  const double deviance =
      -j * boost::math::log1pmx(nx / j) - rest * boost::math::log1pmx(-nx / rest);  // of both sides, >= 0
  const double log_term =
      StirlingError(n) - StirlingError(j) - StirlingError(rest) - deviance + 0.5 * std::log(n / (2 * kPi * j * rest));
  return std::exp(log_term) * nx / (nx + j);
}

// P(D_n+ >= x), 0 < x < 1 (Smirnov 1944).
double SmirnovSf(int64_t count, double x) {
  const auto n = static_cast<double>(count);
  if (-2 * n * x * x < -745) return 0;
  // From here on SciPy takes Smirnov's approximation, whose error is of the order 1 / n.
  if (count > 1000000) return std::exp(-std::pow(6 * n * x + 1, 2) / (18 * n));
  const auto last = static_cast<int64_t>(std::floor(n * (1 - x)));
  // The terms are a smooth function of j that vanishes at both ends with all its derivatives (but for what underflows):
  // the sum over every step-th is the whole sum, to more digits than a double has.
  const int64_t step = std::max<int64_t>(1, count / 8192);
  double sum = step == 1 ? std::exp(n * std::log1p(-x)) : 0;
  for (int64_t j = step; j <= last && j < count; j += step) {
    if (n * x < n - static_cast<double>(j))
      sum += static_cast<double>(step) * SmirnovTerm(n, x, static_cast<double>(j));
  }
  return std::clamp(sum, 0.0, 1.0);
}

class Matrix {
 public:
  explicit Matrix(size_t size) : size_(size), cells_(size * size) {}
  double& At(size_t row, size_t column) { return cells_[row * size_ + column]; }
  double At(size_t row, size_t column) const { return cells_[row * size_ + column]; }
  Matrix Times(const Matrix& other) const {
    Matrix out(size_);
    for (size_t i = 0; i < size_; i++) {
      for (size_t k = 0; k < size_; k++) {
        const double factor = At(i, k);
        if (factor == 0) continue;
        for (size_t j = 0; j < size_; j++) out.At(i, j) += factor * other.At(k, j);
      }
    }
    return out;
  }
  void Scale(double factor) {
    for (double& cell : cells_) cell *= factor;
  }

 private:
  size_t size_;
  std::vector<double> cells_;
};

// P(D_n < x) exactly: Durbin's matrix (1968) as Marsaglia, Tsang and Wang (2003) raise it to the power n.
double DurbinCdf(int64_t n, double x) {
  constexpr int kShift = 400;  // powers of two taken out when a number grows or shrinks beyond
  const double nx = static_cast<double>(n) * x;
  const auto k = static_cast<size_t>(std::ceil(nx));
  const double h = static_cast<double>(k) - nx;
  const size_t m = 2 * k - 1;
  std::vector<double> inverse_factorial(m + 2, 1);
  for (size_t i = 1; i < inverse_factorial.size(); i++) {
    inverse_factorial[i] = inverse_factorial[i - 1] / static_cast<double>(i);
  }
  Matrix base(m);
  for (size_t i = 0; i < m; i++) {
    for (size_t j = 0; j < m && j <= i + 1; j++) base.At(i, j) = inverse_factorial[i + 1 - j];
  }
  for (size_t i = 0; i < m; i++) {
    const auto power = static_cast<double>(i + 1);
    base.At(i, 0) = (1 - std::pow(h, power)) * inverse_factorial[i + 1];
    base.At(m - 1, m - 1 - i) = base.At(i, 0);
  }
  const auto size = static_cast<double>(m);
  base.At(m - 1, 0) = (1 - 2 * std::pow(h, size) + (h > 0.5 ? std::pow(2 * h - 1, size) : 0)) * inverse_factorial[m];
  Matrix power(m);
  for (size_t i = 0; i < m; i++) power.At(i, i) = 1;
  int64_t base_exponent = 0;
  int64_t exponent = 0;
  const auto rescale = [&](Matrix& matrix, int64_t& shift) {
    if (std::abs(matrix.At(k - 1, k - 1)) < std::ldexp(1.0, kShift)) return;
    matrix.Scale(std::ldexp(1.0, -kShift));
    shift += kShift;
  };
  for (int64_t bits = n; bits > 0; bits /= 2) {
    if (bits % 2 == 1) {
      power = power.Times(base);
      exponent += base_exponent;
      rescale(power, exponent);
    }
    if (bits == 1) break;
    base = base.Times(base);
    base_exponent *= 2;
    rescale(base, base_exponent);
  }
  double p = power.At(k - 1, k - 1);
  for (int64_t i = 1; i <= n; i++) {
    p *= static_cast<double>(i) / static_cast<double>(n);
    if (p != 0 && std::abs(p) < std::ldexp(1.0, -kShift)) {
      p = std::ldexp(p, kShift);
      exponent -= kShift;
    }
  }
  return std::clamp(std::ldexp(p, static_cast<int>(exponent)), 0.0, 1.0);
}

// P(D_n < x) to the order n^-3/2 (Pelz and Good 1976).
double PelzGoodCdf(int64_t count, double x) {
  const auto n = static_cast<double>(count);
  const double z = std::sqrt(n) * x;
  const double z2 = z * z;
  const double z4 = z2 * z2;
  const double z6 = z4 * z2;
  const double z8 = z4 * z4;
  if (-kPi * kPi / 8 / z2 < -708) return 0;
  double k0 = 0;
  double k1 = 0;
  double k2 = 0;
  double k3 = 0;
  const int terms = static_cast<int>(std::ceil(16 * z / kPi)) + 1;
  for (int k = terms; k > 0; k--) {
    const double half = k - 0.5;
    const double a = kPi * kPi * half * half;
    const double weight = std::exp(-a / (2 * z2));
    k0 += weight;
    k1 += (a - z2) * weight;
    k2 += (6 * z6 + 2 * z4 + a * (2 * z4 - 5 * z2) + a * a * (1 - 2 * z2)) * weight;
    k3 += (a * a * a * (5 - 30 * z2) + a * a * (212 * z4 - 60 * z2) + a * (135 * z4 - 96 * z6) - 30 * z6 - 90 * z8) *
          weight;
  }
  double whole2 = 0;
  double whole3 = 0;
  for (int k = terms; k > 0; k--) {
    const double a = kPi * kPi * k * k;
    const double weight = std::exp(-a / (2 * z2));
    whole2 += a * weight;
    whole3 += a * (3 * z2 - a) * weight;
  }
  const double factor = std::sqrt(2 * kPi);
  const double sum = k0 / z + k1 / (6 * z4) / std::sqrt(n) + (k2 / (72 * z6 * z) - whole2 / (36 * z2 * z)) / n +
                     (k3 / (6480 * z8 * z2) + whole3 / (216 * z6)) / (n * std::sqrt(n));
  return std::clamp(factor * sum, 0.0, 1.0);
}

// P(D >= h / n) for two samples of n each (Gnedenko and Korolyuk 1951): an alternating sum of ratios of binomials.
double EqualSizesP(int64_t n, int64_t h) {
  double ratio = 1;
  double sum = 0;
  double sign = 1;
  for (int64_t first = 0; first + h <= n; first += h) {
    for (int64_t j = first; j < first + h; j++) ratio *= static_cast<double>(n - j) / static_cast<double>(n + j + 1);
    sum += sign * ratio;
    if (ratio < 1e-20) break;
    sign = -sign;
  }
  return std::clamp(2 * sum, 0.0, 1.0);
}

// The share of lattice paths from (0, 0) to (m, n) that touch |i / m - j / n| >= h / lcm(m, n) (Hodges 1957): of the
// paths to a point inside, i / (i + j) come from the left and j / (i + j) from below.
double LatticeP(int64_t m, int64_t n, int64_t h) {
  const int64_t g = std::gcd(m, n);
  const int64_t across = m / g;
  const int64_t up = n / g;
  std::vector<double> outside(static_cast<size_t>(n) + 1, 1.0);
  for (int64_t i = 0; i <= m; i++) {
    // Inside is i * up - h < j * across < i * up + h.
    const int64_t lowest = i * up - h + 1;
    const int64_t from = lowest <= 0 ? 0 : (lowest + across - 1) / across;
    const int64_t to = std::min(n, (i * up + h - 1) / across);
    double below = 1;
    for (int64_t j = from; j <= to; j++) {
      double& here = outside[static_cast<size_t>(j)];
      if (i == 0 && j == 0) {
        here = 0;
      } else {
        here = (here * static_cast<double>(i) + below * static_cast<double>(j)) / static_cast<double>(i + j);
      }
      below = here;
    }
  }
  return std::clamp(outside[static_cast<size_t>(n)], 0.0, 1.0);
}

}  // namespace

double KolmogorovSf(int64_t count, double x) {
  const auto n = static_cast<double>(count);
  if (x >= 1) return 0;
  const double nx = n * x;
  if (x <= 0 || nx <= 0.5) return 1;
  if (nx <= 1) {  // n! ((2 nx - 1) / n)^n
    const double log_factorial = 0.5 * std::log(2 * kPi * n) - n + StirlingError(n);
    return 1 - std::clamp(std::exp(log_factorial + n * std::log(2 * nx - 1)), 0.0, 1.0);
  }
  if (nx >= n - 1) return 2 * std::pow(1 - x, n);
  if (x >= 0.5) return std::min(1.0, 2 * SmirnovSf(count, x));
  const double nxx = nx * x;
  if (count <= 140) return nxx <= 4 ? 1 - DurbinCdf(count, x) : std::min(1.0, 2 * SmirnovSf(count, x));
  if (nxx >= 370) return 0;
  if (nxx >= 2.2) return std::min(1.0, 2 * SmirnovSf(count, x));
  if (nxx < 0.03) return 1;  // the distribution function is below 1e-16
  if (count <= 100000 && nx * std::sqrt(x) <= 1.4) return 1 - DurbinCdf(count, x);
  return 1 - PelzGoodCdf(count, x);
}

double KolmogorovSmirnovP(int64_t n1, int64_t n2, double d) {
  const auto m = static_cast<double>(std::max(n1, n2));
  const auto n = static_cast<double>(std::min(n1, n2));
  const double effective = m * n / (m + n);
  constexpr double kExactUpTo = 10000;
  // Where p is below 1e-12 (Dvoretzky, Kiefer, Wolfowitz with Wei and Dudley's constant), the exact way would walk a
  // wide band for nothing.
  const bool negligible = std::numbers::e * std::exp(-2 * effective * d * d) < 1e-12;
  if (m <= kExactUpTo && !negligible) {
    const int64_t lcm = n1 / std::gcd(n1, n2) * n2;
    const auto h = static_cast<int64_t>(std::nearbyint(d * static_cast<double>(lcm)));
    if (h == 0) return 1;
    return n1 == n2 ? EqualSizesP(n1, h) : LatticeP(n1, n2, h);
  }
  return std::clamp(KolmogorovSf(static_cast<int64_t>(std::nearbyint(effective)), d), 0.0, 1.0);
}

}  // namespace quern::ml
