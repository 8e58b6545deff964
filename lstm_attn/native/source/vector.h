// A vector of floats as wide as the machine's registers, by the vector extensions of GCC and Clang
// instead of intrinsics, so that the same source works for AVX-512, AVX2 and NEON. The exceptions
// are loads and stores of a part of a vector, for which the extensions have no form.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

namespace native {

#if defined(__AVX512F__)
inline constexpr int lanes = 16;
#elif defined(__AVX__)
inline constexpr int lanes = 8;
#else
inline constexpr int lanes = 4;
#endif

// Rows of a tile: rows x 4 sums, 4 vectors of one operand and one of the other fill the registers.
#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int tile_rows = 6;
#else
inline constexpr int tile_rows = 3;
#endif

typedef float Vector __attribute__((vector_size(4 * lanes)));
typedef std::int32_t Integers __attribute__((vector_size(4 * lanes)));
typedef float UnalignedVector __attribute__((vector_size(4 * lanes), aligned(4), may_alias));

inline Vector load(const float* from) { return *reinterpret_cast<const UnalignedVector*>(from); }

inline void store(float* to, Vector value) { *reinterpret_cast<UnalignedVector*>(to) = value; }

// A number in all lanes. Not 0 + x, which differs from x for -0: it would cost an addition and a
// shuffle for each element of a product, where a load that repeats costs neither.
inline Vector broadcast(float x) { return x - Vector{}; }

// 0, 1, ... lanes - 1.
inline Integers lane_numbers() {
  return []<int... lane>(std::integer_sequence<int, lane...>) {
    return Integers{lane...};
  }(std::make_integer_sequence<int, lanes>{});
}

// The first `count` lanes from memory, zeros in the others.
inline Vector load_first(const float* from, std::size_t count) {
  if (count >= lanes) return load(from);
#if defined(__AVX512F__)
  return (Vector)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), from);
#elif defined(__AVX2__)
  return (Vector)_mm256_maskload_ps(from, (__m256i)(lane_numbers() < static_cast<int>(count)));
#else
  Vector value = {};
  for (std::size_t lane = 0; lane < count; ++lane) value[lane] = from[lane];
  return value;
#endif
}

inline void store_first(float* to, Vector value, std::size_t count) {
  if (count >= lanes) return store(to, value);
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1), (__m512)value);
#elif defined(__AVX2__)
  _mm256_maskstore_ps(to, (__m256i)(lane_numbers() < static_cast<int>(count)), (__m256)value);
#else
  for (std::size_t lane = 0; lane < count; ++lane) to[lane] = value[lane];
#endif
}

// How many of the `lanes` values of a vector lie inside a row of `size`.
inline std::size_t lanes_inside(std::size_t vector, std::size_t size) {
  const std::size_t first = vector * lanes;
  if (first >= size) return 0;
  return size - first < lanes ? size - first : lanes;
}

inline std::size_t vectors_for(std::size_t size) { return (size + lanes - 1) / lanes; }

}  // namespace native
