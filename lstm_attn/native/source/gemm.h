// The inner loop of a matrix product: a tile of sums in registers.
//
// One operand is packed, so that the vectors of a tile at one depth are side by side; the other is
// read element by element with any two strides, so it can be transposed. The caller chooses the
// order of tiles, since it knows which operand stays in which cache.
#pragma once

#include <algorithm>
#include <cstddef>

#include "vector.h"

namespace native {

template <int rows, int vectors>
struct Tile {
  Vector sums[rows][vectors];

  // Sets every row to the same vectors: a bias.
  __attribute__((always_inline)) void set_rows(const float* from) {
#pragma GCC unroll 12
    for (int v = 0; v < vectors; ++v) {
      const Vector value = native::load(from + v * lanes);
#pragma GCC unroll 12
      for (int r = 0; r < rows; ++r) sums[r][v] = value;
    }
  }

  __attribute__((always_inline)) void set_zero() {
#pragma GCC unroll 12
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 12
      for (int v = 0; v < vectors; ++v) sums[r][v] = Vector{};
    }
  }

  __attribute__((always_inline)) void load(const float* from, std::size_t stride) {
#pragma GCC unroll 12
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 12
      for (int v = 0; v < vectors; ++v) sums[r][v] = native::load(from + r * stride + v * lanes);
    }
  }

  __attribute__((always_inline)) void store(float* to, std::size_t stride) const {
#pragma GCC unroll 12
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 12
      for (int v = 0; v < vectors; ++v) native::store(to + r * stride + v * lanes, sums[r][v]);
    }
  }

  // sums[r] += sum over k < depth of left[r * row_stride + k * depth_stride] * right[k], where
  // right[k] are `vectors` vectors at right + k * right_stride.
  __attribute__((always_inline)) void add_product(const float* left, std::size_t row_stride,
                                                  std::size_t depth_stride, const float* right,
                                                  std::size_t depth,
                                                  std::size_t right_stride = vectors * lanes) {
    for (std::size_t k = 0; k < depth; ++k) {
      Vector packed[vectors];
#pragma GCC unroll 12
      for (int v = 0; v < vectors; ++v) packed[v] = native::load(right + v * lanes);
#pragma GCC unroll 12
      for (int r = 0; r < rows; ++r) {
        const Vector element = broadcast(left[r * row_stride]);
#pragma GCC unroll 12
        for (int v = 0; v < vectors; ++v) sums[r][v] += element * packed[v];
      }
      left += depth_stride;
      right += right_stride;
    }
  }
};

// Rows of a tile with that many vectors, whose sums fill the registers.
template <int vectors>
inline constexpr int rows_with = vectors >= 4 ? tile_rows : std::min(12, 4 * tile_rows / vectors);

// Calls body.template operator()<rows>(first) for blocks of at most `most` rows. Up to 6 they are of
// nearly equal size, since a block of a single row would wait for its own sums.
template <int most = tile_rows, class Body>
__attribute__((always_inline)) inline void for_row_blocks(std::size_t count, const Body& body) {
  static_assert(most <= 12);
  std::size_t first = 0;
  if constexpr (most > 6) {
    for (; count - first >= most; first += most) body.template operator()<most>(first);
  }
  constexpr int size = std::min(most, 6);
  std::size_t blocks = (count - first + size - 1) / size;
  for (; first < count; --blocks) {
    const std::size_t rows = (count - first + blocks - 1) / blocks;
    if constexpr (size >= 6) {
      if (rows == 6) body.template operator()<6>(first);
    }
    if constexpr (size >= 5) {
      if (rows == 5) body.template operator()<5>(first);
    }
    if constexpr (size >= 4) {
      if (rows == 4) body.template operator()<4>(first);
    }
    if (rows == 3) body.template operator()<3>(first);
    if (rows == 2) body.template operator()<2>(first);
    if (rows == 1) body.template operator()<1>(first);
    first += rows;
  }
}

}  // namespace native
