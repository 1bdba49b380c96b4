// What callers ask: commands of every kind, over few enough names that they meet, made from what a
// node's read models say, as ingress makes them (docs/decisions/0002).
#pragma once

#include <string>
#include <vector>

#include "core/command.h"
#include "projections/read_models.h"
#include "tests/simulation/random.h"

namespace tidings::simulation {

/// A command without id, time and digest.
Command make_command(const ReadModels& models, const ProgramId& program, Timestamp now,
                     Random& random);

inline ProgramId program_id(std::uint64_t index) { return {"program-" + std::to_string(index)}; }
inline PartnerId partner_id(std::uint64_t index) { return {"partner-" + std::to_string(index)}; }
inline constexpr std::uint64_t kPartners = 24;  ///< of a program; more than the row limit

}  // namespace tidings::simulation
