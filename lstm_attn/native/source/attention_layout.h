// Sizes of an attention, what a query may attend to, and the split of the work into blocks.
//
// A block has up to `block_vectors` vectors of queries of one head. Its logits are kept transposed,
// [keys, queries], so that a lane is a query: the greatest logit and the sum of a softmax go over
// registers and not over lanes, and no size of a head leaves lanes empty.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "vector.h"

namespace native {

// With 3 vectors, sums and operands of a tile of 4 rows fit in 16 registers.
inline constexpr int block_vectors = tile_rows >= 6 ? 4 : 3;
inline constexpr std::size_t block_lanes = std::size_t{block_vectors} * lanes;
inline constexpr std::size_t most_keys = 60;  // of a chunk: whole tiles of 3 and 6 rows

struct AttentionSizes {
  std::size_t batch, queries, heads, features, keys, groups;  // B, T, N, K, S, M

  std::size_t shared() const { return heads / groups; }  // query heads of one key head
  std::size_t padded() const { return vectors_for(features) * lanes; }
  std::size_t query_stride() const { return heads * features; }
  std::size_t key_stride() const { return groups * features; }
  bool may_pack() const { return keys * key_stride() >= std::size_t{1} << 17; }  // see key_rows
  std::size_t packed_keys() const { return may_pack() ? keys * padded() : 0; }
};

struct AttentionProblem {
  AttentionSizes sizes;
  float scale;
  std::ptrdiff_t left, right;       // t attends to t - left <= s <= t + right
  const std::int32_t* lengths;      // of queries and keys, [B, 2], or null
  const float *query, *key, *value;  // [B, T, N, K], [B, S, M, K], [B, S, M, K]

  // The logits are powers of two, 2^(base * l), of l = q . k with q multiplied by query_factor. Where
  // it is possible the scale is in the base, and equal products are equal logits, however large.
  bool scale_in_base() const { return std::abs(scale) > 1e-30f; }
  float base() const { return (scale_in_base() ? std::abs(scale) : 1.0f) * 1.44269504f; }
  float query_factor() const { return scale_in_base() ? std::copysign(1.0f, scale) : scale; }

  std::size_t query_length(std::size_t b) const { return length(b, 0, sizes.queries); }
  std::size_t key_length(std::size_t b) const { return length(b, 1, sizes.keys); }

  std::size_t query_offset(std::size_t b, std::size_t t, std::size_t head) const {
    return ((b * sizes.queries + t) * sizes.heads + head) * sizes.features;
  }
  std::size_t key_offset(std::size_t b, std::size_t s, std::size_t group) const {
    return ((b * sizes.keys + s) * sizes.groups + group) * sizes.features;
  }

 private:
  std::size_t length(std::size_t b, std::size_t which, std::size_t size) const {
    if (!lengths) return size;
    const std::int32_t given = lengths[2 * b + which];
    return given < 0 ? 0 : std::min(size, static_cast<std::size_t>(given));
  }
};

// Queries [first, last) of one head.
struct QueryBlock {
  std::size_t first, last;

  std::size_t queries() const { return last - first; }
  int vectors() const { return static_cast<int>(vectors_for(queries())); }
};

inline std::size_t blocks_of(std::size_t queries) {
  return (vectors_for(queries) + block_vectors - 1) / block_vectors;
}

// Block `index` of `blocks_of(queries)`, which have nearly equal numbers of vectors.
inline QueryBlock block_of(std::size_t queries, std::size_t index) {
  const std::size_t vectors = vectors_for(queries), blocks = blocks_of(queries);
  return {vectors * index / blocks * lanes,
          std::min(queries, vectors * (index + 1) / blocks * lanes)};
}

// The keys [first, last) that queries [first_query, last_query) may attend to.
struct KeyRange {
  std::size_t first, last;

  KeyRange(const AttentionProblem& problem, std::size_t first_query, std::size_t last_query,
           std::size_t key_length) {
    const auto start = static_cast<std::ptrdiff_t>(first_query) - problem.left;
    const auto stop = static_cast<std::ptrdiff_t>(last_query) + problem.right;
    last = std::min(key_length, static_cast<std::size_t>(stop));
    first = std::min(last, static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, start)));
  }
};

// Some keys, and those queries of a block that attend to some of them.
struct Chunk {
  std::size_t first_key, last_key;
  std::size_t first_query;  // the first of the first vector
  bool is_cut;              // some of its queries may not attend to some of its keys

  std::size_t keys() const { return last_key - first_key; }
};

// Calls body.template operator()<vectors>(chunk) for the chunks of a block, in the order of the
// keys. Each chunk has the last `vectors` vectors of the block: where keys come after the queries
// of a vector, that vector is left out.
template <class Body>
void for_chunks(const AttentionProblem& problem, const QueryBlock& block, std::size_t key_length,
                const Body& body) {
  using Signed = std::ptrdiff_t;
  const Signed last = static_cast<Signed>(block.last) - 1;
  const KeyRange range(problem, block.first, block.last, key_length);
  Signed key = static_cast<Signed>(range.first);
  const Signed end = static_cast<Signed>(range.last);
  Signed first = static_cast<Signed>(block.first);
  for (int vectors = block.vectors(); vectors >= 1; --vectors, first += lanes) {
    // The vectors from `first` on: up to the last key of the first of them.
    const Signed stop = vectors == 1 ? end : std::min<Signed>(end, first + lanes + problem.right);
    if (stop <= key) continue;
    const Signed count = stop - key, chunks = (count + most_keys - 1) / Signed{most_keys};
    const Signed even = (count + chunks - 1) / chunks;
    const Signed size = (even + tile_rows - 1) / tile_rows * tile_rows;
    for (; key < stop; key += size) {
      const Signed next = std::min(stop, key + size);
      const Chunk chunk{static_cast<std::size_t>(key), static_cast<std::size_t>(next),
                        static_cast<std::size_t>(first),
                        next - 1 > first + problem.right || key < last - problem.left};
      if constexpr (block_vectors >= 4) {
        if (vectors == 4) body.template operator()<4>(chunk);
      }
      if (vectors == 3) body.template operator()<3>(chunk);
      if (vectors == 2) body.template operator()<2>(chunk);
      if (vectors == 1) body.template operator()<1>(chunk);
    }
    key = stop;
  }
}

}  // namespace native
