#include "apps/forwarded_events.h"

#include <algorithm>

#include "connectors/http/forwarder.h"
#include "connectors/http/handlers_common.h"
#include "core/limits.h"
#include "events/json_value.h"

namespace tidings::apps {

namespace {

using http::Response;
using http::Task;
using upstream::CloudEventsResult;

/// Of an answer: each event may be rejected with a sentence.
constexpr std::size_t kForwardedAnswerBytes = 16 << 20;

/// Consecutive events that fit into one request: "[a,b,c]".
struct Batch {
    std::size_t begin = 0, end = 0;  ///< of the events
    std::string body;
};

Batch cut_batch(const std::vector<std::string>& events, std::size_t begin) {
    Batch batch{begin, begin, "["};
    for (; batch.end < events.size(); ++batch.end) {
        const std::string& event = events[batch.end];
        if (batch.body.size() + event.size() + 2 > limits::kJsonBytes) break;
        if (batch.end > begin) batch.body += ',';
        batch.body += event;
    }
    batch.body += ']';
    return batch;
}

Error bad_answer(std::string detail) {
    return {ErrorCode::io, "events passed on: " + std::move(detail), {}};
}

/// What the caller may be told as it is; everything else would speak of this process's request.
Error error_in(const Response& response) {
    const auto document = parse_json(response.body);
    const JsonValue* code = document ? document->find("code") : nullptr;
    const JsonValue* detail = document ? document->find("detail") : nullptr;
    const std::string sentence = detail != nullptr ? detail->text : std::string();
    for (const ErrorCode told :
         {ErrorCode::overloaded, ErrorCode::not_caught_up, ErrorCode::outcome_unknown}) {
        if (code != nullptr && code->text == name_of(told)) return {told, sentence, {}};
    }
    return bad_answer(std::to_string(response.status) + " " + sentence);
}

std::optional<ErrorCode> parse_code(std::string_view name) {
    for (int i = 0; i <= static_cast<int>(ErrorCode::not_a_recipient); ++i) {
        if (name == name_of(static_cast<ErrorCode>(i))) return static_cast<ErrorCode>(i);
    }
    return std::nullopt;
}

std::optional<std::uint64_t> number_in(const JsonValue& object, std::string_view name) {
    const JsonValue* value = object.find(name);
    if (value == nullptr || !value->is_number()) return std::nullopt;
    const auto number = integer_of(value->text);
    if (!number || *number < 0) return std::nullopt;
    return static_cast<std::uint64_t>(*number);
}

/// Adds what an answer says of `batch` to `all`.
Result<void> add_answer(const Response& response, const Batch& batch, std::uint32_t partitions,
                        CloudEventsResult& all) {
    if (response.status != 200) return error_in(response);
    const auto document = parse_json(response.body);
    if (!document) return bad_answer(document.error().detail);
    const auto accepted = number_in(*document, "accepted");
    const auto duplicates = number_in(*document, "duplicates");
    const auto ignored = number_in(*document, "ignored");
    const JsonValue* rejected = document->find("rejected");
    if (!accepted || !duplicates || !ignored || rejected == nullptr) return bad_answer("no counts");
    all.accepted += *accepted;
    all.duplicates += *duplicates;
    all.ignored += *ignored;
    for (const JsonValue& one : rejected->items) {
        const auto index = number_in(one, "index");
        const JsonValue* code = one.find("code");
        const JsonValue* detail = one.find("detail");
        const auto known = code != nullptr ? parse_code(code->text) : std::nullopt;
        if (!index || *index >= batch.end - batch.begin || !known || detail == nullptr) {
            return bad_answer("a rejected event that was not asked about");
        }
        all.rejected.push_back({batch.begin + *index, *known, detail->text});
    }
    for (const auto& [name, value] : response.headers) {
        if (name != "Tidings-Position") continue;
        const auto positions = http::parse_positions(value, partitions);
        if (!positions) return bad_answer("no position");
        for (const auto& [partition, sequence] : *positions) {
            Sequence& newest = all.positions[partition];
            newest = std::max(newest, sequence);
        }
    }
    return {};
}

/// An answer that is streamed, complete.
Task<Result<void>> collect(Response& response) {
    while (response.chunks) {
        auto piece = co_await response.chunks();
        if (!piece) co_return piece.error();
        if (!*piece) break;
        response.body += **piece;
        if (response.body.size() > kForwardedAnswerBytes)
            co_return bad_answer("the answer is too long");
    }
    co_return Result<void>{};
}

Task<Result<CloudEventsResult>> deliver(http::Forwarder& forwarder, std::uint32_t partitions,
                                        PartitionId partition, std::vector<std::string> events,
                                        Actor actor) {
    CloudEventsResult all;
    http::ForwardedPost post{partition, "/v1/events", "application/cloudevents-batch+json", "",
                             std::move(actor)};
    for (std::size_t at = 0; at < events.size();) {
        Batch batch = cut_batch(events, at);
        if (batch.end == at) {
            all.rejected.push_back(
                {at++, ErrorCode::payload_too_large, "the event is larger than a request may be"});
            continue;
        }
        post.body = std::move(batch.body);
        Response response = co_await forwarder.post(post);
        const auto whole = co_await collect(response);
        if (!whole) co_return whole.error();
        const auto added = add_answer(response, batch, partitions, all);
        if (!added) co_return added.error();
        at = batch.end;
    }
    co_return all;
}

}  // namespace

upstream::DeliverElsewhere deliver_over(http::Forwarder& forwarder, std::uint32_t partitions) {
    return [&forwarder, partitions](PartitionId partition, std::vector<std::string> events,
                                    Actor actor) {
        return deliver(forwarder, partitions, partition, std::move(events), std::move(actor));
    };
}

}  // namespace tidings::apps
