// Bytes received and not yet parsed: one contiguous block that is reused and grows to a bound.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>

namespace tidings::http {

class ReadBuffer {
public:
    std::string_view data() const { return {block_.get() + begin_, end_ - begin_}; }
    bool empty() const { return begin_ == end_; }
    std::size_t size() const { return end_ - begin_; }

    void consume(std::size_t n) {
        begin_ += n;
        if (begin_ == end_) begin_ = end_ = 0;
    }

    /// Free space behind the data. The block grows, doubling, towards `capacity` when it is full;
    /// empty once it holds that much.
    std::pair<char*, std::size_t> prepare(std::size_t capacity) {
        if (end_ == capacity_ && begin_ > 0) move_to(block_.get());
        if (end_ == capacity_ && capacity_ < capacity) {
            grow(std::min(capacity, std::max(kSmallest, capacity_ * 2)));
        }
        return {block_.get() + end_, capacity_ - end_};
    }
    void commit(std::size_t n) { end_ += n; }

    /// Room for `capacity` bytes at once, for bodies.
    void reserve(std::size_t capacity) {
        if (capacity_ < capacity) grow(capacity);
    }

    /// Gives a large block back when nothing is in it.
    void shrink() {
        if (!empty() || capacity_ <= kKept) return;
        block_.reset();
        begin_ = end_ = capacity_ = 0;
    }

private:
    static constexpr std::size_t kSmallest = 2 << 10;  ///< what an idle connection costs
    static constexpr std::size_t kKept = 16 << 10;

    void move_to(char* target) {
        std::memmove(target, block_.get() + begin_, size());
        end_ -= begin_;
        begin_ = 0;
    }
    void grow(std::size_t capacity) {
        auto larger = std::make_unique_for_overwrite<char[]>(capacity);
        if (!empty()) move_to(larger.get());
        block_ = std::move(larger);
        capacity_ = capacity;
    }

    std::unique_ptr<char[]> block_;
    std::size_t begin_ = 0, end_ = 0, capacity_ = 0;
};

}  // namespace tidings::http
