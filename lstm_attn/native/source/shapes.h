// The check of the sizes of a call's arrays.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>

namespace native {

// The message about the first array whose shape does not fit. XLA's decoder checks dtypes.
class Shapes {
 public:
  explicit Shapes(const char* kernel) : kernel_(kernel) {}

  // Axes before the last of `wanted` count as one with the first of them: those of `jax.vmap`.
  template <class Buffer>
  void expect(const char* name, const Buffer& buffer, std::initializer_list<std::size_t> wanted) {
    if (!message_.empty()) return;
    const auto dimensions = buffer.dimensions();
    std::string expected, got;
    bool fits = dimensions.size() >= wanted.size();
    std::size_t leading = 1;
    for (std::size_t axis = 0; axis < dimensions.size(); ++axis) {
      got += std::to_string(dimensions[axis]) + ",";
      if (axis + wanted.size() < dimensions.size()) leading *= dimensions[axis];
    }
    const std::size_t skipped = fits ? dimensions.size() - wanted.size() : 0;
    std::size_t axis = 0;
    for (const std::size_t size : wanted) {
      expected += std::to_string(size) + ",";
      if (fits) {
        const std::size_t found = dimensions[skipped + axis] * (axis == 0 ? leading : 1);
        fits = found == size;
      }
      ++axis;
    }
    if (!fits) {
      message_ = std::string("native ") + kernel_ + ": " + name + " expected shape (" + expected;
      message_ += ") got (" + got + ")";
    }
  }

  const std::string& message() const { return message_; }
  const char* kernel() const { return kernel_; }

 private:
  const char* kernel_;
  std::string message_;
};

}  // namespace native
