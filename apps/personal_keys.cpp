#include "apps/personal_keys.h"

#include "apps/directory_options.h"

namespace tidings::apps {

namespace {

KeyWrap wrap_with(const std::shared_ptr<const KeyRing>& ring) {
    return {[ring](std::string_view plain, std::string_view context) {
                return ring->seal(plain, context);
            },
            [ring](std::string_view wrapped, std::string_view context) {
                return ring->unseal(wrapped, context);
            }};
}

}  // namespace

std::filesystem::path partner_keys_directory(const std::filesystem::path& data) {
    return data / "keys" / "partners";
}

Result<std::shared_ptr<PartnerKeys>> open_partner_keys(const std::filesystem::path& data,
                                                       const std::shared_ptr<const KeyRing>& ring) {
    auto opened = PartnerKeys::open(partner_keys_directory(data), wrap_with(ring));
    if (!opened) return opened.error();
    return std::shared_ptr<PartnerKeys>(std::move(*opened));
}

Result<std::shared_ptr<const Keys>> read_partner_keys(const Config& config) {
    const auto directory = partner_keys_directory(config.data);
    std::error_code error;
    if (!std::filesystem::exists(directory, error)) return std::shared_ptr<const Keys>();
    auto ring = KeyRing::open(keys_home(config), config.deployment_key_file);
    if (!ring) return ring.error();
    auto opened = PartnerKeys::open_for_reading(directory, wrap_with(std::move(*ring)));
    if (!opened) return opened.error();
    return std::shared_ptr<const Keys>(std::move(*opened));
}

}  // namespace tidings::apps
