// The FFI targets of attention: they check sizes and run the passes of attention_forward.h and
// attention_backward.h.
#include <cstdint>
#include <exception>
#include <limits>
#include <string>

#include "attention_backward.h"
#include "attention_forward.h"
#include "shapes.h"
#include "xla/ffi/api/ffi.h"

namespace {

namespace ffi = xla::ffi;
using Floats = ffi::Buffer<ffi::F32>;  // axes before those of attention.py are more of the batch
using Lengths = ffi::Buffer<ffi::S32>;

// The arguments of both passes.
struct Arguments {
  const Floats &query, &key, &value;
  const Lengths& lengths;
  float scale;
  std::int64_t left, right;

  bool have_axes() const {
    return query.dimensions().size() >= 4 && key.dimensions().size() >= 4;
  }
  native::AttentionSizes sizes() const {
    if (!have_axes()) return {};
    const auto of_query = query.dimensions(), of_key = key.dimensions();
    const auto from_end = [](const auto& dimensions, std::size_t axis) {
      return static_cast<std::size_t>(dimensions[dimensions.size() - axis]);
    };
    std::size_t batch = 1;
    for (std::size_t axis = 0; axis + 3 < of_query.size(); ++axis) {
      batch *= static_cast<std::size_t>(of_query[axis]);
    }
    return {batch,
            from_end(of_query, 3),
            from_end(of_query, 2),
            from_end(of_query, 1),
            from_end(of_key, 3),
            from_end(of_key, 2)};
  }
  native::AttentionProblem problem() const {
    // Beyond any position; sums of these do not overflow.
    const std::int64_t unbounded = std::int64_t{1} << 30;
    return {sizes(),
            scale,
            static_cast<std::ptrdiff_t>(left < 0 ? unbounded : std::min(left, unbounded)),
            static_cast<std::ptrdiff_t>(right < 0 ? unbounded : std::min(right, unbounded)),
            lengths.element_count() ? lengths.typed_data() : nullptr,
            query.typed_data(),
            key.typed_data(),
            value.typed_data()};
  }
  void check(native::Shapes& shapes) const {
    const auto [batch, queries, heads, features, keys, groups] = sizes();
    shapes.expect("query", query, {batch, queries, heads, features});
    shapes.expect("key", key, {batch, keys, groups, features});
    shapes.expect("value", value, {batch, keys, groups, features});
    if (lengths.element_count()) shapes.expect("lengths", lengths, {batch, 2});
  }
};

template <class Pass>
ffi::Error run(const native::Shapes& shapes, const Pass& pass, ffi::ThreadPool& pool,
               std::int32_t threads) {
  if (!shapes.message().empty()) return ffi::Error::InvalidArgument(shapes.message());
  const auto [batch, queries, heads, features, keys, groups] = pass.problem.sizes;
  if (groups == 0 || heads % groups) {
    return ffi::Error::InvalidArgument("native attention: key heads expected to divide the heads");
  }
  if (threads < 1) {
    return ffi::Error::InvalidArgument("native attention: threads expected at least 1");
  }
  try {
    pass.run(pool, static_cast<std::size_t>(threads));
  } catch (const std::exception& error) {
    return ffi::Error::Internal(std::string("native attention: ") + error.what());
  }
  return ffi::Error::Success();
}

ffi::Error forward(ffi::ThreadPool pool, Floats query, Floats key, Floats value, Lengths lengths,
                   ffi::Result<Floats> out, ffi::Result<Floats> statistics, float scale,
                   std::int64_t left, std::int64_t right, std::int32_t threads) {
  const Arguments arguments{query, key, value, lengths, scale, left, right};
  const auto [batch, queries, heads, features, keys, groups] = arguments.sizes();
  const bool save = statistics->element_count() > 0;
  native::Shapes shapes("attention");
  arguments.check(shapes);
  shapes.expect("out", *out, {batch, queries, heads, features});
  if (save) shapes.expect("statistics", *statistics, {batch, heads, 2, queries});
  const native::AttentionForward pass{arguments.problem(), out->typed_data(),
                                      save ? statistics->typed_data() : nullptr};
  return run(shapes, pass, pool, threads);
}

ffi::Error backward(ffi::ThreadPool pool, Floats query, Floats key, Floats value, Lengths lengths,
                    Floats out, Floats statistics, Floats d_out, ffi::Result<Floats> d_query,
                    ffi::Result<Floats> d_key, ffi::Result<Floats> d_value, float scale,
                    std::int64_t left, std::int64_t right, std::int32_t threads) {
  const Arguments arguments{query, key, value, lengths, scale, left, right};
  const auto [batch, queries, heads, features, keys, groups] = arguments.sizes();
  native::Shapes shapes("attention");
  arguments.check(shapes);
  shapes.expect("out", out, {batch, queries, heads, features});
  shapes.expect("statistics", statistics, {batch, heads, 2, queries});
  shapes.expect("d_out", d_out, {batch, queries, heads, features});
  shapes.expect("d_query", *d_query, {batch, queries, heads, features});
  shapes.expect("d_key", *d_key, {batch, keys, groups, features});
  shapes.expect("d_value", *d_value, {batch, keys, groups, features});
  const native::AttentionBackward pass{arguments.problem(),     out.typed_data(),
                                       statistics.typed_data(), d_out.typed_data(),
                                       d_query->typed_data(),   d_key->typed_data(),
                                       d_value->typed_data()};
  return run(shapes, pass, pool, threads);
}

// Arguments in the order of attention.py.
auto bind() {
  return ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Floats>().Arg<Floats>().Arg<Floats>().Arg<
      Lengths>();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(lstm_attn_attention_forward, forward,
                              bind()
                                  .Ret<Floats>()
                                  .Ret<Floats>()
                                  .Attr<float>("scale")
                                  .Attr<std::int64_t>("left")
                                  .Attr<std::int64_t>("right")
                                  .Attr<std::int32_t>("threads"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(lstm_attn_attention_backward, backward,
                              bind()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Ret<Floats>()
                                  .Ret<Floats>()
                                  .Ret<Floats>()
                                  .Attr<float>("scale")
                                  .Attr<std::int64_t>("left")
                                  .Attr<std::int64_t>("right")
                                  .Attr<std::int32_t>("threads"));

// 2^x, for the test of its accuracy; `count` is a multiple of the lanes.
extern "C" void lstm_attn_power_of_two(const float* from, float* to, std::size_t count) {
  const native::PowerOfTwo power_of_two(1.0f);
  for (std::size_t i = 0; i < count; i += native::lanes) {
    native::store(to + i, power_of_two(native::load(from + i)));
  }
}
