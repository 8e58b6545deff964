// Sizes of an LSTM, its packed parameters, and the split of the work over threads.
//
// Units are grouped by vectors. Panel p has the gates i, f, g, o of the units of vector p side by
// side, 4 * lanes columns, so that one tile has all that the state of a unit needs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "vector.h"

namespace native {

struct LSTMSizes {
  std::size_t steps, batch, inputs, features;  // T, B, D, H

  std::size_t panels() const { return vectors_for(features); }
  std::size_t depth() const { return inputs + features; }           // of the product [x, h] [W; U]
  std::size_t panel_floats() const { return (depth() + 1) * 4 * lanes; }  // W, U and the bias
  std::size_t carry_stride() const { return panels() * lanes + 16; }  // rows in different L1 sets
};

struct LSTMParameters {
  const float *kernel, *recurrent_kernel, *bias;  // [D, 4H], [H, 4H], [4H]

  // Row k of [W; U; b].
  const float* row(const LSTMSizes& sizes, std::size_t k) const {
    const std::size_t columns = 4 * sizes.features;
    if (k < sizes.inputs) return kernel + k * columns;
    return k < sizes.depth() ? recurrent_kernel + (k - sizes.inputs) * columns : bias;
  }
};

// Per time step and row. A reset zeroes the state before the step; padding does not change it.
enum Flag : std::uint8_t { reset_flag = 1, padding_flag = 2 };

inline bool is_reset(std::uint8_t flags) { return flags == reset_flag; }
inline bool is_padding(std::uint8_t flags) { return flags & padding_flag; }

// The forward pass's records for the backward pass: [T, panels, B, (i, f, g, o, c), lanes].
inline constexpr std::size_t record_floats = 5 * lanes;

inline std::size_t record_offset(const LSTMSizes& sizes, std::size_t t, std::size_t panel,
                                 std::size_t row) {
  return ((t * sizes.panels() + panel) * sizes.batch + row) * record_floats;
}

// Rows [first_row, last_row) and panels [first_panel, last_panel) of one thread.
struct Share {
  std::size_t row_group, unit_group, first_row, last_row, first_panel, last_panel;

  std::size_t rows() const { return last_row - first_row; }
  std::size_t panels() const { return last_panel - first_panel; }
};

// Threads that split the rows need nothing from each other until the gradients are summed; threads
// that split the units meet once a step, but each caches only the parameters of its units.
struct Partition {
  std::size_t row_groups = 1, unit_groups = 1;

  Partition(const LSTMSizes& sizes, std::size_t threads) {
    const double products = double(sizes.steps) * sizes.batch * sizes.depth() * 4 * sizes.features;
    const std::size_t cached = std::size_t{1} << 20;
    if (products < 2e6) return;  // shorter than the start of a thread
    if (sizes.batch > 1 && sizes.panels() * sizes.panel_floats() * sizeof(float) <= cached) {
      row_groups = std::min(threads, sizes.batch);
    } else {
      unit_groups = std::min(threads, sizes.panels());
    }
  }

  std::size_t threads() const { return row_groups * unit_groups; }

  Share share(const LSTMSizes& sizes, std::size_t thread) const {
    const std::size_t row_group = thread / unit_groups, unit_group = thread % unit_groups;
    return {row_group,
            unit_group,
            sizes.batch * row_group / row_groups,
            sizes.batch * (row_group + 1) / row_groups,
            sizes.panels() * unit_group / unit_groups,
            sizes.panels() * (unit_group + 1) / unit_groups};
  }
};

// Panel p of [W; U; b], [depth + 1, 4, lanes]; zeros beyond H.
inline void pack_panel(const LSTMSizes& sizes, const LSTMParameters& parameters, std::size_t panel,
                       float* packed) {
  const std::size_t inside = lanes_inside(panel, sizes.features);
  for (std::size_t k = 0; k <= sizes.depth(); ++k) {
    const float* row = parameters.row(sizes, k) + panel * lanes;
    for (std::size_t gate = 0; gate < 4; ++gate, packed += lanes) {
      store(packed, load_first(row + gate * sizes.features, inside));
    }
  }
}

// Panel p of [dW; dU; db], summed over `parts` at a distance of `part_stride`, into the gradients.
inline void unpack_panel(const LSTMSizes& sizes, std::size_t panel, const float* packed,
                         std::size_t parts, std::size_t part_stride, float* d_kernel,
                         float* d_recurrent_kernel, float* d_bias) {
  const std::size_t inside = lanes_inside(panel, sizes.features), columns = 4 * sizes.features;
  for (std::size_t k = 0; k <= sizes.depth(); ++k) {
    float* row = k < sizes.inputs    ? d_kernel + k * columns
                 : k < sizes.depth() ? d_recurrent_kernel + (k - sizes.inputs) * columns
                                     : d_bias;
    for (std::size_t gate = 0; gate < 4; ++gate, packed += lanes) {
      Vector sum = load(packed);
      for (std::size_t part = 1; part < parts; ++part) sum += load(packed + part * part_stride);
      store_first(row + gate * sizes.features + panel * lanes, sum, inside);
    }
  }
}

}  // namespace native
