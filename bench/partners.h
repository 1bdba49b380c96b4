// The synthetic program: its partners are computed from their index, so that whoever checks an
// answer knows them without having kept them. Partner i is the i-th seen: its ordinal is i.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/command.h"

namespace tidings::bench {

inline constexpr const char* kProgram = "bench";
inline constexpr std::uint64_t kPartners = 1'000'000;  ///< at scale 1
inline constexpr std::size_t kTokens = 10'000;         ///< TARGETS.md: of the HTTP benchmarks
inline constexpr unsigned kTags = 8;                   ///< "group0" ... each at 3/8 of the partners

/// A good mixing of 64 bits (splitmix64, Steele et al. 2014).
std::uint64_t mix(std::uint64_t value);

PartnerId partner_id(std::uint64_t index);
bool has_tag(std::uint64_t index, unsigned tag);
std::string tag_name(unsigned tag);
PartnerPatch partner_patch(std::uint64_t index);
/// The same as a line of an import, with its line end.
void append_partner_line(std::uint64_t index, std::string& out);

/// `count` distinct indexes below `partners`, or all of them, in random order.
std::vector<std::uint32_t> sample_partners(std::uint64_t partners, std::size_t count,
                                           std::uint64_t seed);

}  // namespace tidings::bench
