// Read by clang-tidy only (scripts/tidy), before every file. Cap'n Proto 0.9's comparison of a
// C string with a kj::StringPtr leans on rewritten operators as GCC 12 has them; clang 16 follows
// a later rule (P2468R2) and finds none.
#pragma once

namespace kj {
class StringPtr;
bool operator==(const char* a, const StringPtr& b);
bool operator!=(const char* a, const StringPtr& b);
}  // namespace kj
