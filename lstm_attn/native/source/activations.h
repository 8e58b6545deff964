// Logistic sigmoid, tanh and powers of two of a vector, without division.
//
//     e^x = 2^n (1 + q),  n = round(x / ln 2),  q = e^(x - n ln 2) - 1, a polynomial
//     sigmoid(x) = 1 / (1 + e^-x),  tanh(x) = m / (m + 2) with m = e^2x - 1 = 2^n q + (2^n - 1)
//
// Error below 2e-7, and relative to the result below 2.5e-7 for |x| < 80; NaN stays NaN.
#pragma once

#include "vector.h"

namespace native {

// 1 / x for normal x > 0: an estimate from the exponent's bits, then three Newton steps. Its
// throughput is several times that of a division.
inline Vector reciprocal(Vector x) {
  Vector y = (Vector)(0x7EF311C3 - (Integers)x);
  y = y + y * (1.0f - x * y);
  y = y + y * (1.0f - x * y);
  return y + y * (1.0f - x * y);
}

// The comparisons are false for NaN, so NaN is kept.
inline Vector clamp(Vector x, float bound) {
  const Vector low = broadcast(-bound), high = broadcast(bound);
  x = x < low ? low : x;
  return x > high ? high : x;
}

// e^x = scale + scale * rest, |x| <= 87.
struct Exponential {
  Vector scale, rest;
};

inline Exponential exponential(Vector x) {
  // Adding 1.5 * 2^23 leaves the rounded n in the lowest bits of the mantissa.
  const float rounding = 12582912.0f;
  const Vector shifted = x * 1.44269504f + rounding;
  const Vector r = x - (shifted - rounding) * 0.693147182f;
  const Vector scale = (Vector)(((Integers)shifted << 23) + 0x3F800000);
  Vector q = r * 0.00138888729f + 0.00836928282f;
  q = q * r + 0.0416671410f;
  q = q * r + 0.166665047f;
  q = q * r + 0.499999970f;
  q = q * r + 1.0f;
  return {scale, q * r};
}

// 2^(x factor) for x <= 0 and some factor > 0; zero where x factor < -126.5, x = -inf included; NaN
// stays NaN. Relative error below 2e-7.
class PowerOfTwo {
 public:
  explicit PowerOfTwo(float factor)
      : factor_(broadcast(factor)), lowest_(broadcast(-127.0f / factor)) {}

  Vector operator()(Vector x) const {
    x = x < lowest_ ? lowest_ : x;
    // As above, but the lowest bits hold n + 127, the exponent of 2^n, which is zero for n = -127.
    const float rounding = 12582912.0f + 127.0f;
    const Vector shifted = x * factor_ + rounding;
    const Vector r = x * factor_ - (shifted - rounding);
    Vector p = r * 0.00132647273f + 0.00967151299f;
    p = p * r + 0.0555073358f;
    p = p * r + 0.240222424f;
    p = p * r + 0.693147004f;
    p = p * r + 1.0f;
    return p * (Vector)((Integers)shifted << 23);
  }

 private:
  const Vector factor_, lowest_;
};

inline Vector sigmoid(Vector x) {
  const Exponential e = exponential(clamp(-x, 80.0f));
  return reciprocal((e.scale + 1.0f) + e.scale * e.rest);
}

inline Vector tanh(Vector x) {
  const Exponential e = exponential(clamp(x + x, 20.0f));
  const Vector m = e.scale * e.rest + (e.scale - 1.0f);
  return m * reciprocal(m + 2.0f);
}

}  // namespace native
