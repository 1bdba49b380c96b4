// Failing loudly: a benchmark whose answers are wrong ends the run.
#pragma once

#include <stdexcept>
#include <string>

#include "core/result.h"

namespace tidings::bench {

class WrongAnswer : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// What it takes is not here; the run goes on without this benchmark.
class Skipped : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

inline void check(bool holds, const std::string& what) {
    if (!holds) throw WrongAnswer(what);
}

template <class A, class B>
void check_equal(const A& found, const B& expected, const std::string& what) {
    if (found == static_cast<A>(expected)) return;
    throw WrongAnswer(what + ": " + std::to_string(found) + " instead of " +
                      std::to_string(expected));
}

template <class T>
T value_of(Result<T> result, const std::string& doing) {
    if (!result) throw WrongAnswer(doing + ": " + result.error().detail);
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace tidings::bench
