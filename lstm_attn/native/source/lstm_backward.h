// The gradients of the LSTM over a sequence, from the records of the forward pass.
//
//     dh = d_hs_t + dz_{t+1} U^T;  dc = f_{t+1} dc_{t+1} + dh o (1 - tanh(c)^2)
//     dz = dc g i (1 - i), dc c_{t-1} f (1 - f), dc i (1 - g^2), dh tanh(c) o (1 - o)
//     dW = sum_t x_t^T dz_t;  dU = sum_t h_{t-1}^T dz_t;  db = sum_t dz_t;  dx_t = dz_t W^T
//
// dz of a block of steps stays in the cache while the block is added to dW, dU and db.
#pragma once

#include <cstring>

#include "activations.h"
#include "gemm.h"
#include "lstm_layout.h"
#include "lstm_transposed.h"
#include "parallel.h"
#include "workspace.h"

namespace native {

struct LSTMBackward {
  LSTMSizes sizes;
  LSTMParameters parameters;
  const float *x, *h0, *c0, *hs, *records;  // hs and records as the forward pass left them
  const std::uint8_t* flags;                // [T, B] or null
  const float *d_hs, *d_h_last, *d_c_last;
  bool reverse;
  float *d_kernel, *d_recurrent_kernel, *d_bias, *d_h0, *d_c0;
  float* d_x;  // or null

  void run(std::size_t threads) const;

 private:
  struct Shared {
    float* transposed;  // [unit groups] x [W; U]^T as lstm_transposed.h packs it
    float* states[2];   // [unit groups, B, columns]: each group's part of dz [U^T, W^T]
    float* parameters;  // [row groups, panels, depth + 1, 4, lanes]: dW, dU, db
    float* d_cells;     // dc [panels, B, lanes]
    float* kept;        // dh of rows in the padding [panels, B, lanes]
  };
  // Of one thread, for the steps of a block.
  struct Block {
    std::size_t rows;  // of all steps that a block has room for
    float* dz;         // [panels of the share, rows, 4, lanes]
    float* left;       // [x, h, 1] by tiles of tile_rows values: [tiles, rows, tile_rows]
    float* line;       // [depth + 1], one row of it
  };
  // Steps are numbered in the order of the backward pass: step u is step T-1-u of the forward pass.
  std::size_t time(std::size_t step) const { return reverse ? step : sizes.steps - 1 - step; }
  std::uint8_t flags_at(std::size_t step, std::size_t row) const {
    return flags && step < sizes.steps ? flags[time(step) * sizes.batch + row] : 0;
  }
  // Whether the state before a step is the initial one.
  bool is_first(std::size_t step) const { return step + 1 == sizes.steps; }

  TransposedColumns columns() const { return {sizes, d_x != nullptr}; }
  // A vector of dz [U^T, W^T], summed over the parts of all unit groups.
  Vector group_sum(const float* part, const Partition& partition) const {
    const std::size_t stride = sizes.batch * columns().stride();
    Vector sum = load(part);
    for (std::size_t group = 1; group < partition.unit_groups; ++group) {
      sum += load(part + group * stride);
    }
    return sum;
  }
  void begin(const Share& share, const Shared& shared) const;
  Vector state_gradient(const Shared&, const Partition&, std::size_t step,
                        std::size_t panel, std::size_t row) const;
  void gates(const Share&, const Shared&, const Partition&, std::size_t step, std::size_t at,
             const Block& block) const;
  void gather_left(const Share& share, std::size_t step, std::size_t at, const Block& block) const;
  void add_parameters(const Share&, const Shared&, std::size_t rows, const Block& block) const;
  void input_gradient(const Share&, const Shared&, const Partition&, std::size_t step) const;
  void finish(const Share&, const Shared&, const Partition&) const;
};

inline void LSTMBackward::begin(const Share& share, const Shared& shared) const {
  const std::size_t stride = columns().stride();
  for (std::size_t row = share.first_row; row < share.last_row; ++row) {
    float* state = shared.states[0] + (share.unit_group * sizes.batch + row) * stride;
    std::memset(state, 0, stride * sizeof(float));
    for (std::size_t panel = share.first_panel; panel < share.last_panel; ++panel) {
      const std::size_t inside = lanes_inside(panel, sizes.features);
      const std::size_t from = row * sizes.features + panel * lanes;
      store(state + panel * lanes, load_first(d_h_last + from, inside));
      store(shared.d_cells + (panel * sizes.batch + row) * lanes,
            load_first(d_c_last + from, inside));
    }
  }
  const std::size_t part = share.row_group * sizes.panels() + share.first_panel;
  std::memset(shared.parameters + part * sizes.panel_floats(), 0,
              share.panels() * sizes.panel_floats() * sizeof(float));
}

// The gradient of h after `step`, without that of its output.
inline Vector LSTMBackward::state_gradient(const Shared& shared,
                                           const Partition& partition, std::size_t step,
                                           std::size_t panel, std::size_t row) const {
  const std::uint8_t later = step == 0 ? 0 : flags_at(step - 1, row);
  if (is_reset(later)) return Vector{};
  if (is_padding(later)) return load(shared.kept + (panel * sizes.batch + row) * lanes);
  return group_sum(shared.states[step % 2] + row * columns().stride() + panel * lanes, partition);
}

// dz of a step, into the rows of the block from `at` on, and dc before the step.
inline void LSTMBackward::gates(const Share& share, const Shared& shared,
                                const Partition& partition, std::size_t step, std::size_t at,
                                const Block& block) const {
  const std::size_t t = time(step), before = is_first(step) ? t : time(step + 1);
  for (std::size_t panel = share.first_panel; panel < share.last_panel; ++panel) {
    const std::size_t inside = lanes_inside(panel, sizes.features);
    float* dz = block.dz + ((panel - share.first_panel) * block.rows + at) * 4 * lanes;
    for (std::size_t row = share.first_row; row < share.last_row; ++row, dz += 4 * lanes) {
      const std::uint8_t now = flags_at(step, row);
      const std::size_t in_state = row * sizes.features + panel * lanes;
      const std::size_t in_cells = (panel * sizes.batch + row) * lanes;
      Vector dh = state_gradient(shared, partition, step, panel, row);
      if (is_padding(now)) {
        store(shared.kept + in_cells, dh);
        std::memset(dz, 0, 4 * lanes * sizeof(float));
        continue;
      }
      const float* record = records + record_offset(sizes, t, panel, row);
      // Prefetch the records of the next step, which the processor can't predict.
      const float* ahead = records + record_offset(sizes, before, panel, row);
      for (int v = 0; v < 5; ++v) __builtin_prefetch(ahead + v * lanes);
      const Vector i = load(record), f = load(record + lanes), g = load(record + 2 * lanes);
      const Vector o = load(record + 3 * lanes), c = tanh(load(record + 4 * lanes));
      Vector c_before = {};
      if (!is_reset(now)) {
        c_before = is_first(step) ? load_first(c0 + in_state, inside) : load(ahead + 4 * lanes);
      }
      dh += load_first(d_hs + t * sizes.batch * sizes.features + in_state, inside);
      const Vector dc = load(shared.d_cells + in_cells) + dh * o * (1.0f - c * c);
      store(dz, dc * g * (i * (1.0f - i)));
      store(dz + lanes, dc * c_before * (f * (1.0f - f)));
      store(dz + 2 * lanes, dc * i * (1.0f - g * g));
      store(dz + 3 * lanes, dh * c * (o * (1.0f - o)));
      store(shared.d_cells + in_cells, is_reset(now) ? Vector{} : dc * f);
    }
  }
}

// [x, h, 1] of a step, the left operand of dW, dU and db; zeros in the padding.
inline void LSTMBackward::gather_left(const Share& share, std::size_t step, std::size_t at,
                                      const Block& block) const {
  const std::size_t depth = sizes.depth(), inputs = sizes.inputs, features = sizes.features;
  const float* h = is_first(step) ? h0 : hs + time(step + 1) * sizes.batch * features;
  for (std::size_t row = share.first_row; row < share.last_row; ++row, ++at) {
    const std::uint8_t now = flags_at(step, row);
    std::memset(block.line, 0, (depth + 1) * sizeof(float));
    if (!is_padding(now)) {
      const float* from = x + (time(step) * sizes.batch + row) * inputs;
      std::memcpy(block.line, from, inputs * sizeof(float));
      if (!is_reset(now)) {
        std::memcpy(block.line + inputs, h + row * features, features * sizeof(float));
      }
      block.line[depth] = 1.0f;
    }
    std::size_t k = 0;
    for (; k + tile_rows <= depth + 1; k += tile_rows) {
      std::memcpy(block.left + k * block.rows + at * tile_rows, block.line + k,
                  tile_rows * sizeof(float));
    }
    const std::size_t rest = depth + 1 - k;
    for (std::size_t j = 0; j < rest; ++j) {
      block.left[k * block.rows + at * rest + j] = block.line[k + j];
    }
  }
}

// dW += x^T dz, dU += h^T dz, db += 1^T dz over the first `rows` rows of the block.
inline void LSTMBackward::add_parameters(const Share& share, const Shared& shared,
                                         std::size_t rows, const Block& block) const {
  const std::size_t part = share.row_group * sizes.panels() + share.first_panel;
  float* to = shared.parameters + part * sizes.panel_floats();
  const float* dz = block.dz;
  for (std::size_t panel = 0; panel < share.panels(); ++panel) {
    const auto add = [&]<int tile>(std::size_t k) {
      Tile<tile, 4> sums;
      sums.load(to + k * 4 * lanes, 4 * lanes);
      sums.add_product(block.left + k * block.rows, 1, tile, dz, rows);
      sums.store(to + k * 4 * lanes, 4 * lanes);
    };
    std::size_t k = 0;
    for (; k + tile_rows <= sizes.depth() + 1; k += tile_rows) {
      add.template operator()<tile_rows>(k);
    }
    for_row_blocks(sizes.depth() + 1 - k, [&]<int tile>(std::size_t) {
      add.template operator()<tile>(k);
    });
    to += sizes.panel_floats();
    dz += block.rows * 4 * lanes;
  }
}

// dx of a step, summed over unit groups; each group computes its share of the rows.
inline void LSTMBackward::input_gradient(const Share& share, const Shared& shared,
                                         const Partition& partition, std::size_t step) const {
  const std::size_t stride = columns().stride(), groups = partition.unit_groups;
  const std::size_t first = share.first_row + share.rows() * share.unit_group / groups;
  const std::size_t last = share.first_row + share.rows() * (share.unit_group + 1) / groups;
  for (std::size_t row = first; row < last; ++row) {
    const float* part = shared.states[(step + 1) % 2] + row * stride + sizes.panels() * lanes;
    const bool padding = is_padding(flags_at(step, row));
    for (std::size_t v = 0; v < vectors_for(sizes.inputs); ++v) {
      const Vector sum = group_sum(part + v * lanes, partition);
      store_first(d_x + (time(step) * sizes.batch + row) * sizes.inputs + v * lanes,
                  padding ? Vector{} : sum, lanes_inside(v, sizes.inputs));
    }
  }
}

inline void LSTMBackward::finish(const Share& share, const Shared& shared,
                                 const Partition& partition) const {
  for (std::size_t panel = share.first_panel; panel < share.last_panel; ++panel) {
    const std::size_t inside = lanes_inside(panel, sizes.features);
    for (std::size_t row = share.first_row; row < share.last_row; ++row) {
      const std::size_t to = row * sizes.features + panel * lanes;
      const Vector dh = state_gradient(shared, partition, sizes.steps, panel, row);
      store_first(d_h0 + to, dh, inside);
      const float* d_cell = shared.d_cells + (panel * sizes.batch + row) * lanes;
      store_first(d_c0 + to, load(d_cell), inside);
    }
  }
}

inline void LSTMBackward::run(std::size_t threads) const {
  const Partition partition(sizes, threads);
  const std::size_t count = partition.threads(), panels = sizes.panels(), batch = sizes.batch;
  const std::size_t row_groups = partition.row_groups, unit_groups = partition.unit_groups;
  const TransposedColumns columns = this->columns();
  // As many rows as allow a panel of dz to stay in the first-level cache.
  const std::size_t share_rows = (batch + row_groups - 1) / row_groups;
  const std::size_t block_steps = std::max<std::size_t>(1, 128 / std::max<std::size_t>(1, share_rows));
  const std::size_t block_rows = block_steps * share_rows;
  const std::size_t share_panels = (panels + unit_groups - 1) / unit_groups;
  const std::size_t dz_floats = share_panels * block_rows * 4 * lanes;
  const std::size_t left_floats = (sizes.depth() + 1) * (block_rows + 1);
  const std::size_t state_floats = unit_groups * batch * columns.stride();
  const std::size_t parameter_floats = row_groups * panels * sizes.panel_floats();
  Workspace workspace(columns.floats() + 2 * state_floats + parameter_floats +
                      2 * panels * batch * lanes +
                      count * (Workspace::lines(dz_floats) + Workspace::lines(left_floats) + 64));
  const Shared shared = {workspace.take(columns.floats()),
                         {workspace.take(state_floats), workspace.take(state_floats)},
                         workspace.take(parameter_floats),
                         workspace.take(panels * batch * lanes),
                         workspace.take(panels * batch * lanes)};
  float* const blocks = workspace.take(0);
  Barrier everyone(count);
  run_on_threads(count, [&](std::size_t thread) {
    const Share share = partition.share(sizes, thread);
    float* const own = blocks + thread * (Workspace::lines(dz_floats) + Workspace::lines(left_floats));
    const Block block = {block_rows, own, own + Workspace::lines(dz_floats),
                         own + Workspace::lines(dz_floats) + (sizes.depth() + 1) * block_rows};
    columns.pack(parameters, thread, count, shared.transposed);
    begin(share, shared);
    everyone.wait();
    std::size_t at = 0;
    for (std::size_t step = 0; step < sizes.steps; ++step) {
      gates(share, shared, partition, step, at, block);
      gather_left(share, step, at, block);
      columns.multiply(share, shared.transposed, block.dz + at * 4 * lanes, block_rows,
                       shared.states[(step + 1) % 2], step % 2);
      if (unit_groups > 1) everyone.wait();
      if (d_x) input_gradient(share, shared, partition, step);
      at += share.rows();
      if (at + share.rows() > block_rows || is_first(step)) {
        add_parameters(share, shared, at, block);
        at = 0;
      }
    }
    finish(share, shared, partition);
    everyone.wait();
    for (std::size_t panel = thread; panel < panels; panel += count) {
      unpack_panel(sizes, panel, shared.parameters + panel * sizes.panel_floats(), row_groups,
                   panels * sizes.panel_floats(), d_kernel, d_recurrent_kernel, d_bias);
    }
  });
}

}  // namespace native
