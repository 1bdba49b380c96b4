// The limit of every HTTP benchmark: Boost.Beast with one io thread that answers every request with
// the same bytes and does nothing else.
#pragma once

#include <cstddef>

namespace tidings::bench {

/// Serves on a free port of 127.0.0.1, says which on stdout as `tidings serve` does, and never
/// returns. The body of each answer has `body_bytes`.
int serve_empty(std::size_t body_bytes);

}  // namespace tidings::bench
