// The API on a real broker in one thread: embedded log, partition loop and read models in a
// temporary directory, stepped inside submit(); requests go through the router, without a socket.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "connectors/http/api.h"
#include "connectors/http/auth.h"
#include "connectors/http/router.h"
#include "connectors/keys.h"
#include "core/partition_loop.h"
#include "events/codec.h"
#include "events/embedded_log.h"
#include "projections/broker.h"
#include "projections/models.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"

namespace tidings::http::testing {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// A broker of one partition. Every submit is decided before it returns, unless held.
class SteppedBroker final : public Broker, private CommitObserver {
public:
    SteppedBroker(const std::filesystem::path& directory, const KeyRing& keys)
        : keys_(keys),
          log_(std::move(EmbeddedLog::open(log_config(directory)).value())),
          models_(std::move(Models::open({.directory = directory / "models"}).value())),
          loop_(*log_, codec_, *models_, *this, true) {
        loop_.verify_start().value();
    }

    // What a test turns.
    bool held = false;                   ///< commands wait for release()
    std::optional<Error> failure;        ///< given to the next submit instead
    Timestamp clock{1'767'603'600'000};  ///< 2026-01-05T09:00:00Z; a second more at each command
    std::vector<Command> submitted;
    ReadModelsPtr shown;  ///< to readers, instead of those that it folds into; null: these
    std::function<void()> before_pending;  ///< called before pending() looks

    void release() {
        held = false;
        std::deque<std::pair<Command, Done>> waiting;
        waiting.swap(waiting_);
        for (auto& [command, done] : waiting) decide(command, std::move(done));
    }
    Models& models() { return *models_; }

    std::uint32_t partitions() const override { return 1; }
    PartitionId partition_of(const ProgramId&) const override { return {}; }
    ReadModelsPtr read(PartitionId) const override { return shown ? shown : models_; }
    void erase(Command, Erased) override { throw std::logic_error("not asked"); }
    void submit(Command command, Done done) override {
        clock.value += 1'000;
        command.time = clock;
        submitted.push_back(command);
        if (failure) {
            const bool unknown = failure->code == ErrorCode::outcome_unknown;
            done(std::exchange(failure, std::nullopt).value());
            if (unknown) waiting_.emplace_back(std::move(command), [](Result<Applied>) {});
        } else if (held) {
            waiting_.emplace_back(std::move(command), std::move(done));
        } else {
            decide(command, std::move(done));
        }
    }
    bool pending(const ProgramId&, const CommandId& id) const override {
        if (before_pending) before_pending();
        for (const auto& [command, done] : waiting_) {
            if (command.id == id) return true;
        }
        return false;
    }
    void wait_for(PartitionId, Sequence sequence, int timeout_ms,
                  std::function<void(Result<void>)> done) override {
        waited_ms = timeout_ms;
        if (loop_.tip().sequence >= sequence) return done({});
        done(Error{ErrorCode::not_caught_up, "not there yet", {}});
    }
    int waited_ms = 0;
    ContentDigest content_digest(std::string_view canonical) const override {
        return keys_.content_digest(canonical);
    }
    CallerDigest caller_digest(std::string_view canonical) const override {
        return keys_.caller_digest(canonical);
    }
    std::string seal(std::string_view plain, std::string_view context) const override {
        return keys_.seal(plain, context);
    }
    Result<std::string> open(std::string_view sealed, std::string_view context) const override {
        return keys_.unseal(sealed, context);
    }
    Result<void> ready() const override { return {}; }
    Timestamp now() const override { return clock; }

private:
    static EmbeddedLogConfig log_config(const std::filesystem::path& directory) {
        EmbeddedLogConfig config;
        config.directory = directory / "log";
        config.log = LogId::from("sixteen bytes id");
        config.create = true;
        return config;
    }
    void on_applied(std::span<const Outcome> outcomes, const Tip& tip) override {
        for (const Outcome& outcome : outcomes) outcomes_[outcome.id] = {outcome, tip.sequence};
    }
    void decide(const Command& command, Done done) {
        std::string record = codec_.encode_command(command);
        if (record.size() > limits::kCommandBytes) {
            return done(Error{ErrorCode::payload_too_large, "too large", {}});
        }
        log_->append_command(std::move(record)).value();
        while (outcomes_.find(command.id) == outcomes_.end()) loop_.step().value();
        auto node = outcomes_.extract(command.id);
        node.mapped().first.events.clear();
        done(Applied{std::move(node.mapped().first), {}, node.mapped().second});
    }

    const KeyRing& keys_;
    const CapnpCodec codec_;
    std::unique_ptr<EmbeddedLog> log_;
    std::shared_ptr<Models> models_;
    PartitionLoop loop_;
    std::map<CommandId, std::pair<Outcome, Sequence>> outcomes_;
    std::deque<std::pair<Command, Done>> waiting_;
};

struct Answer {
    unsigned status = 0;
    Headers headers;
    std::string type;
    std::string body;

    boost::json::value json() const { return boost::json::parse(body); }
    std::string header(std::string_view name) const {
        for (const auto& [key, value] : headers) {
            if (key == name) return value;
        }
        return {};
    }
    /// A part of the document, by JSON pointer, as compact JSON.
    std::string part(const char* pointer) const {
        return boost::json::serialize(json().at_pointer(pointer));
    }
    /// A member's text, of a JSON object.
    std::string text(const char* name) const {
        return std::string(json().as_object().at(name).as_string());
    }
    std::string id() const { return text("id"); }
    std::string code() const { return text("code"); }
    /// {pointer: code} of a problem.
    std::map<std::string, std::string> fields() const {
        std::map<std::string, std::string> out;
        const auto document = json();
        const auto* errors = document.as_object().if_contains("errors");
        if (errors == nullptr) return out;
        for (const auto& field : errors->as_array()) {
            out[std::string(field.at("pointer").as_string())] = field.at("code").as_string();
        }
        return out;
    }
};

/// A body that comes in the pieces given.
class Pieces final : public BodyStream {
public:
    Pieces(std::deque<std::string> pieces, std::function<void(std::size_t left)> before)
        : pieces_(std::move(pieces)), before_(std::move(before)) {}
    Task<Result<std::optional<std::string>>> read() override {
        if (before_) before_(pieces_.size());
        if (pieces_.empty()) co_return std::optional<std::string>();
        std::optional<std::string> piece = std::move(pieces_.front());
        pieces_.pop_front();
        co_return piece;
    }

private:
    std::deque<std::string> pieces_;
    const std::function<void(std::size_t left)> before_;
};

/// A caller.
struct Who {
    Role role;
    const char* program = nullptr;
    const char* partner = nullptr;
    const char* sub = "olivia";
};

class World {
public:
    World() { add_api_routes(router, broker, {.rejected_kept = 20}); }

    boost::asio::io_context context;  // outlives the commands that a test leaves waiting
    tidings::testing::TemporaryDirectory data;
    std::unique_ptr<KeyRing> keys = std::move(KeyRing::open(data.path()).value());
    std::unique_ptr<TokenVerifier> verifier =
        std::move(TokenVerifier::create(keys->public_jwks(), {}).value());
    SteppedBroker broker{data.path(), *keys};
    Router router{*verifier, {}};

    using Who = testing::Who;
    static constexpr Who kPlatform{Role::platform};
    static constexpr Who kOwner{Role::owner, "acme"};
    static Who partner(const char* id) { return {Role::partner, "acme", id, id}; }

    Answer ask(const Who& who, const std::string& method, const std::string& target,
               std::string body = "", Headers headers = {}) {
        std::optional<Answer> answer =
            start(who, method, target, std::move(body), std::move(headers));
        REQUIRE(answer);
        return *answer;
    }
    Answer get(const Who& who, const std::string& target, Headers headers = {}) {
        return ask(who, "GET", target, "", std::move(headers));
    }
    Answer post(const Who& who, const std::string& target, std::string body = "",
                Headers headers = {}) {
        return ask(who, "POST", target, std::move(body), std::move(headers));
    }
    /// NDJSON in pieces of `size` bytes. `before` is called before each is read.
    Answer stream(const std::string& target, const std::string& body, std::size_t size = 1 << 16,
                  std::function<void(std::size_t left)> before = {}) {
        std::deque<std::string> pieces;
        for (std::size_t at = 0; at < body.size(); at += size) {
            pieces.push_back(body.substr(at, size));
        }
        Pieces stream(std::move(pieces), std::move(before));
        Request request = make(kPlatform, "POST", {{"content-type", "application/x-ndjson"}});
        request.stream = &stream;
        auto answer = run(request, target);
        REQUIRE(answer);
        return *answer;
    }

    /// Nothing while the request still waits for its outcome; `finish` then gives it.
    std::optional<Answer> start(const Who& who, const std::string& method,
                                const std::string& target, std::string body, Headers headers) {
        const bool patch = method == "PATCH";
        if (!body.empty()) {
            headers.emplace_back("content-type",
                                 patch ? "application/merge-patch+json" : "application/json");
        }
        begun_ = std::make_unique<Request>(make(who, method, std::move(headers)));
        begun_->body = std::move(body);
        return run(*begun_, target);
    }
    std::optional<Answer> finish() { return drain(); }

    /// Program "acme" with partners of these ids, all active.
    void make_program(const std::vector<std::string>& partners, const char* plan = "partner") {
        const std::string program = std::string(R"({"name":"Acme","plan":")") + plan + "\"}";
        REQUIRE(ask(kPlatform, "PUT", "/v1/programs/acme", program).status == 200);
        for (const std::string& id : partners) {
            REQUIRE(ask(kPlatform, "PUT", "/v1/programs/acme/partners/" + id,
                        R"({"email":")" + id + R"(@x.example"})")
                        .status == 200);
        }
    }
    /// The id of a message to all that takes replies.
    std::string send() {
        const Answer sent = post(kOwner, "/v1/programs/acme/messages",
                                 R"({"subject":"News","body":"Hello.","replies_enabled":true})");
        REQUIRE(sent.status == 201);
        return sent.id();
    }

private:
    Request make(const Who& who, const std::string& method, Headers headers) {
        Request request;
        request.method = method;
        request.headers = std::move(headers);
        request.headers.emplace_back("authorization", "Bearer " + token(who));
        return request;
    }
    std::string token(const Who& who) {
        Claims claims;
        claims.role = who.role;
        claims.sub = who.sub;
        claims.name = std::string("Name of ") + who.sub;
        if (who.program != nullptr) claims.program = ProgramId{who.program};
        if (who.partner != nullptr) claims.partner = PartnerId{who.partner};
        claims.expires_at_s = 4'102'444'800;
        std::string& known = tokens_[std::to_string(static_cast<int>(who.role)) + "/" +
                                     (who.program ? who.program : "") + "/" +
                                     (who.partner ? who.partner : "") + "/" + who.sub];
        if (known.empty()) known = keys->issue_token(claims).value();
        return known;
    }
    std::optional<Answer> run(Request& request, const std::string& target) {
        answer_.reset();
        boost::asio::co_spawn(context, whole(request, target),
                              [this](std::exception_ptr failure, Answer answer) {
                                  if (failure) std::rethrow_exception(failure);
                                  answer_ = std::move(answer);
                              });
        return drain();
    }
    /// Runs what can run now: a held command keeps its coroutine waiting without work to poll.
    std::optional<Answer> drain() {
        context.restart();
        context.poll();
        return std::exchange(answer_, std::nullopt);
    }
    Task<Answer> whole(Request& request, std::string target) {
        Response response = co_await router.dispatch(request, target);
        Answer answer{response.status, std::move(response.headers), response.content_type,
                      std::move(response.body)};
        while (response.chunks) {
            auto piece = co_await response.chunks();
            if (!piece) throw std::runtime_error(piece.error().detail);
            if (!*piece) break;
            answer.body += **piece;
        }
        co_return answer;
    }

    std::map<std::string, std::string> tokens_;
    std::unique_ptr<Request> begun_;
    std::optional<Answer> answer_;
};

inline constexpr Who kPlatform = World::kPlatform, kOwner = World::kOwner;
inline const std::string kAcme = "/v1/programs/acme";

}  // namespace tidings::http::testing
