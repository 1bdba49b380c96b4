// Rows as they are stored.
#include "projections/rows.h"

#include <limits>

#include "tests/support/catch.h"

namespace tidings {
namespace {

TEST_CASE("a partner's row takes whatever a partner can be") {
    PartnerState partner;
    SECTION("nothing") {}
    SECTION("as much as fits") {
        constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
        constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
        partner.ordinal = {std::numeric_limits<std::uint32_t>::max()};
        partner.id = {std::string(200, 'i')};
        partner.email = PersonalText(std::string(400, 'e'));
        partner.name = PersonalText(std::string(200, 'n'));
        partner.surname = PersonalText(std::string(200, 's'));
        partner.status = PartnerStatus::deleted;
        partner.erased = true;
        partner.key_epoch = std::numeric_limits<std::uint16_t>::max();
        for (int i = 10; i < 60; ++i)
            partner.tags.push_back(std::string(60, 't') + std::to_string(i));
        partner.joined_at = {kLeast};
        partner.metrics = {kMost, kMost, kMost, kMost, {}, {}};
        for (int i = 100; i < 150; ++i) {
            partner.metrics.revenue["C" + std::to_string(i)] = kLeast;
            partner.metrics.commission["C" + std::to_string(i)] = kLeast;
        }
        partner.profile_stamp = {kLeast, sha256("a")};
        partner.metrics_stamp = {kLeast, sha256("b")};
    }
    const std::int64_t offset = std::numeric_limits<std::int64_t>::max();
    const PartnerRow row = PartnerRow::decode(PartnerRow::encode(partner, offset));
    CHECK(row == partner);
    CHECK(row.broadcasts_offset == offset);
    CHECK(row.encode() == PartnerRow::encode(partner, offset));
}

}  // namespace
}  // namespace tidings
