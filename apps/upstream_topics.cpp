#include "apps/upstream_topics.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <cctype>

#include "apps/placement.h"
#include "connectors/upstream/cloudevents.h"

namespace tidings::apps {

namespace {

namespace asio = boost::asio;
using kafka::PoisonRecord;
using kafka::UpstreamRecord;
using upstream::CloudEvent;

/// CloudEvents' Kafka protocol binding: in binary mode attributes are headers ce_NAME; the HTTP
/// binding calls them ce-NAME.
upstream::Headers http_headers(const UpstreamRecord& record) {
    upstream::Headers headers;
    for (const auto& [name, value] : record.headers) {
        std::string lower = name;
        std::transform(lower.begin(), lower.end(), lower.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        if (lower.starts_with("ce_")) lower[2] = '-';
        headers.emplace_back(std::move(lower), value);
    }
    return headers;
}

Result<CloudEvent> parse(const UpstreamRecord& record) {
    const upstream::Headers headers = http_headers(record);
    if (!upstream::header(headers, "ce-specversion")) {
        return upstream::parse_cloudevent_json(record.value);
    }
    auto events = upstream::parse_cloudevents(headers, record.value, true);
    if (!events) return events.error();
    if (events->size() != 1) return Error{ErrorCode::malformed, "not one event", {}};
    return std::move(events->front());
}

asio::awaitable<void> deliver(upstream::UpstreamIntake& intake, std::vector<UpstreamRecord> records,
                              kafka::Settled settled) {
    std::vector<CloudEvent> events;
    std::vector<PoisonRecord> poison;
    for (std::size_t i = 0; i < records.size(); ++i) {
        auto event = parse(records[i]);
        if (!event) {
            poison.push_back({i, name_of(event.error().code), event.error().detail});
            continue;
        }
        event->index = i;
        events.push_back(std::move(*event));
    }
    Actor actor{Role::platform, "upstream", "Upstream topic"};
    const auto result = co_await intake.deliver_cloudevents(std::move(events), std::move(actor));
    if (!result) {
        settled(result.error());
        co_return;
    }
    for (const auto& rejected : result->rejected) {
        poison.push_back({rejected.index, name_of(rejected.code), rejected.detail});
    }
    std::sort(poison.begin(), poison.end(),
              [](const auto& left, const auto& right) { return left.index < right.index; });
    settled(std::move(poison));
}

}  // namespace

std::unique_ptr<kafka::UpstreamReader> read_upstream_topics(
    Cluster& cluster, upstream::UpstreamIntake& intake, std::vector<std::string> topics,
    std::vector<asio::any_io_executor> executors) {
    const auto next = std::make_shared<std::atomic<std::size_t>>(0);
    const auto hand_on = [&intake, executors = std::move(executors), next](
                             std::vector<UpstreamRecord> records, const kafka::Settled& settled) {
        const auto& executor = executors[(*next)++ % executors.size()];
        auto work = deliver(intake, std::move(records), settled);
        asio::co_spawn(executor, std::move(work), [settled](const std::exception_ptr& thrown) {
            if (!thrown) return;
            try {
                std::rethrow_exception(thrown);
            } catch (const std::exception& error) {
                settled(Error{ErrorCode::io, error.what(), {}});
            }
        });
    };
    const auto is_mine = [&cluster](const kafka::UpstreamPartition& place) {
        return falls_to(cluster.members().live(), cluster.members().self(),
                        place.first + "/" + std::to_string(place.second));
    };
    auto reader = std::make_unique<kafka::UpstreamReader>(cluster.producer(), cluster.consumer(),
                                                          cluster.bookmarks(), cluster.names(),
                                                          std::move(topics), hand_on, is_mine);
    reader->start();
    return reader;
}

}  // namespace tidings::apps
