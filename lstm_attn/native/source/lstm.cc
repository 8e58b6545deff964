// The FFI targets: they check sizes and run the passes of lstm_forward.h and lstm_backward.h.
#include <cstdint>
#include <exception>
#include <string>

#include "lstm_backward.h"
#include "lstm_forward.h"
#include "shapes.h"
#include "xla/ffi/api/ffi.h"

namespace {

namespace ffi = xla::ffi;
using Row = ffi::BufferR1<ffi::F32>;
using Matrix = ffi::BufferR2<ffi::F32>;
using Sequence = ffi::BufferR3<ffi::F32>;
using Flags = ffi::BufferR2<ffi::U8>;  // [T, B], or empty for no flags

// The arguments of both passes.
struct Arguments {
  const Matrix &kernel, &recurrent_kernel;
  const Row& bias;
  const Sequence& x;
  const Matrix &h0, &c0;
  const Flags& flags;

  native::LSTMSizes sizes() const {
    const auto shape = x.dimensions();
    return {static_cast<std::size_t>(shape[0]), static_cast<std::size_t>(shape[1]),
            static_cast<std::size_t>(shape[2]), static_cast<std::size_t>(h0.dimensions()[1])};
  }
  native::LSTMParameters parameters() const {
    return {kernel.typed_data(), recurrent_kernel.typed_data(), bias.typed_data()};
  }
  const std::uint8_t* flag_data() const {
    return flags.element_count() ? flags.typed_data() : nullptr;
  }
  void check(native::Shapes& shapes) const {
    const auto [steps, batch, inputs, features] = sizes();
    shapes.expect("kernel", kernel, {inputs, 4 * features});
    shapes.expect("recurrent_kernel", recurrent_kernel, {features, 4 * features});
    shapes.expect("bias", bias, {4 * features});
    shapes.expect("h0", h0, {batch, features});
    shapes.expect("c0", c0, {batch, features});
    if (flags.element_count()) shapes.expect("flags", flags, {steps, batch});
  }
};

template <class Pass>
ffi::Error run(const native::Shapes& shapes, const Pass& pass, std::int32_t threads) {
  if (!shapes.message().empty()) return ffi::Error::InvalidArgument(shapes.message());
  if (threads < 1) return ffi::Error::InvalidArgument("native LSTM: threads expected at least 1");
  try {
    pass.run(static_cast<std::size_t>(threads));
  } catch (const std::exception& error) {
    return ffi::Error::Internal(std::string("native LSTM: ") + error.what());
  }
  return ffi::Error::Success();
}

ffi::Error forward(Matrix kernel, Matrix recurrent_kernel, Row bias, Sequence x, Matrix h0,
                   Matrix c0, Flags flags, ffi::Result<Sequence> hs, ffi::Result<Matrix> h_last,
                   ffi::Result<Matrix> c_last, ffi::Result<Row> records, bool reverse,
                   std::int32_t threads) {
  const Arguments arguments{kernel, recurrent_kernel, bias, x, h0, c0, flags};
  const native::LSTMSizes sizes = arguments.sizes();
  const auto [steps, batch, inputs, features] = sizes;
  const bool save = records->element_count() > 0;
  native::Shapes shapes("LSTM");
  arguments.check(shapes);
  shapes.expect("hs", *hs, {steps, batch, features});
  shapes.expect("h_last", *h_last, {batch, features});
  shapes.expect("c_last", *c_last, {batch, features});
  if (save) shapes.expect("records", *records, {native::record_offset(sizes, steps, 0, 0)});
  const native::LSTMForward pass{sizes,
                                 arguments.parameters(),
                                 x.typed_data(),
                                 h0.typed_data(),
                                 c0.typed_data(),
                                 arguments.flag_data(),
                                 reverse,
                                 hs->typed_data(),
                                 h_last->typed_data(),
                                 c_last->typed_data(),
                                 save ? records->typed_data() : nullptr};
  return run(shapes, pass, threads);
}

ffi::Error backward(Matrix kernel, Matrix recurrent_kernel, Row bias, Sequence x, Matrix h0,
                    Matrix c0, Flags flags, Sequence hs, Row records, Sequence d_hs,
                    Matrix d_h_last, Matrix d_c_last, ffi::Result<Matrix> d_kernel,
                    ffi::Result<Matrix> d_recurrent_kernel, ffi::Result<Row> d_bias,
                    ffi::Result<Sequence> d_x, ffi::Result<Matrix> d_h0, ffi::Result<Matrix> d_c0,
                    bool reverse, bool need_dx, std::int32_t threads) {
  const Arguments arguments{kernel, recurrent_kernel, bias, x, h0, c0, flags};
  const native::LSTMSizes sizes = arguments.sizes();
  const auto [steps, batch, inputs, features] = sizes;
  native::Shapes shapes("LSTM");
  arguments.check(shapes);
  shapes.expect("hs", hs, {steps, batch, features});
  shapes.expect("records", records, {native::record_offset(sizes, steps, 0, 0)});
  shapes.expect("d_hs", d_hs, {steps, batch, features});
  shapes.expect("d_h_last", d_h_last, {batch, features});
  shapes.expect("d_c_last", d_c_last, {batch, features});
  shapes.expect("d_kernel", *d_kernel, {inputs, 4 * features});
  shapes.expect("d_recurrent_kernel", *d_recurrent_kernel, {features, 4 * features});
  shapes.expect("d_bias", *d_bias, {4 * features});
  if (need_dx) shapes.expect("d_x", *d_x, {steps, batch, inputs});
  shapes.expect("d_h0", *d_h0, {batch, features});
  shapes.expect("d_c0", *d_c0, {batch, features});
  const native::LSTMBackward pass{sizes,
                                  arguments.parameters(),
                                  x.typed_data(),
                                  h0.typed_data(),
                                  c0.typed_data(),
                                  hs.typed_data(),
                                  records.typed_data(),
                                  arguments.flag_data(),
                                  d_hs.typed_data(),
                                  d_h_last.typed_data(),
                                  d_c_last.typed_data(),
                                  reverse,
                                  d_kernel->typed_data(),
                                  d_recurrent_kernel->typed_data(),
                                  d_bias->typed_data(),
                                  d_h0->typed_data(),
                                  d_c0->typed_data(),
                                  need_dx ? d_x->typed_data() : nullptr};
  return run(shapes, pass, threads);
}

// Arguments in the order of lstm.py: parameters, x, h0, c0, flags, then those of the pass.
auto bind() {
  return ffi::Ffi::Bind()
      .Arg<Matrix>()
      .Arg<Matrix>()
      .Arg<Row>()
      .Arg<Sequence>()
      .Arg<Matrix>()
      .Arg<Matrix>()
      .Arg<Flags>();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(lstm_attn_lstm_forward, forward,
                              bind()
                                  .Ret<Sequence>()
                                  .Ret<Matrix>()
                                  .Ret<Matrix>()
                                  .Ret<Row>()
                                  .Attr<bool>("reverse")
                                  .Attr<std::int32_t>("threads"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(lstm_attn_lstm_backward, backward,
                              bind()
                                  .Arg<Sequence>()
                                  .Arg<Row>()
                                  .Arg<Sequence>()
                                  .Arg<Matrix>()
                                  .Arg<Matrix>()
                                  .Ret<Matrix>()
                                  .Ret<Matrix>()
                                  .Ret<Row>()
                                  .Ret<Sequence>()
                                  .Ret<Matrix>()
                                  .Ret<Matrix>()
                                  .Attr<bool>("reverse")
                                  .Attr<bool>("need_dx")
                                  .Attr<std::int32_t>("threads"));

// The size of the residuals depends on the vector width of the machine.
extern "C" int lstm_attn_lanes() { return native::lanes; }

// The activations, for the test of their accuracy; `count` is a multiple of the lanes.
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
