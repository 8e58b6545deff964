// The forward pass of an attention.
//
//     l_ts = q_t . k_s;   out_t = sum_s e^(scale (l_ts - m_t)) v_s / z_t
//
// chunk by chunk of keys, with the greatest l, m_t, and the sum z_t so far (Dao et al. 2022).
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>

#include "attention_tiles.h"
#include "tasks.h"
#include "workspace.h"

namespace native {

// How many parts the blocks of a head are split into: by the sizes alone, so that no result depends
// on the number of threads. Each part has sums of its own, and more parts than cores need cost time:
// with 8 heads, 4 parts of each took 16 % more than one.
inline std::size_t parts_of_a_head(std::size_t heads, std::size_t blocks) {
  const std::size_t enough = 8;
  return std::clamp<std::size_t>(enough / std::max<std::size_t>(heads, 1), 1,
                                 std::max<std::size_t>(blocks, 1));
}

// Threads of a call: one where the work is shorter than waking another.
inline std::size_t workers_of(const AttentionSizes& sizes, std::size_t threads) {
  const double products = double(sizes.batch) * sizes.heads * sizes.queries * sizes.keys *
                          std::max<std::size_t>(sizes.features, 1);
  return products < 3e5 ? 1 : threads;
}

struct AttentionForward {
  AttentionProblem problem;
  float* out;         // [B, T, N, K]
  float* statistics;  // m and z, [B, N, 2, T], or null

  template <class Pool>
  void run(Pool& pool, std::size_t threads) const {
    const AttentionSizes& sizes = problem.sizes;
    const std::size_t heads = sizes.batch * sizes.heads, blocks = blocks_of(sizes.queries);
    const std::size_t parts = parts_of_a_head(heads, blocks);
    const std::size_t workers = workers_of(sizes, threads);
    Workspace workspace(workers * Scratch::floats(sizes));
    std::vector<Scratch> scratch;
    for (std::size_t worker = 0; worker < workers; ++worker) {
      scratch.emplace_back(workspace, sizes);
    }
    run_tasks(pool, workers, heads * parts, [&](std::size_t worker, std::size_t task) {
      const std::size_t head = task / parts, part = task % parts;
      run_part(scratch[worker], head / sizes.heads, head % sizes.heads, part, parts);
    });
  }

 private:
  struct Scratch {
    Scratch(Workspace& workspace, const AttentionSizes& sizes)
        : queries(workspace.take(sizes.features * block_lanes)),
          weighted(workspace.take(sizes.features * block_lanes)),
          weights(workspace.take(most_keys * block_lanes)),
          factors(workspace.take(block_lanes)),
          largest(workspace.take(block_lanes)),
          total(workspace.take(block_lanes)),
          keys(workspace.take(sizes.packed_keys())),
          values(workspace.take(sizes.packed_keys())) {}

    static std::size_t floats(const AttentionSizes& sizes) {
      return (2 * sizes.features + most_keys + 3) * block_lanes +
             2 * Workspace::lines(sizes.packed_keys());
    }

    float *queries, *weighted;  // transposed, [K, block_lanes]
    float* weights;             // logits, then weights, [keys, vectors]
    float *factors, *largest, *total;  // [block_lanes]
    float *keys, *values;              // [S, padded]
  };

  void run_part(const Scratch& scratch, std::size_t b, std::size_t head, std::size_t part,
                std::size_t parts) const {
    const AttentionSizes& sizes = problem.sizes;
    const std::size_t length = problem.query_length(b), blocks = blocks_of(length);
    const std::size_t first = blocks * part / parts, last = blocks * (part + 1) / parts;
    if (first < last) {
      const KeyRange range(problem, block_of(length, first).first,
                           block_of(length, last - 1).last, problem.key_length(b));
      const KeyRows rows = key_rows(problem, b, head / sizes.shared(), range, last - first,
                                    scratch.keys, scratch.values);
      for (std::size_t i = first; i < last; ++i) {
        run_block(scratch, b, head, block_of(length, i), rows);
      }
    }
    if (part + 1 < parts) return;
    for (std::size_t t = length; t < sizes.queries; ++t) {
      std::fill_n(out + problem.query_offset(b, t, head), sizes.features, 0.0f);
    }
    if (statistics) {
      for (float* row : {statistics_of(b, head), statistics_of(b, head) + sizes.queries}) {
        std::fill(row + length, row + sizes.queries, 0.0f);
      }
    }
  }

  float* statistics_of(std::size_t b, std::size_t head) const {
    return statistics + (b * problem.sizes.heads + head) * 2 * problem.sizes.queries;
  }

  void run_block(const Scratch& scratch, std::size_t b, std::size_t head, const QueryBlock& block,
                 const KeyRows& rows) const {
    const AttentionSizes& sizes = problem.sizes;
    const std::size_t stride = sizes.query_stride();
    const std::size_t first = problem.query_offset(b, block.first, head);
    std::fill_n(scratch.factors, block_lanes, problem.query_factor());
    std::fill_n(scratch.largest, block_lanes, std::numeric_limits<float>::lowest());
    std::fill_n(scratch.total, block_lanes, 0.0f);
    std::fill_n(scratch.weighted, sizes.features * block_lanes, 0.0f);
    pack_transposed(problem.query + first, stride, block.queries(), sizes.features,
                    scratch.factors, scratch.queries);
    for_chunks(problem, block, problem.key_length(b), [&]<int vectors>(const Chunk& chunk) {
      run_chunk<vectors>(scratch, chunk, chunk.first_query - block.first, rows);
    });
    for (std::size_t lane = 0; lane < block_lanes; ++lane) {
      const float total = scratch.total[lane];
      scratch.factors[lane] = total == 0.0f ? 0.0f : 1.0f / total;
    }
    unpack_transposed(scratch.weighted, sizes.features, scratch.factors, out + first, stride,
                      block.queries());
    if (!statistics) return;
    float* const kept = statistics_of(b, head) + block.first;
    for (std::size_t t = 0; t < block.queries(); ++t) {
      kept[t] = scratch.total[t] == 0.0f ? 0.0f : scratch.largest[t];
      kept[sizes.queries + t] = scratch.total[t];
    }
  }

  // `offset` is that of the chunk's first query in the block.
  template <int vectors>
  void run_chunk(const Scratch& scratch, const Chunk& chunk, std::size_t offset,
                 const KeyRows& rows) const {
    const std::size_t stride = rows.stride, features = problem.sizes.features;
    constexpr std::size_t row = vectors * lanes;
    const PowerOfTwo power_of_two(problem.base());
    Vector before[vectors], largest[vectors], kept[vectors], total[vectors];
    for (int v = 0; v < vectors; ++v) {
      before[v] = largest[v] = load(scratch.largest + offset + v * lanes);
    }
    keys_by_queries<vectors>(
        rows.keys + chunk.first_key * stride, stride, features, scratch.queries + offset, chunk.keys(),
        [](auto& tile) __attribute__((always_inline)) { tile.set_zero(); },
        [&](auto& tile, std::size_t first) __attribute__((always_inline)) {
          if (chunk.is_cut) cut(problem, chunk, tile, first);
          tile.store(scratch.weights + first * row, row);
          for (const auto& sums : tile.sums) {
            for (int v = 0; v < vectors; ++v) {
              largest[v] = sums[v] > largest[v] ? sums[v] : largest[v];
            }
          }
        });
    for (int v = 0; v < vectors; ++v) {
      kept[v] = power_of_two(before[v] - largest[v]);
      total[v] = kept[v] * load(scratch.total + offset + v * lanes);
    }
    for (std::size_t s = 0; s < chunk.keys(); ++s) {
      float* const weights = scratch.weights + s * row;
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) {
        const Vector weight = power_of_two(load(weights + v * lanes) - largest[v]);
        total[v] += weight;
        store(weights + v * lanes, weight);
      }
    }
    for (int v = 0; v < vectors; ++v) {
      store(scratch.largest + offset + v * lanes, largest[v]);
      store(scratch.total + offset + v * lanes, total[v]);
    }
    add_features_by_queries<vectors>(rows.values + chunk.first_key * stride, stride, features,
                                     scratch.weights, chunk.keys(), kept,
                                     scratch.weighted + offset);
  }
};

}  // namespace native
