// The products of an attention, by chunks of keys and blocks of queries, and their packed operands.
#pragma once

#include <cstddef>
#include <limits>
#include <utility>

#include "activations.h"
#include "attention_layout.h"
#include "gemm.h"

namespace native {

template <int half, bool upper, int... lane>
__attribute__((always_inline)) inline Vector exchanged(Vector a, Vector b,
                                                       std::integer_sequence<int, lane...>) {
  if constexpr (upper) {
    return __builtin_shufflevector(a, b, ((lane & half) ? lanes + lane : lane + half)...);
  } else {
    return __builtin_shufflevector(a, b, ((lane & half) ? lanes + lane - half : lane)...);
  }
}

// Transposes a square: bit by bit, the number of the row and that of the lane are exchanged.
template <int half = 1>
__attribute__((always_inline)) inline void transpose(Vector (&rows)[lanes]) {
  if constexpr (half < lanes) {
#pragma GCC unroll 16
    for (int row = 0; row < lanes; ++row) {
      if (row & half) continue;
      const Vector a = rows[row], b = rows[row + half];
      const auto all = std::make_integer_sequence<int, lanes>{};
      rows[row] = exchanged<half, false>(a, b, all);
      rows[row + half] = exchanged<half, true>(a, b, all);
    }
    transpose<2 * half>(rows);
  }
}

// Rows [count, features] at a distance of `stride`, transposed into [features, block_lanes], times a
// factor of each row (`block_lanes` of them); zeros up to whole vectors of rows.
inline void pack_transposed(const float* from, std::size_t stride, std::size_t count,
                            std::size_t features, const float* factors, float* to) {
  for (std::size_t v = 0; v < vectors_for(count); ++v) {
    const Vector factor = load(factors + v * lanes);
    for (std::size_t k = 0; k < features; k += lanes) {
      const std::size_t inside = std::min<std::size_t>(lanes, features - k);
      Vector rows[lanes];
#pragma GCC unroll 16
      for (int r = 0; r < lanes; ++r) {
        const std::size_t row = v * lanes + r;
        rows[r] = row < count ? load_first(from + row * stride + k, inside) : Vector{};
      }
      transpose(rows);
      for (std::size_t r = 0; r < inside; ++r) {
        store(to + (k + r) * block_lanes + v * lanes, rows[r] * factor);
      }
    }
  }
}

// The inverse: [features, block_lanes], times the factors, into rows.
inline void unpack_transposed(const float* from, std::size_t features, const float* factors,
                              float* to, std::size_t stride, std::size_t count) {
  for (std::size_t v = 0; v < vectors_for(count); ++v) {
    const Vector factor = load(factors + v * lanes);
    for (std::size_t k = 0; k < features; k += lanes) {
      const std::size_t inside = std::min<std::size_t>(lanes, features - k);
      Vector rows[lanes] = {};
      for (std::size_t r = 0; r < inside; ++r) {
        rows[r] = load(from + (k + r) * block_lanes + v * lanes) * factor;
      }
      transpose(rows);
#pragma GCC unroll 16
      for (int r = 0; r < lanes; ++r) {
        const std::size_t row = v * lanes + r;
        if (row < count) store_first(to + row * stride + k, rows[r], inside);
      }
    }
  }
}

// Rows [count, features], times a factor of each row or of all, into [count, padded].
inline void pack_rows(const float* from, std::size_t stride, std::size_t count,
                      std::size_t features, const float* factors, float* to) {
  const std::size_t vectors = vectors_for(features);
  for (std::size_t row = 0; row < count; ++row) {
    const float factor = factors ? factors[row] : 1.0f;
    for (std::size_t v = 0; v < vectors; ++v, to += lanes) {
      store(to, factor * load_first(from + row * stride + v * lanes, lanes_inside(v, features)));
    }
  }
}

// The keys and values of a key head: row s at `keys` + s * stride.
struct KeyRows {
  const float *keys, *values;
  std::size_t stride;
};

// The rows in their arrays, or a copy of the range where that pays: where an array's rows span
// 512 KiB, those of one head share few sets of the caches and many pages.
inline KeyRows key_rows(const AttentionProblem& problem, std::size_t b, std::size_t group,
                        const KeyRange& range, std::size_t blocks, float* keys, float* values) {
  const AttentionSizes& sizes = problem.sizes;
  const std::size_t stride = sizes.key_stride(), first = problem.key_offset(b, 0, group);
  if (!sizes.may_pack() || blocks < 8) return {problem.key + first, problem.value + first, stride};
  const std::size_t from = problem.key_offset(b, range.first, group);
  const std::size_t to = range.first * sizes.padded(), count = range.last - range.first;
  pack_rows(problem.key + from, stride, count, sizes.features, nullptr, keys + to);
  pack_rows(problem.value + from, stride, count, sizes.features, nullptr, values + to);
  return {keys, values, sizes.padded()};
}

// left [keys, features] times a block of packed queries [features, block_lanes]: calls
// finish(tile, first key) for each tile of the result; start(tile) sets its sums before.
template <int vectors, class Start, class Finish>
void keys_by_queries(const float* left, std::size_t stride, std::size_t features,
                     const float* queries, std::size_t keys, const Start& start,
                     const Finish& finish) {
  for_row_blocks<rows_with<vectors>>(keys, [&]<int rows>(std::size_t first) {
    Tile<rows, vectors> tile;
    start(tile);
    tile.add_product(left + first * stride, stride, 1, queries, features, block_lanes);
    finish(tile, first);
  });
}

// to [features, block_lanes] * kept + left^T [features, keys] times right [keys, vectors].
template <int vectors>
void add_features_by_queries(const float* left, std::size_t stride, std::size_t features,
                             const float* right, std::size_t keys, const Vector* kept, float* to) {
  for_row_blocks<rows_with<vectors>>(features, [&]<int rows>(std::size_t first) {
    Tile<rows, vectors> tile;
    tile.load(to + first * block_lanes, block_lanes);
    if (kept) {
#pragma GCC unroll 12
      for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 12
        for (int v = 0; v < vectors; ++v) tile.sums[r][v] *= kept[v];
      }
    }
    tile.add_product(left + first, 1, stride, right, keys);
    tile.store(to + first * block_lanes, block_lanes);
  });
}

// to [keys, padded] += left [keys, queries] times right [queries, padded].
template <int columns>
void add_keys_by_features(const float* left, std::size_t left_stride, std::size_t keys,
                          const float* right, std::size_t queries, std::size_t padded, float* to) {
  for_row_blocks<rows_with<columns>>(keys, [&]<int rows>(std::size_t first) {
    Tile<rows, columns> tile;
    tile.load(to + first * padded, padded);
    tile.add_product(left + first * left_stride, left_stride, 1, right, queries, padded);
    tile.store(to + first * padded, padded);
  });
}

// The same by groups of at most `block_vectors` columns of vectors, of nearly equal size.
inline void add_keys_by_features(const float* left, std::size_t left_stride, std::size_t keys,
                                 const float* right, std::size_t queries, std::size_t padded,
                                 float* to) {
  const std::size_t vectors = padded / lanes;
  const std::size_t groups = (vectors + block_vectors - 1) / block_vectors;
  for (std::size_t group = 0; group < groups; ++group) {
    const std::size_t first = vectors * group / groups;
    const std::size_t columns = vectors * (group + 1) / groups - first;
    const auto add = [&]<int count>() {
      add_keys_by_features<count>(left, left_stride, keys, right + first * lanes, queries, padded,
                                  to + first * lanes);
    };
    if constexpr (block_vectors >= 4) {
      if (columns == 4) add.template operator()<4>();
    }
    if (columns == 3) add.template operator()<3>();
    if (columns == 2) add.template operator()<2>();
    if (columns == 1) add.template operator()<1>();
  }
}

// -inf where a query may not attend. `first` is the tile's first key.
template <int rows, int vectors>
__attribute__((always_inline)) inline void cut(const AttentionProblem& problem, const Chunk& chunk,
                                               Tile<rows, vectors>& tile, std::size_t first) {
  const Vector hidden = broadcast(-std::numeric_limits<float>::infinity());
  // The distance from the query to the key, s - t.
  const auto start = static_cast<std::int32_t>(chunk.first_key + first - chunk.first_query);
  const auto left = static_cast<std::int32_t>(problem.left);
  const auto right = static_cast<std::int32_t>(problem.right);
#pragma GCC unroll 12
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 12
    for (int v = 0; v < vectors; ++v) {
      const Integers distance = (start + r - v * lanes) - lane_numbers();
      Vector& sum = tile.sums[r][v];
      sum = distance > right ? hidden : sum;
      sum = distance < -left ? hidden : sum;
    }
  }
}

}  // namespace native
