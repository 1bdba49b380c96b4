// Where the partners' keys lie, and opening them.
#pragma once

#include <memory>

#include "apps/config.h"
#include "connectors/keys.h"
#include "events/partner_keys.h"

namespace tidings::apps {

/// Under the data directory of this process, also where keys.data names another one's.
std::filesystem::path partner_keys_directory(const std::filesystem::path& data);

/// Marks the directory, so that the keys of a log that may hold sealed texts are missed if they
/// are lost. Errors: io.
Result<void> expect_partner_keys(const std::filesystem::path& data);
/// Errors: corruption (they are expected, and not there).
Result<void> check_partner_keys(const std::filesystem::path& data);
/// For the process that holds the directory's lock; expected from then on. REQUIRES:
/// check_partner_keys(). Errors: as PartnerKeys::open.
Result<std::shared_ptr<PartnerKeys>> open_partner_keys(const std::filesystem::path& data,
                                                       const std::shared_ptr<const KeyRing>& ring);
/// For a process of a deployment on Kafka: empty, to be filled from the topic (shared_keys.h).
/// Errors: as PartnerKeys::make_replica.
Result<std::shared_ptr<PartnerKeys>> make_keys_replica(const std::filesystem::path& data,
                                                       const std::shared_ptr<const KeyRing>& ring);
/// For commands that only read, also beside it: the topic's, where there are brokers. Null if there
/// are none, or (on Kafka) no deployment key to open them with. Errors: as PartnerKeys::open and
/// KeyRing::open, io.
Result<std::shared_ptr<const Keys>> read_partner_keys(const Config& config);

}  // namespace tidings::apps
