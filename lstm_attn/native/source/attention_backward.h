// The backward pass of an attention, chunk by chunk of keys, with the weights recomputed.
//
//     p_ts = e^(scale (l_ts - m_t)) / z_t;   D_t = d_out_t . out_t;   dl_ts = p_ts (d_out_t . v_s - D_t)
//     dq_t = scale sum_s dl_ts k_s;   dk_s = scale sum_t dl_ts q_t;   dv_s = sum_t p_ts d_out_t
//
// Instead of the weights, d_out and D are divided by z.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "attention_forward.h"

namespace native {

struct AttentionBackward {
  AttentionProblem problem;
  const float *out, *statistics, *d_out;  // of the forward pass; the gradient of out
  float *d_query, *d_key, *d_value;

  template <class Pool>
  void run(Pool& pool, std::size_t threads) const {
    const AttentionSizes& sizes = problem.sizes;
    const std::size_t groups = sizes.batch * sizes.groups;
    const std::size_t parts = parts_of_a_head(groups, sizes.shared() * blocks_of(sizes.queries));
    const std::size_t workers = workers_of(sizes, threads);
    // Each task sums the gradients of its keys and values; those of a group's parts are added up.
    const std::size_t sums = Workspace::lines(2 * sizes.keys * sizes.padded());
    const std::size_t tasks = groups * parts;
    Workspace workspace(workers * Scratch::floats(sizes) + (parts > 1 ? tasks : workers) * sums);
    std::vector<Scratch> scratch;
    for (std::size_t worker = 0; worker < workers; ++worker) {
      scratch.emplace_back(workspace, sizes);
    }
    float* const all = workspace.take((parts > 1 ? tasks : workers) * sums);
    run_tasks(pool, workers, tasks, [&](std::size_t worker, std::size_t task) {
      const std::size_t group = task / parts, part = task % parts;
      float* const own = all + (parts > 1 ? task : worker) * sums;
      run_part(scratch[worker], group / sizes.groups, group % sizes.groups, part, parts, own);
      if (parts == 1) unpack(group, own, 1, sums);
    });
    if (parts == 1) return;
    run_tasks(pool, workers, groups, [&](std::size_t, std::size_t group) {
      unpack(group, all + group * parts * sums, parts, sums);
    });
  }

 private:
  struct Scratch {
    Scratch(Workspace& workspace, const AttentionSizes& sizes)
        : queries(workspace.take(sizes.features * block_lanes)),
          d_outs(workspace.take(sizes.features * block_lanes)),
          d_queries(workspace.take(sizes.features * block_lanes)),
          query_rows(workspace.take(sizes.padded() * block_lanes)),
          d_out_rows(workspace.take(sizes.padded() * block_lanes)),
          weights(workspace.take(most_keys * block_lanes)),
          d_logits(workspace.take(most_keys * block_lanes)),
          factors(workspace.take(block_lanes)),
          largest(workspace.take(block_lanes)),
          inverse(workspace.take(block_lanes)),
          minus_d(workspace.take(block_lanes)),
          keys(workspace.take(sizes.packed_keys())),
          values(workspace.take(sizes.packed_keys())) {}

    static std::size_t floats(const AttentionSizes& sizes) {
      return (3 * sizes.features + 2 * sizes.padded() + 2 * most_keys + 4) * block_lanes +
             2 * Workspace::lines(sizes.packed_keys());
    }

    float *queries, *d_outs, *d_queries;  // transposed, [K, block_lanes]
    float *query_rows, *d_out_rows;       // [block_lanes, padded]
    float *weights, *d_logits;            // z p and dl, [keys, vectors]
    float *factors, *largest, *inverse, *minus_d;  // m, 1 / z and -D / z, [block_lanes]
    float *keys, *values;                          // [S, padded]
  };

  // The blocks of all query heads of a key head, of which the part takes its share.
  void run_part(const Scratch& scratch, std::size_t b, std::size_t group, std::size_t part,
                std::size_t parts, float* sums) const {
    const AttentionSizes& sizes = problem.sizes;
    const std::size_t length = problem.query_length(b), blocks = blocks_of(length);
    const std::size_t all = sizes.shared() * blocks;
    for (float* of : {sums, sums + sizes.keys * sizes.padded()}) {
      std::fill_n(of, problem.key_length(b) * sizes.padded(), 0.0f);
    }
    const std::size_t first = all * part / parts, last = all * (part + 1) / parts;
    if (first < last) {
      const bool one_head = first / blocks == (last - 1) / blocks;
      const KeyRange range(problem, one_head ? block_of(length, first % blocks).first : 0,
                           one_head ? block_of(length, (last - 1) % blocks).last : length,
                           problem.key_length(b));
      const KeyRows rows = key_rows(problem, b, group, range, last - first, scratch.keys,
                                    scratch.values);
      for (std::size_t i = first; i < last; ++i) {
        run_block(scratch, b, group * sizes.shared() + i / blocks, block_of(length, i % blocks),
                  rows, sums);
      }
    }
    if (part + 1 < parts) return;
    for (std::size_t n = 0; n < sizes.shared(); ++n) {
      for (std::size_t t = length; t < sizes.queries; ++t) {
        float* const row = d_query + problem.query_offset(b, t, group * sizes.shared() + n);
        std::fill_n(row, sizes.features, 0.0f);
      }
    }
  }

  void run_block(const Scratch& scratch, std::size_t b, std::size_t head, const QueryBlock& block,
                 const KeyRows& rows, float* sums) const {
    const AttentionSizes& sizes = problem.sizes;
    const std::size_t features = sizes.features, stride = sizes.query_stride();
    const std::size_t first = problem.query_offset(b, block.first, head), count = block.queries();
    const float* const kept = statistics + (b * sizes.heads + head) * 2 * sizes.queries;
    std::fill_n(scratch.factors, block_lanes, problem.query_factor());
    pack_transposed(problem.query + first, stride, count, features, scratch.factors,
                    scratch.queries);
    for (std::size_t lane = 0; lane < block_lanes; ++lane) {
      const bool inside = lane < count;
      const float total = inside ? kept[sizes.queries + block.first + lane] : 0.0f;
      scratch.largest[lane] = inside ? kept[block.first + lane] : 0.0f;
      scratch.inverse[lane] = total == 0.0f ? 0.0f : 1.0f / total;
    }
    minus_products(out + first, d_out + first, count, scratch);
    pack_transposed(d_out + first, stride, count, features, scratch.inverse, scratch.d_outs);
    pack_rows(problem.query + first, stride, count, features, nullptr, scratch.query_rows);
    pack_rows(d_out + first, stride, count, features, scratch.inverse, scratch.d_out_rows);
    std::fill_n(scratch.d_queries, features * block_lanes, 0.0f);
    for_chunks(problem, block, problem.key_length(b), [&]<int vectors>(const Chunk& chunk) {
      run_chunk<vectors>(scratch, chunk, block, rows, sums, sums + sizes.keys * sizes.padded());
    });
    std::fill_n(scratch.factors, block_lanes, problem.scale);
    unpack_transposed(scratch.d_queries, features, scratch.factors, d_query + first, stride, count);
  }

  // -d_out . out / z of each query, zeros beyond them.
  void minus_products(const float* outs, const float* d_outs, std::size_t count,
                      const Scratch& scratch) const {
    const std::size_t features = problem.sizes.features, stride = problem.sizes.query_stride();
    for (std::size_t v = 0; v < block_vectors; ++v) {
      Vector rows[lanes] = {};
      for (std::size_t r = 0; r < lanes && v * lanes + r < count; ++r) {
        const std::size_t row = (v * lanes + r) * stride;
        for (std::size_t k = 0; k < features; k += lanes) {
          const std::size_t inside = std::min<std::size_t>(lanes, features - k);
          rows[r] += load_first(outs + row + k, inside) * load_first(d_outs + row + k, inside);
        }
      }
      transpose(rows);
      Vector sum = rows[0];
#pragma GCC unroll 16
      for (int r = 1; r < lanes; ++r) sum += rows[r];
      store(scratch.minus_d + v * lanes, -sum * load(scratch.inverse + v * lanes));
    }
  }

  template <int vectors>
  void run_chunk(const Scratch& scratch, const Chunk& chunk, const QueryBlock& block,
                 const KeyRows& rows, float* d_keys, float* d_values) const {
    const std::size_t features = problem.sizes.features, padded = problem.sizes.padded();
    const std::size_t keys = chunk.keys();
    const std::size_t offset = chunk.first_query - block.first;
    const std::size_t queries = block.last - chunk.first_query;
    constexpr std::size_t row = vectors * lanes;
    const float* const key = rows.keys + chunk.first_key * rows.stride;
    const float* const value = rows.values + chunk.first_key * rows.stride;
    keys_by_queries<vectors>(
        key, rows.stride, features, scratch.queries + offset, keys,
        [](auto& tile) __attribute__((always_inline)) { tile.set_zero(); },
        [&](auto& tile, std::size_t first) __attribute__((always_inline)) {
          if (chunk.is_cut) cut(problem, chunk, tile, first);
          tile.store(scratch.weights + first * row, row);
        });
    const PowerOfTwo power_of_two(problem.base());
    Vector largest[vectors];
    for (int v = 0; v < vectors; ++v) largest[v] = load(scratch.largest + offset + v * lanes);
    for (std::size_t s = 0; s < keys; ++s) {
      float* const weights = scratch.weights + s * row;
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) {
        store(weights + v * lanes, power_of_two(load(weights + v * lanes) - largest[v]));
      }
    }
    keys_by_queries<vectors>(
        value, rows.stride, features, scratch.d_outs + offset, keys,
        [&](auto& tile)
            __attribute__((always_inline)) { tile.set_rows(scratch.minus_d + offset); },
        [&](auto& tile, std::size_t first) __attribute__((always_inline)) {
          const float* weights = scratch.weights + first * row;
          for (auto& sums : tile.sums) {
            for (int v = 0; v < vectors; ++v, weights += lanes) sums[v] *= load(weights);
          }
          tile.store(scratch.d_logits + first * row, row);
        });
    add_features_by_queries<vectors>(key, rows.stride, features, scratch.d_logits, keys, nullptr,
                                     scratch.d_queries + offset);
    add_keys_by_features(scratch.weights, row, keys, scratch.d_out_rows + offset * padded, queries,
                         padded, d_values + chunk.first_key * padded);
    add_keys_by_features(scratch.d_logits, row, keys, scratch.query_rows + offset * padded,
                         queries, padded, d_keys + chunk.first_key * padded);
  }

  // The gradients of a key head from the sums of its parts; zeros beyond its length.
  void unpack(std::size_t of_group, const float* sums, std::size_t parts,
              std::size_t part_stride) const {
    const AttentionSizes& sizes = problem.sizes;
    const std::size_t b = of_group / sizes.groups, group = of_group % sizes.groups;
    const std::size_t length = problem.key_length(b), padded = sizes.padded();
    for (std::size_t s = 0; s < sizes.keys; ++s) {
      const std::size_t to = problem.key_offset(b, s, group);
      for (std::size_t k = 0; k < padded; k += lanes) {
        Vector key{}, value{};
        for (std::size_t part = 0; s < length && part < parts; ++part) {
          const float* const from = sums + part * part_stride + s * padded + k;
          key += load(from);
          value += load(from + sizes.keys * padded);
        }
        const std::size_t inside = std::min<std::size_t>(lanes, sizes.features - k);
        store_first(d_key + to + k, problem.scale * key, inside);
        store_first(d_value + to + k, value, inside);
      }
    }
  }
};

}  // namespace native
