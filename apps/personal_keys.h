// Where the partners' keys lie, and opening them.
#pragma once

#include <memory>

#include "apps/config.h"
#include "connectors/keys.h"
#include "events/partner_keys.h"

namespace tidings::apps {

/// Under the data directory of this process, also where keys.data names another one's.
std::filesystem::path partner_keys_directory(const std::filesystem::path& data);

/// For the process that holds the directory's lock. Errors: as PartnerKeys::open.
Result<std::shared_ptr<PartnerKeys>> open_partner_keys(const std::filesystem::path& data,
                                                       const std::shared_ptr<const KeyRing>& ring);
/// For commands that only read, also beside it; null if there are none. Errors: as
/// PartnerKeys::open and KeyRing::open.
Result<std::shared_ptr<const Keys>> read_partner_keys(const Config& config);

}  // namespace tidings::apps
