// Scratch memory of a call, kept for the next call: touching a fresh page costs about as much as
// computing its content.
#pragma once

#include <pthread.h>
#include <sys/mman.h>

#include <cstddef>
#include <mutex>
#include <new>
#include <vector>

namespace native {

class Workspace {
 public:
  explicit Workspace(std::size_t floats) {
    // Some more cache lines, since every piece starts at the start of one.
    const std::size_t bytes = (floats * sizeof(float) + 4096 + page - 1) / page * page;
    {
      const std::lock_guard<std::mutex> guard(lock());
      std::vector<Block>& blocks = kept();
      for (std::size_t i = 0; i < blocks.size(); ++i) {
        if (blocks[i].bytes >= bytes && (!block_.begin || blocks[i].bytes < block_.bytes)) {
          std::swap(block_, blocks[i]);
        }
      }
      std::erase_if(blocks, [](const Block& block) { return block.begin == nullptr; });
    }
    if (!block_.begin) {
      block_ = {static_cast<float*>(::operator new(bytes, std::align_val_t{page})), bytes};
#if defined(MADV_HUGEPAGE)
      madvise(block_.begin, bytes, MADV_HUGEPAGE);  // a hint: where refused, small pages serve
#endif
    }
    next_ = block_.begin;
  }

  ~Workspace() {
    Block dropped = block_;
    {
      const std::lock_guard<std::mutex> guard(lock());
      std::vector<Block>& blocks = kept();
      blocks.push_back(block_);
      dropped = {};
      if (blocks.size() > most_kept) {
        std::size_t smallest = 0;
        for (std::size_t i = 1; i < blocks.size(); ++i) {
          if (blocks[i].bytes < blocks[smallest].bytes) smallest = i;
        }
        dropped = blocks[smallest];
        blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(smallest));
      }
    }
    ::operator delete(dropped.begin, std::align_val_t{page});
  }

  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  // The next `floats` of the workspace, at the start of a cache line. Not zeroed.
  float* take(std::size_t floats) {
    float* const taken = next_;
    next_ += lines(floats);
    return taken;
  }

  // How many floats `take` uses up for `floats`.
  static std::size_t lines(std::size_t floats) { return (floats + 15) / 16 * 16; }

 private:
  struct Block {
    float* begin = nullptr;
    std::size_t bytes = 0;
  };
  static constexpr std::size_t page = std::size_t{2} << 20;  // a huge one
  static constexpr std::size_t most_kept = 8;

  // Never destroyed, since a call may still run while the process exits. A process is forked only
  // while no thread has it: the child has no other thread, which could unlock it there.
  static std::mutex& lock() {
    static std::mutex* const lock = [] {
      pthread_atfork([] { Workspace::lock().lock(); }, [] { Workspace::lock().unlock(); },
                     [] { Workspace::lock().unlock(); });
      return new std::mutex;
    }();
    return *lock;
  }
  static std::vector<Block>& kept() {
    static std::vector<Block>* const kept = new std::vector<Block>;
    return *kept;
  }

  Block block_;
  float* next_ = nullptr;
};

}  // namespace native
