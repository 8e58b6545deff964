// dz [U^T, W^T]: the gradient of the state before a step and, if needed, of the step's input.
#pragma once

#include <cstddef>

#include "gemm.h"
#include "lstm_layout.h"

namespace native {

// The columns are the units of h, padded to whole vectors, then the inputs, in tiles of up to four
// vectors. Packed: [tiles, panels, 4 gates, lanes of the panel, columns of the tile].
struct TransposedColumns {
  LSTMSizes sizes;
  bool with_inputs;

  std::size_t vectors() const {
    return sizes.panels() + (with_inputs ? vectors_for(sizes.inputs) : 0);
  }
  std::size_t stride() const { return vectors() * lanes + 16; }  // rows in different L1 sets
  std::size_t floats() const { return sizes.panels() * 4 * lanes * vectors() * lanes; }
  std::size_t tiles() const { return (vectors() + 3) / 4; }
  std::size_t first_vector(std::size_t tile) const { return vectors() * tile / tiles(); }

  // Where the rows of a panel begin in a tile of `width` vectors that begins at vector `first`.
  std::size_t offset(std::size_t first, std::size_t width, std::size_t panel) const {
    return (first * sizes.panels() + width * panel) * 4 * lanes * lanes;
  }

  // Packs the panels of one thread.
  void pack(const LSTMParameters& parameters, std::size_t thread, std::size_t threads,
            float* packed) const {
    for (std::size_t panel = thread; panel < sizes.panels(); panel += threads) {
      const std::size_t inside = lanes_inside(panel, sizes.features);
      for (std::size_t tile = 0; tile < tiles(); ++tile) {
        const std::size_t first = first_vector(tile), last = first_vector(tile + 1);
        const std::size_t width = (last - first) * lanes;
        float* to = packed + offset(first, last - first, panel);
        for (std::size_t column = 0; column < width; ++column) {
          const float* from = row_of(parameters, first * lanes + column);
          for (std::size_t gate = 0; gate < 4; ++gate) {
            for (std::size_t lane = 0; lane < lanes; ++lane) {
              const bool real = from && lane < inside;
              to[(gate * lanes + lane) * width + column] =
                  real ? from[gate * sizes.features + panel * lanes + lane] : 0.0f;
            }
          }
        }
      }
    }
  }

  // Multiplies the thread's rows and panels of dz, with `dz_rows` rows per panel, by their part of
  // the matrix, into its group's part of `states`. Every other step goes backwards through the
  // tiles, so that tiles that are still in the cache come first.
  void multiply(const Share& share, const float* packed, const float* dz, std::size_t dz_rows,
                float* states, bool backwards) const {
    float* to = states + (share.unit_group * sizes.batch + share.first_row) * stride();
    for (std::size_t i = 0; i < tiles(); ++i) {
      const std::size_t tile = backwards ? tiles() - 1 - i : i;
      const std::size_t first = first_vector(tile), width = first_vector(tile + 1) - first;
      const float* right = packed + offset(first, width, share.first_panel);
      float* part = to + first * lanes;
      if (width == 4) product<4>(share, dz, dz_rows, right, part);
      if (width == 3) product<3>(share, dz, dz_rows, right, part);
      if (width == 2) product<2>(share, dz, dz_rows, right, part);
      if (width == 1) product<1>(share, dz, dz_rows, right, part);
    }
  }

 private:
  // The row of U or W that is this column of the transposed matrix, or null in the padding.
  const float* row_of(const LSTMParameters& parameters, std::size_t column) const {
    const std::size_t padded = sizes.panels() * lanes;
    if (column < sizes.features) return parameters.row(sizes, sizes.inputs + column);
    if (column < padded || column - padded >= sizes.inputs) return nullptr;
    return parameters.row(sizes, column - padded);
  }

  template <int width>
  void product(const Share& share, const float* dz, std::size_t dz_rows, const float* right,
               float* to) const {
    for_row_blocks(share.rows(), [&]<int rows>(std::size_t first) {
      Tile<rows, width> tile;
      tile.set_zero();
      for (std::size_t panel = 0; panel < share.panels(); ++panel) {
        tile.add_product(dz + (panel * dz_rows + first) * 4 * lanes, 4 * lanes, 1,
                         right + panel * 4 * lanes * width * lanes, 4 * lanes);
      }
      tile.store(to + first * stride(), stride());
    });
  }
};

}  // namespace native
