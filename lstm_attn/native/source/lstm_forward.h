// The LSTM over a sequence.
//
//     i, f, g, o = x W + h U + b;  c' = sigmoid(f) c + sigmoid(i) tanh(g);  h' = sigmoid(o) tanh(c')
#pragma once

#include <cstring>

#include "activations.h"
#include "gemm.h"
#include "lstm_layout.h"
#include "parallel.h"
#include "workspace.h"

namespace native {

struct LSTMForward {
  LSTMSizes sizes;
  LSTMParameters parameters;
  const float *x, *h0, *c0;   // [T, B, D], [B, H], [B, H]
  const std::uint8_t* flags;  // [T, B] or null
  bool reverse;
  float *hs, *h_last, *c_last, *records;  // [T, B, H], [B, H], [B, H], records or null

  void run(std::size_t threads) const;

 private:
  struct Shared {
    float* packed;    // [panels, depth + 1, 4, lanes]
    float* carry[2];  // h [B, carry_stride] before even and before odd steps
    float* cells;     // c [panels, B, lanes]
    float* sums;      // [panels, B, 4, lanes]: each thread uses one panel of its rows
  };
  std::size_t time(std::size_t step) const { return reverse ? sizes.steps - 1 - step : step; }
  std::uint8_t flags_at(std::size_t step, std::size_t row) const {
    return flags && step < sizes.steps ? flags[time(step) * sizes.batch + row] : 0;
  }
  void begin(const Share& share, const Shared& shared) const;
  void gate_sums(const Share& share, const Shared& shared, std::size_t step, std::size_t panel,
                 float* sums) const;
  void update(const Share& share, const Shared& shared, std::size_t step, std::size_t panel,
              const float* sums) const;
  void finish(const Share& share, const Shared& shared) const;
};

inline void LSTMForward::begin(const Share& share, const Shared& shared) const {
  for (std::size_t panel = share.first_panel; panel < share.last_panel; ++panel) {
    const std::size_t inside = lanes_inside(panel, sizes.features);
    for (std::size_t row = share.first_row; row < share.last_row; ++row) {
      const std::size_t from = row * sizes.features + panel * lanes;
      const Vector h = is_reset(flags_at(0, row)) ? Vector{} : load_first(h0 + from, inside);
      store(shared.carry[0] + row * sizes.carry_stride() + panel * lanes, h);
      store(shared.cells + (panel * sizes.batch + row) * lanes, load_first(c0 + from, inside));
    }
  }
}

// x W + h U + b of a panel's gates.
inline void LSTMForward::gate_sums(const Share& share, const Shared& shared, std::size_t step,
                                   std::size_t panel, float* sums) const {
  const float* kernel = shared.packed + panel * sizes.panel_floats();
  const float* recurrent_kernel = kernel + sizes.inputs * 4 * lanes;
  const float* bias = kernel + sizes.depth() * 4 * lanes;
  const float* inputs = x + (time(step) * sizes.batch + share.first_row) * sizes.inputs;
  const float* carry = shared.carry[step % 2] + share.first_row * sizes.carry_stride();
  for_row_blocks(share.rows(), [&]<int rows>(std::size_t first) {
    Tile<rows, 4> tile;
    tile.set_rows(bias);
    tile.add_product(inputs + first * sizes.inputs, sizes.inputs, 1, kernel, sizes.inputs);
    tile.add_product(carry + first * sizes.carry_stride(), sizes.carry_stride(), 1,
                     recurrent_kernel, sizes.features);
    tile.store(sums + first * 4 * lanes, 4 * lanes);
  });
}

// The state of a panel's units after the step.
inline void LSTMForward::update(const Share& share, const Shared& shared, std::size_t step,
                                std::size_t panel, const float* sums) const {
  const std::size_t inside = lanes_inside(panel, sizes.features);
  for (std::size_t row = share.first_row; row < share.last_row; ++row, sums += 4 * lanes) {
    const std::uint8_t now = flags_at(step, row);
    float* cell = shared.cells + (panel * sizes.batch + row) * lanes;
    const std::size_t in_carry = row * sizes.carry_stride() + panel * lanes;
    const Vector i = sigmoid(load(sums)), f = sigmoid(load(sums + lanes));
    const Vector g = tanh(load(sums + 2 * lanes)), o = sigmoid(load(sums + 3 * lanes));
    Vector c = load(cell), h;
    if (is_padding(now)) {
      h = load(shared.carry[step % 2] + in_carry);
    } else {
      c = is_reset(now) ? i * g : f * c + i * g;
      h = o * tanh(c);
    }
    store(cell, c);
    // A reset of the next step is applied here, so that the product can read the carry directly.
    const bool resets_next = is_reset(flags_at(step + 1, row));
    store(shared.carry[(step + 1) % 2] + in_carry, resets_next ? Vector{} : h);
    store_first(hs + (time(step) * sizes.batch + row) * sizes.features + panel * lanes, h, inside);
    if (records) {
      float* record = records + record_offset(sizes, time(step), panel, row);
      store(record, i);
      store(record + lanes, f);
      store(record + 2 * lanes, g);
      store(record + 3 * lanes, o);
      store(record + 4 * lanes, c);
    }
  }
}

inline void LSTMForward::finish(const Share& share, const Shared& shared) const {
  for (std::size_t panel = share.first_panel; panel < share.last_panel; ++panel) {
    const std::size_t inside = lanes_inside(panel, sizes.features);
    for (std::size_t row = share.first_row; row < share.last_row; ++row) {
      const std::size_t to = row * sizes.features + panel * lanes;
      const float* carry = shared.carry[sizes.steps % 2] + row * sizes.carry_stride();
      store_first(h_last + to, load(carry + panel * lanes), inside);
      const float* cell = shared.cells + (panel * sizes.batch + row) * lanes;
      store_first(c_last + to, load(cell), inside);
    }
  }
}

inline void LSTMForward::run(std::size_t threads) const {
  const Partition partition(sizes, threads);
  const std::size_t count = partition.threads(), panels = sizes.panels(), batch = sizes.batch;
  const std::size_t carry = batch * sizes.carry_stride();
  Workspace workspace(panels * sizes.panel_floats() + 2 * carry + 5 * panels * batch * lanes);
  const Shared shared = {workspace.take(panels * sizes.panel_floats()),
                         {workspace.take(carry), workspace.take(carry)},
                         workspace.take(panels * batch * lanes),
                         workspace.take(panels * batch * 4 * lanes)};
  Barrier barrier(count);
  run_on_threads(count, [&](std::size_t thread) {
    const Share share = partition.share(sizes, thread);
    for (std::size_t panel = thread; panel < panels; panel += count) {
      pack_panel(sizes, parameters, panel, shared.packed + panel * sizes.panel_floats());
    }
    begin(share, shared);
    barrier.wait();
    float* sums = shared.sums + (share.first_panel * batch + share.first_row) * 4 * lanes;
    for (std::size_t step = 0; step < sizes.steps; ++step) {
      for (std::size_t i = 0; i < share.panels(); ++i) {
        // Back and forth, so that parameters that are still in the cache come first.
        const std::size_t panel = step % 2 ? share.last_panel - 1 - i : share.first_panel + i;
        gate_sums(share, shared, step, panel, sums);
        update(share, shared, step, panel, sums);
      }
      if (partition.unit_groups > 1) barrier.wait();
    }
    finish(share, shared);
  });
}

}  // namespace native
