// Which processes hold a partition's read models and which one decides it: rendezvous hashing over
// the live members (Thaler and Ravishankar, 1998), so that one that comes or goes moves only its
// own share. Pure; every process computes the same from the same members.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "connectors/kafka/members.h"
#include "core/ids.h"

namespace tidings::apps {

struct PlacedPartition {
    std::vector<std::string> holders;  ///< member ids, best first
    std::string decider;               ///< member id; empty: nobody is fit to
    std::string publisher;             ///< of its events; member id; empty: nobody is fit to
};

/// By partition. `replicas`: holders of each partition; 0: every member holds every partition.
/// Otherwise deciders and projectors hold, deciders first, and others only where there are none.
/// The decider is the best of the deciders that have caught up, whether it is meant to hold or not;
/// so is the publisher of the projectors.
std::vector<PlacedPartition> place(const std::vector<kafka::Member>& live, std::uint32_t partitions,
                                   std::uint32_t replicas);

/// Whether `self` is the one among the live processes with the role api that works on `thing`.
bool falls_to(const std::vector<kafka::Member>& live, const std::string& self,
              const std::string& thing);

bool is_ready(const kafka::Member& member, std::uint32_t partition);

}  // namespace tidings::apps
