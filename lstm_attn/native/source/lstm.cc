// The FFI targets: sizes checked, then the passes of lstm_forward.h and lstm_backward.h.
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <string>

#include "lstm_backward.h"
#include "lstm_forward.h"
#include "xla/ffi/api/ffi.h"

namespace {

namespace ffi = xla::ffi;

struct Expected {
  const char* name;
  ffi::Span<const std::int64_t> got;
  std::initializer_list<std::size_t> wanted;
};

ffi::Error check(std::initializer_list<Expected> arrays) {
  for (const Expected& array : arrays) {
    bool fits = array.got.size() == array.wanted.size();
    std::size_t axis = 0;
    for (const std::size_t size : array.wanted) {
      fits = fits && static_cast<std::size_t>(array.got[axis]) == size;
      ++axis;
    }
    if (fits) continue;
    std::string message = std::string("native LSTM: ") + array.name + " expected shape (";
    for (const std::size_t size : array.wanted) message += std::to_string(size) + ",";
    message += ") got (";
    for (const std::int64_t size : array.got) message += std::to_string(size) + ",";
    return ffi::Error::InvalidArgument(message + ")");
  }
  return ffi::Error::Success();
}

// Sizes by the three arrays that define them; their ranks are the decoder's business.
native::LSTMSizes sizes_of(const ffi::BufferR3<ffi::F32>& x, const ffi::BufferR2<ffi::F32>& h0) {
  const auto shape = x.dimensions();
  return {static_cast<std::size_t>(shape[0]), static_cast<std::size_t>(shape[1]),
          static_cast<std::size_t>(shape[2]), static_cast<std::size_t>(h0.dimensions()[1])};
}

// No flags are an array of no rows.
const std::uint8_t* flags_of(const ffi::BufferR2<ffi::U8>& flags) {
  return flags.element_count() ? flags.typed_data() : nullptr;
}

template <class Pass>
ffi::Error run(const Pass& pass, std::int32_t threads) {
  if (threads < 1) return ffi::Error::InvalidArgument("native LSTM: threads expected at least 1");
  try {
    pass.run(static_cast<std::size_t>(threads));
  } catch (const std::exception& error) {
    return ffi::Error::Internal(std::string("native LSTM: ") + error.what());
  }
  return ffi::Error::Success();
}

using Vector1 = ffi::BufferR1<ffi::F32>;
using Matrix = ffi::BufferR2<ffi::F32>;
using Sequence = ffi::BufferR3<ffi::F32>;
using FlagMatrix = ffi::BufferR2<ffi::U8>;

ffi::Error forward(Matrix kernel, Matrix recurrent_kernel, Vector1 bias, Sequence x, Matrix h0,
                   Matrix c0, FlagMatrix flags, ffi::Result<Sequence> hs,
                   ffi::Result<Matrix> h_last, ffi::Result<Matrix> c_last,
                   ffi::Result<Vector1> records, bool reverse, std::int32_t threads) {
  const native::LSTMSizes sizes = sizes_of(x, h0);
  const auto [steps, batch, inputs, features] = sizes;
  const std::size_t flagged = flags.element_count() ? steps : 0;
  const std::size_t saved = native::record_offset(sizes, steps, 0, 0);
  const std::size_t kept = records->element_count() ? saved : 0;
  if (ffi::Error error = check({{"kernel", kernel.dimensions(), {inputs, 4 * features}},
                                {"recurrent_kernel", recurrent_kernel.dimensions(), {features, 4 * features}},
                                {"bias", bias.dimensions(), {4 * features}},
                                {"h0", h0.dimensions(), {batch, features}},
                                {"c0", c0.dimensions(), {batch, features}},
                                {"flags", flags.dimensions(), {flagged, flagged ? batch : 0}},
                                {"hs", hs->dimensions(), {steps, batch, features}},
                                {"h_last", h_last->dimensions(), {batch, features}},
                                {"c_last", c_last->dimensions(), {batch, features}},
                                {"residuals", records->dimensions(), {kept}}});
      error.failure()) {
    return error;
  }
  return run(native::LSTMForward{sizes,
                                 {kernel.typed_data(), recurrent_kernel.typed_data(), bias.typed_data()},
                                 x.typed_data(),
                                 h0.typed_data(),
                                 c0.typed_data(),
                                 flags_of(flags),
                                 reverse,
                                 hs->typed_data(),
                                 h_last->typed_data(),
                                 c_last->typed_data(),
                                 kept ? records->typed_data() : nullptr},
             threads);
}

ffi::Error backward(Matrix kernel, Matrix recurrent_kernel, Vector1 bias, Sequence x, Matrix h0,
                    Matrix c0, FlagMatrix flags, Sequence hs, Vector1 records, Sequence d_hs,
                    Matrix d_h_last, Matrix d_c_last, ffi::Result<Matrix> d_kernel,
                    ffi::Result<Matrix> d_recurrent_kernel, ffi::Result<Vector1> d_bias,
                    ffi::Result<Sequence> d_x, ffi::Result<Matrix> d_h0, ffi::Result<Matrix> d_c0,
                    bool reverse, bool need_dx, std::int32_t threads) {
  const native::LSTMSizes sizes = sizes_of(x, h0);
  const auto [steps, batch, inputs, features] = sizes;
  const std::size_t flagged = flags.element_count() ? steps : 0;
  const std::size_t wanted = need_dx ? steps : 0;
  if (ffi::Error error = check({{"kernel", kernel.dimensions(), {inputs, 4 * features}},
                                {"recurrent_kernel", recurrent_kernel.dimensions(), {features, 4 * features}},
                                {"bias", bias.dimensions(), {4 * features}},
                                {"h0", h0.dimensions(), {batch, features}},
                                {"c0", c0.dimensions(), {batch, features}},
                                {"flags", flags.dimensions(), {flagged, flagged ? batch : 0}},
                                {"hs", hs.dimensions(), {steps, batch, features}},
                                {"residuals", records.dimensions(), {native::record_offset(sizes, steps, 0, 0)}},
                                {"d_hs", d_hs.dimensions(), {steps, batch, features}},
                                {"d_h_last", d_h_last.dimensions(), {batch, features}},
                                {"d_c_last", d_c_last.dimensions(), {batch, features}},
                                {"d_kernel", d_kernel->dimensions(), {inputs, 4 * features}},
                                {"d_recurrent_kernel", d_recurrent_kernel->dimensions(), {features, 4 * features}},
                                {"d_bias", d_bias->dimensions(), {4 * features}},
                                {"d_x", d_x->dimensions(), {wanted, batch, inputs}},
                                {"d_h0", d_h0->dimensions(), {batch, features}},
                                {"d_c0", d_c0->dimensions(), {batch, features}}});
      error.failure()) {
    return error;
  }
  return run(native::LSTMBackward{sizes,
                                  {kernel.typed_data(), recurrent_kernel.typed_data(), bias.typed_data()},
                                  x.typed_data(),
                                  h0.typed_data(),
                                  c0.typed_data(),
                                  hs.typed_data(),
                                  records.typed_data(),
                                  flags_of(flags),
                                  d_hs.typed_data(),
                                  d_h_last.typed_data(),
                                  d_c_last.typed_data(),
                                  reverse,
                                  d_kernel->typed_data(),
                                  d_recurrent_kernel->typed_data(),
                                  d_bias->typed_data(),
                                  d_h0->typed_data(),
                                  d_c0->typed_data(),
                                  need_dx ? d_x->typed_data() : nullptr},
             threads);
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(lstm_attn_lstm_forward, forward,
                              ffi::Ffi::Bind()
                                  .Arg<Matrix>().Arg<Matrix>().Arg<Vector1>()  // parameters
                                  .Arg<Sequence>().Arg<Matrix>().Arg<Matrix>()  // x, h0, c0
                                  .Arg<FlagMatrix>()
                                  .Ret<Sequence>().Ret<Matrix>().Ret<Matrix>()  // hs and last state
                                  .Ret<Vector1>()
                                  .Attr<bool>("reverse").Attr<std::int32_t>("threads"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(lstm_attn_lstm_backward, backward,
                              ffi::Ffi::Bind()
                                  .Arg<Matrix>().Arg<Matrix>().Arg<Vector1>()  // parameters
                                  .Arg<Sequence>().Arg<Matrix>().Arg<Matrix>()  // x, h0, c0
                                  .Arg<FlagMatrix>().Arg<Sequence>().Arg<Vector1>()  // hs, residuals
                                  .Arg<Sequence>().Arg<Matrix>().Arg<Matrix>()  // d_hs, last state's
                                  .Ret<Matrix>().Ret<Matrix>().Ret<Vector1>()  // parameters'
                                  .Ret<Sequence>().Ret<Matrix>().Ret<Matrix>()  // d_x, d_h0, d_c0
                                  .Attr<bool>("reverse").Attr<bool>("need_dx")
                                  .Attr<std::int32_t>("threads"));

// The residuals' size depends on the machine's vectors.
extern "C" int lstm_attn_lanes() { return native::lanes; }

// The activations alone, for the test of their accuracy; `count` a multiple of the lanes.
extern "C" void lstm_attn_sigmoid(const float* from, float* to, std::size_t count) {
  for (std::size_t i = 0; i < count; i += native::lanes) {
    native::store(to + i, native::sigmoid(native::load(from + i)));
  }
}

extern "C" void lstm_attn_tanh(const float* from, float* to, std::size_t count) {
  for (std::size_t i = 0; i < count; i += native::lanes) {
    native::store(to + i, native::tanh(native::load(from + i)));
  }
}
