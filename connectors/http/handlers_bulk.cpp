// Streams of NDJSON: the import of partners and opens in bulk. Lines become chunks, chunks become
// commands of which a few are under way at once; memory is bounded whatever the stream's length.
#include <algorithm>
#include <deque>
#include <unordered_map>

#include "connectors/await_outcome.h"
#include "connectors/http/handlers_common.h"
#include "connectors/http/handlers_lines.h"
#include "connectors/http/problem.h"
#include "connectors/http/router.h"
#include "events/json_output.h"

namespace tidings::http {

namespace {

constexpr std::size_t kMessagesRemembered = 1'024;  ///< resolved ids in one bulk of opens
/// What a patch takes in an encoded command beyond its line's bytes, at most: numbers, list heads,
/// padding, and what sealing adds to its texts.
constexpr std::size_t kPatchOverheadBytes = 304;
/// A line's fields are bounded: however long the line, they take no more than this.
constexpr std::size_t kPatchBytes = 128 << 10;

/// Parses a line and hands it to `read(value, errors)`; nothing if it was rejected.
template <class Read>
auto read_line(std::uint64_t line, std::string_view text, RejectedLines& rejected, Read read)
    -> std::optional<decltype(read(std::declval<const JsonValue&>(),
                                   std::declval<FieldErrors&>()))> {
    const auto json = parse_json(text);
    if (!json) {
        rejected.add(line, name_of(json.error().code), json.error().detail);
        return std::nullopt;
    }
    FieldErrors errors;
    auto value = read(*json, errors);
    if (errors.empty()) return value;
    rejected.add(line, name_of(ErrorCode::invalid), errors.first());
    return std::nullopt;
}

std::string detail_of(const Refusal& refusal) {
    return refusal.pointer.empty() ? refusal.detail : refusal.pointer + ": " + refusal.detail;
}

PartnerPatch read_import_line(const JsonValue& json, FieldErrors& errors) {
    return partner_patch_from_json(json, PatchMode::import, errors);
}

/// Partners to upsert.
class ImportWork {
public:
    struct Line {
        std::uint64_t number;
        std::size_t begin, size;  ///< in `text`
        bool has_email;
    };
    struct Chunk {
        std::string text;  ///< the lines, in case some have to be sent again
        std::vector<Line> lines;
        std::vector<PartnerPatch> patches;  ///< of the lines; empty once submitted
    };

    void add(std::uint64_t number, std::string_view text, RejectedLines& rejected) {
        auto patch = read_line(number, text, rejected, read_import_line);
        if (patch) append(chunk_, number, text, std::move(*patch));
    }
    bool full() const {
        const std::size_t lines = chunk_.lines.size(), bytes = chunk_.text.size();
        return lines >= limits::kImportChunkPartners || bytes >= limits::kImportChunkBytes ||
               bytes + lines * kPatchOverheadBytes >= limits::kCommandBytes - kPatchBytes;
    }
    bool empty() const { return chunk_.lines.empty(); }
    Chunk cut() { return std::exchange(chunk_, Chunk()); }
    static CommandBody command(Chunk& chunk) {
        UpsertPartners body;
        body.partners = std::exchange(chunk.patches, {});
        body.revive = true;
        return body;
    }

    /// Lines to send again, if any: those that did not fit into the event with the ones before.
    Result<Chunk> settle(const Chunk& chunk, const Outcome& outcome, RejectedLines& rejected) {
        Chunk again;
        if (outcome.refusal && chunk.lines.size() > 1) return error_of(*outcome.refusal);
        if (outcome.refusal) {
            rejected.add(chunk.lines.front().number, name_of(outcome.refusal->code),
                         detail_of(*outcome.refusal));
            return again;
        }
        created_ += outcome.created;
        updated_ += outcome.updated;
        unchanged_ += outcome.unchanged;
        for (const Rejected& one : outcome.rejected) {
            const Line& line = chunk.lines[one.index];
            if (one.code == ErrorCode::payload_too_large) {
                const auto text = std::string_view(chunk.text).substr(line.begin, line.size);
                auto patch = read_line(line.number, text, rejected, read_import_line);
                if (patch) append(again, line.number, text, std::move(*patch));
                continue;
            }
            rejected.add(line.number, name_of(one.code),
                         line.has_email ? "/metrics: out of range"
                                        : "/email: is required when a partner is first seen");
        }
        return again;
    }

    void append_counts(JsonWriter& json) const {
        json.key("created").number(created_).key("updated").number(updated_);
        json.key("unchanged").number(unchanged_);
    }

private:
    static void append(Chunk& chunk, std::uint64_t number, std::string_view text,
                       PartnerPatch patch) {
        chunk.lines.push_back({number, chunk.text.size(), text.size(), patch.email.has_value()});
        chunk.text += text;
        chunk.patches.push_back(std::move(patch));
    }

    Chunk chunk_;
    std::uint64_t created_ = 0, updated_ = 0, unchanged_ = 0;
};

/// Opens to record. Ids are resolved when their line is read, by the read models that are live
/// then: others may take their place while the stream lasts.
class OpensWork {
public:
    struct Open {
        EventNumber message;
        PartnerOrdinal partner;
        std::uint64_t line;
        std::optional<Timestamp> at;
        auto key() const { return std::pair(message, partner); }
    };
    using Chunk = std::vector<Open>;  ///< once cut: by message, partner and line

    OpensWork(const Broker& broker, ProgramId program)
        : broker_(broker), program_(std::move(program)), now_(broker.now()) {}

    void add(std::uint64_t number, std::string_view text, RejectedLines& rejected) {
        const auto open = read_line(number, text, rejected, open_from_json);
        if (!open) return;
        const ReadModelsPtr models = broker_.read(program_);
        const auto message = find(*models, open->message);
        if (!message) {
            return rejected.add(number, name_of(ErrorCode::not_found), "/message: no such message");
        }
        const PartnerPtr partner = models->partner(program_, open->partner);
        if (!partner) {
            return rejected.add(number, name_of(ErrorCode::not_found), "/partner: no such partner");
        }
        chunk_.push_back({*message, partner->ordinal, number, open->at});
    }
    bool full() const { return chunk_.size() >= limits::kOpensChunk; }
    bool empty() const { return chunk_.empty(); }
    Chunk cut() {
        std::sort(chunk_.begin(), chunk_.end(), [](const Open& a, const Open& b) {
            return std::pair(a.key(), a.line) < std::pair(b.key(), b.line);
        });
        return std::exchange(chunk_, Chunk());
    }

    /// Of several lines for one message and partner the first counts.
    CommandBody command(const Chunk& chunk) const {
        RecordOpens body;
        for (std::size_t begin = 0; begin < chunk.size();) {
            RecordOpens::Group& group = body.groups.emplace_back();
            group.message = chunk[begin].message;
            std::size_t end = begin;
            std::vector<std::uint32_t> partners;
            bool timed = false;
            for (; end < chunk.size() && chunk[end].message == group.message; ++end) {
                const Open& open = chunk[end];
                if (!partners.empty() && partners.back() == open.partner.value) continue;
                partners.push_back(open.partner.value);
                group.at.push_back(open.at.value_or(now_));
                timed = timed || open.at.has_value();
            }
            group.partners.addMany(partners.size(), partners.data());
            if (!timed) group.at.clear();
            begin = end;
        }
        return body;
    }

    Result<Chunk> settle(const Chunk& chunk, const Outcome& outcome, RejectedLines& rejected) {
        std::size_t bad = 0;
        if (outcome.refusal) {
            // One open alone is refused as such; nothing else of a bulk is.
            if (chunk.front().key() != chunk.back().key()) return error_of(*outcome.refusal);
            bad = reject(chunk.begin(), chunk.end(), outcome.refusal->code, rejected);
        }
        for (const Rejected& one : outcome.rejected) {
            if (outcome.refusal) break;
            const auto key = std::pair(one.message, PartnerOrdinal{one.index});
            const auto below = [](const Open& open, const auto& wanted) {
                return open.key() < wanted;
            };
            const auto above = [](const auto& wanted, const Open& open) {
                return wanted < open.key();
            };
            const auto begin = std::lower_bound(chunk.begin(), chunk.end(), key, below);
            bad +=
                reject(begin, std::upper_bound(begin, chunk.end(), key, above), one.code, rejected);
        }
        accepted_ += chunk.size() - bad;
        first_opens_ += outcome.first_opens;
        return Chunk();
    }

    void append_counts(JsonWriter& json) const {
        json.key("accepted").number(accepted_).key("first_opens").number(first_opens_);
    }

private:
    static std::size_t reject(Chunk::const_iterator begin, Chunk::const_iterator end,
                              ErrorCode code, RejectedLines& rejected) {
        for (auto open = begin; open != end; ++open) {
            rejected.add(open->line, name_of(code), "the partner did not receive this message");
        }
        return static_cast<std::size_t>(end - begin);
    }

    std::optional<EventNumber> find(const ReadModels& models, const std::string& id) {
        const auto known = messages_.find(id);
        if (known != messages_.end()) return known->second;
        auto number = parse_message_id(program_, id);
        if (number && !models.message(program_, *number)) number.reset();
        if (!number) return number;
        if (messages_.size() >= kMessagesRemembered) messages_.clear();
        messages_.emplace(id, *number);
        return number;
    }

    const Broker& broker_;
    const ProgramId program_;
    const Timestamp now_;
    Chunk chunk_;
    std::unordered_map<std::string, EventNumber> messages_;
    std::uint64_t accepted_ = 0, first_opens_ = 0;
};

/// One bulk request: reads lines, keeps commands under way, sums up.
template <class Work>
class Bulk {
public:
    Bulk(Api& api, Request& request, const ProgramId& program, Work work)
        : api_(api),
          request_(request),
          program_(program),
          work_(std::move(work)),
          pipeline_(api.broker),
          splitter_(limits::kJsonBytes),
          rejected_(api.options.rejected_kept) {}

    Task<Result<Response>> run() {
        for (;;) {
            auto piece = co_await request_.stream->read();
            if (!piece) co_return piece.error();
            const bool end = !*piece;
            if (end) {
                splitter_.feed({});
                splitter_.finish();
            } else {
                splitter_.feed(std::move(**piece));
            }
            while (const auto line = splitter_.next()) {
                take(*line);
                if (!work_.full()) continue;
                if (auto sent = co_await send(work_.cut()); !sent) co_return sent.error();
            }
            if (end) break;
        }
        if (!work_.empty()) {
            if (auto sent = co_await send(work_.cut()); !sent) co_return sent.error();
        }
        while (!sent_.empty()) {
            co_await pipeline_.wait_until_at_most(0);
            if (auto settled = settle(); !settled) co_return settled.error();
        }
        co_return summary();
    }

private:
    using Chunk = typename Work::Chunk;
    struct Sent {
        std::size_t command;  ///< in the pipeline
        Chunk chunk;
    };

    void take(const LineSplitter::Line& line) {
        if (line.too_long) {
            rejected_.add(line.number, name_of(ErrorCode::payload_too_large),
                          "a line has at most " + std::to_string(limits::kJsonBytes) + " bytes");
        } else if (!is_blank_line(line.text)) {
            work_.add(line.number, line.text, rejected_);
        }
    }

    Task<Result<void>> send(Chunk chunk) {
        co_await pipeline_.wait_until_at_most(api_.options.bulk_commands - 1);
        if (auto settled = settle(); !settled) co_return settled.error();
        submit(std::move(chunk));
        co_return Result<void>{};
    }

    void submit(Chunk chunk) {
        CommandBody body = work_.command(chunk);
        Command command = make_command(request_, program_, std::move(body));
        command.id = random_command_id();  // one of many: none is the request's
        const std::size_t index = pipeline_.submit(std::move(command));
        sent_.push_back({index, std::move(chunk)});
    }

    /// Takes in every answer that has come. Errors: the request can't go on; what was applied
    /// stays.
    Result<void> settle() {
        std::deque<Sent> waiting;
        waiting.swap(sent_);
        for (Sent& one : waiting) {
            if (!pipeline_.is_answered(one.command)) {
                sent_.push_back(std::move(one));
                continue;
            }
            const auto applied = pipeline_.take(one.command);
            if (!applied) return stopped(applied.error());
            if (!last_ || last_->sequence < applied->sequence) last_ = *applied;
            auto again = work_.settle(one.chunk, applied->outcome, rejected_);
            if (!again) return stopped(again.error());
            if (!is_empty(*again)) submit(std::move(*again));
        }
        return {};
    }

    static bool is_empty(const ImportWork::Chunk& chunk) { return chunk.lines.empty(); }
    static bool is_empty(const OpensWork::Chunk& chunk) { return chunk.empty(); }

    static Error stopped(Error error) {
        error.detail += "; some lines have been applied, and sending all of them again is harmless";
        return error;
    }

    Response summary() {
        std::string body;
        JsonWriter json(body);
        json.open_object();
        work_.append_counts(json);
        rejected_.append_members(json.raw());
        json.close_object();
        Response response = json_response(200, std::move(body));
        if (last_) add_position(response, *last_);
        return response;
    }

    Api& api_;
    Request& request_;
    const ProgramId program_;
    Work work_;
    Pipeline pipeline_;
    LineSplitter splitter_;
    RejectedLines rejected_;
    std::deque<Sent> sent_;
    std::optional<Applied> last_;  ///< the one with the newest commit
};

/// Its id alone: a stream lasts, and must not keep read models that others have replaced.
Result<ProgramId> find_program_id(Api& api, const Request& request) {
    const auto scope = find_program(api, request);
    if (!scope) return scope.error();
    return scope->id();
}

Task<Result<Response>> import_partners(Api& api, Request& request) {
    const auto program = find_program_id(api, request);
    if (!program) co_return program.error();
    if (auto parameters = check_parameters(request); !parameters) co_return parameters.error();
    Bulk<ImportWork> bulk(api, request, *program, ImportWork());
    co_return co_await bulk.run();
}

Task<Result<Response>> record_opens(Api& api, Request& request) {
    const auto program = find_program_id(api, request);
    if (!program) co_return program.error();
    if (auto parameters = check_parameters(request); !parameters) co_return parameters.error();
    Bulk<OpensWork> bulk(api, request, *program, OpensWork(api.broker, *program));
    co_return co_await bulk.run();
}

}  // namespace

void add_bulk_routes(Router& router, Api& api) {
    const auto stream = [&](std::string pattern, std::string name, Write handler) {
        router.add({.method = "POST",
                    .pattern = std::move(pattern),
                    .name = std::move(name),
                    .body = BodyKind::stream,
                    .consumes = {"application/x-ndjson", "application/ndjson", "application/jsonl",
                                 "application/json"},
                    .roles = kPlatform,
                    .checks_parameters = true,
                    .handler = writing(api, handler)});
    };
    stream("/v1/programs/{p}/partners/import", "import_partners", import_partners);
    stream("/v1/programs/{p}/opens", "record_opens", record_opens);
}

}  // namespace tidings::http
