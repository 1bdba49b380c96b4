#include "apps/personal_keys.h"

#include <spdlog/spdlog.h>

#include "apps/cluster.h"
#include "apps/data_directory.h"
#include "apps/directory_options.h"
#include "connectors/kafka/keys_topic.h"
#include "events/scratch_directory.h"

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

/// A replica that follows the topic, for a command that only reads.
class SharedKeys final : public Keys {
public:
    static Result<std::shared_ptr<const Keys>> open(const Config& config, KeyWrap wrap) {
        auto directory =
            ScratchDirectory::make(std::filesystem::temp_directory_path(), "tidings-keys");
        if (!directory) return directory.error();
        std::shared_ptr<SharedKeys> shared(new SharedKeys(std::move(*directory)));
        auto replica =
            PartnerKeys::make_replica(shared->directory_.path() / "replica", std::move(wrap));
        if (!replica) return replica.error();
        shared->keys_ = std::move(*replica);
        const kafka::Settings settings = kafka_settings(config);
        auto consumer = kafka::Consumer::create(settings);
        if (!consumer) return consumer.error();
        shared->consumer_ = std::move(*consumer);
        PartnerKeys& keys = *shared->keys_;
        kafka::KeysTopicOptions options;
        options.topic = kafka::TopicNames(settings.prefix).keys;
        options.apply = [&keys](const auto& records) { return keys.apply(records); };
        shared->topic_ = std::make_unique<kafka::KeysTopic>(nullptr, *shared->consumer_, options);
        keys.share(*shared->topic_);
        const Result<void> read = shared->topic_->read_all();
        // made by an older version, of which everything is plain
        if (!read && read.error().code == ErrorCode::not_found)
            return std::shared_ptr<const Keys>();
        if (!read) return read.error();
        shared->topic_->follow();
        return std::shared_ptr<const Keys>(std::move(shared));
    }
    std::optional<std::string> open(const ProgramId& program, PersonalField field,
                                    const PersonalText& text) const override {
        return keys_->open(program, field, text);
    }

private:
    explicit SharedKeys(ScratchDirectory directory) : directory_(std::move(directory)) {}
    const ScratchDirectory directory_;
    std::unique_ptr<PartnerKeys> keys_;
    std::unique_ptr<kafka::Consumer> consumer_;
    std::unique_ptr<kafka::KeysTopic> topic_;
};

constexpr const char* kKeysMarkText =
    "Personal texts in this log are sealed. Without keys/partners/ nobody can read them.\n";

std::filesystem::path keys_mark(const std::filesystem::path& data) { return data / "sealed"; }

std::filesystem::path deployment_key(const Config& config) {
    if (!config.deployment_key_file.empty()) return config.deployment_key_file;
    return std::filesystem::path(keys_home(config)) / "keys" / "deployment.key";
}

}  // namespace

std::filesystem::path partner_keys_directory(const std::filesystem::path& data) {
    return data / "keys" / "partners";
}

Result<void> expect_partner_keys(const std::filesystem::path& data) {
    const auto mark = keys_mark(data);
    std::error_code error;
    if (std::filesystem::exists(mark, error)) return {};
    if (auto written = write_durably(mark, kKeysMarkText); !written) return written;
    return sync_directory(data);
}

Result<void> check_partner_keys(const std::filesystem::path& data) {
    const auto directory = partner_keys_directory(data);
    std::error_code error;
    if (!std::filesystem::exists(keys_mark(data), error) ||
        std::filesystem::exists(directory, error)) {
        return {};
    }
    return Error{ErrorCode::corruption,
                 directory.string() +
                     " is missing, and with it every partner's name, email and posts: copy it "
                     "there from a backup. Only if there is none: make it, empty, and all that was "
                     "sealed stays unreadable",
                 {}};
}

Result<std::shared_ptr<PartnerKeys>> open_partner_keys(const std::filesystem::path& data,
                                                       const std::shared_ptr<const KeyRing>& ring) {
    const auto directory = partner_keys_directory(data);
    std::error_code error;
    if (std::filesystem::exists(keys_mark(data), error) &&
        std::filesystem::is_empty(directory, error)) {
        spdlog::warn("{} is empty: what was sealed before cannot be read", directory.string());
    }
    auto opened = PartnerKeys::open(directory, wrap_with(ring));
    if (!opened) return opened.error();
    if (auto marked = expect_partner_keys(data); !marked) return marked.error();
    return std::shared_ptr<PartnerKeys>(std::move(*opened));
}

Result<std::shared_ptr<PartnerKeys>> make_keys_replica(const std::filesystem::path& data,
                                                       const std::shared_ptr<const KeyRing>& ring) {
    auto made = PartnerKeys::make_replica(data / "keys" / "replica", wrap_with(ring));
    if (!made) return made.error();
    return std::shared_ptr<PartnerKeys>(std::move(*made));
}

Result<std::shared_ptr<const Keys>> read_partner_keys(const Config& config) {
    const bool shared = !config.cluster_brokers.empty();
    const auto directory = partner_keys_directory(config.data);
    std::error_code error;
    if (!std::filesystem::exists(shared ? deployment_key(config) : directory, error)) {
        return std::shared_ptr<const Keys>();
    }
    auto ring = KeyRing::open(keys_home(config), config.deployment_key_file);
    if (!ring) return ring.error();
    KeyWrap wrap = wrap_with(std::move(*ring));
    if (shared) return SharedKeys::open(config, std::move(wrap));
    auto opened = PartnerKeys::open_for_reading(directory, std::move(wrap));
    if (!opened) return opened.error();
    return std::shared_ptr<const Keys>(std::move(*opened));
}

}  // namespace tidings::apps
