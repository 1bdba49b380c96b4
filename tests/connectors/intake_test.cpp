#include "connectors/upstream/intake.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <deque>
#include <map>
#include <set>
#include <thread>

#include "connectors/await_outcome.h"
#include "projections/exports.h"
#include "tests/support/catch.h"

namespace tidings::upstream {
namespace {

const ProgramId kAcme{"acme"};

/// Only what the intake asks: programs' secrets, partners, messages.
class Models : public ReadModels {
public:
    mutable std::mutex mutex;
    std::map<ProgramId, std::string> secrets;
    std::map<PartnerId, PartnerPtr> known;
    std::set<EventNumber> messages_sent;

    std::optional<std::string> webhook_secret(const ProgramId& id) const override {
        const std::lock_guard lock(mutex);
        const auto found = secrets.find(id);
        return found == secrets.end() ? std::nullopt : std::optional(found->second);
    }
    PartnerPtr partner(const ProgramId&, const PartnerId& id) const override {
        const std::lock_guard lock(mutex);
        const auto found = known.find(id);
        return found == known.end() ? nullptr : found->second;
    }
    std::optional<MessageView> message(const ProgramId&, EventNumber number) const override {
        const std::lock_guard lock(mutex);
        return messages_sent.contains(number) ? std::optional(MessageView{}) : std::nullopt;
    }

    Tip tip() const override { return {}; }
    std::vector<PartnerId> partner_ids(const ProgramId&,
                                       std::span<const PartnerOrdinal>) const override {
        return {};
    }
    std::optional<ProgramView> program(const ProgramId&) const override { return {}; }
    ProgramSummary summary(const ProgramId&) const override { return {}; }
    TextReader texts(const ProgramId& id) const override { return {nullptr, id}; }
    Result<Page<PartnerView>> partners(const ProgramId&, const PartnerQuery&,
                                       const PageRequest&) const override {
        return Page<PartnerView>{};
    }
    Result<Page<TagCount>> tags(const ProgramId&, const PageRequest&) const override {
        return Page<TagCount>{};
    }
    Result<AudiencePreview> preview(const ProgramId&, const Audience&,
                                    const PageRequest&) const override {
        return AudiencePreview{};
    }
    Result<Page<MessageView>> messages(const ProgramId&, const PageRequest&) const override {
        return Page<MessageView>{};
    }
    MessageStats stats(const ProgramId&, EventNumber) const override { return {}; }
    Result<Page<RecipientRow>> recipients(const ProgramId&, EventNumber, RecipientState,
                                          const std::string&, const PageRequest&) const override {
        return Page<RecipientRow>{};
    }
    std::vector<OpensBucket> opens(const ProgramId&, EventNumber, OpensInterval) const override {
        return {};
    }
    std::unique_ptr<Export> export_rows(const ExportQuery&) const override { return nullptr; }
    InboxSummary inbox_summary(const ProgramId&, PartnerOrdinal) const override { return {}; }
    Result<Page<InboxRow>> inbox(const ProgramId&, PartnerOrdinal, bool, bool,
                                 const PageRequest&) const override {
        return Page<InboxRow>{};
    }
    bool is_recipient(const ProgramId&, EventNumber, PartnerOrdinal) const override { return true; }
    std::optional<ConversationView> conversation(const ProgramId&, EventNumber,
                                                 PartnerOrdinal) const override {
        return {};
    }
    std::optional<PostView> post(const ProgramId&, EventNumber, PartnerOrdinal,
                                 EventNumber) const override {
        return {};
    }
    std::optional<Timestamp> opened_at(const ProgramId&, EventNumber,
                                       PartnerOrdinal) const override {
        return {};
    }
    std::optional<TrackedOutcome> tracked(const ProgramId&, const CommandId&) const override {
        return {};
    }
    TreeHead tree_head() const override { return {}; }
    Hash256 subtree(const merkle::Subtree&) const override { return {}; }
    std::optional<CommandPosition> command_of(const ProgramId&, EventNumber) const override {
        return {};
    }
    std::optional<ProgramId> program_of(std::string_view) const override { return {}; }
    Tip ledger_before(CommandPosition) const override { return {}; }
    Tip ledger_before(Sequence) const override { return {}; }
};

/// Answers on its own thread, in order: remembers ids, makes partners known, refuses opens of
/// partner "pat".
class Host : public Broker {
public:
    Host() : thread_([this] { run(); }) {}
    ~Host() override {
        {
            const std::lock_guard lock(mutex_);
            stop_ = true;
        }
        wake_.notify_one();
        thread_.join();
    }

    boost::asio::io_context context;
    Models models;
    std::vector<Command> decided;
    std::optional<Error> broken;  ///< set before use: every submit fails with it

    std::uint32_t partitions() const override { return 1; }
    PartitionId partition_of(const ProgramId&) const override { return {3}; }
    ReadModelsPtr read(PartitionId) const override { return {ReadModelsPtr(), &models}; }
    void erase(Command, Erased) override { throw std::logic_error("not asked"); }
    void submit(Command command, Done done) override {
        {
            const std::lock_guard lock(mutex_);
            queue_.emplace_back(std::move(command), std::move(done));
        }
        wake_.notify_one();
    }
    bool pending(const ProgramId&, const CommandId&) const override { return false; }
    void wait_for(PartitionId, Sequence sequence, int,
                  std::function<void(Result<void>)> done) override {
        sequence.value > 100 ? done(Error{ErrorCode::not_caught_up, "", {}}) : done({});
    }
    ContentDigest content_digest(std::string_view canonical) const override {
        return ContentDigest::from(sha256(canonical).view().substr(0, 16));
    }
    CallerDigest caller_digest(std::string_view) const override { return {}; }
    std::string seal(std::string_view plain, std::string_view context) const override {
        return std::string(context) + ":" + std::string(plain);
    }
    Result<std::string> open(std::string_view sealed, std::string_view context) const override {
        const std::string prefix = std::string(context) + ":";
        if (!sealed.starts_with(prefix))
            return Error{ErrorCode::corruption, "not sealed for this", {}};
        return std::string(sealed.substr(prefix.size()));
    }
    Result<void> ready() const override { return {}; }
    Timestamp now() const override { return {1'000}; }

private:
    void run() {
        for (;;) {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [this] { return stop_ || !queue_.empty(); });
            if (queue_.empty()) return;
            auto [command, done] = std::move(queue_.front());
            queue_.pop_front();
            lock.unlock();
            done(answer(std::move(command)));
        }
    }

    Result<Applied> answer(Command command) {
        if (broken) return *broken;
        Applied applied{{}, {3}, {++sequence_}};
        Outcome& outcome = applied.outcome;
        outcome.status = OutcomeStatus::applied;
        const auto remembered = remembered_.find(command.id);
        if (remembered != remembered_.end()) {
            outcome.status = OutcomeStatus::replayed;
            if (remembered->second != command.digest) {
                refuse(outcome, ErrorCode::idempotency_key_reused, "");
            }
        } else if (const auto* upsert = std::get_if<UpsertPartners>(&command.body)) {
            for (const PartnerPatch& patch : upsert->partners) make_known(patch, outcome);
        } else if (const auto* opens = std::get_if<RecordOpens>(&command.body)) {
            const std::lock_guard lock(models.mutex);
            const auto pat = models.known.find(PartnerId{"pat"});
            if (pat != models.known.end() &&
                opens->groups.at(0).partners.contains(pat->second->ordinal.value)) {
                refuse(outcome, ErrorCode::not_a_recipient, "");
            }
        }
        if (command.remember && !outcome.refusal) remembered_.emplace(command.id, command.digest);
        decided.push_back(std::move(command));
        return applied;
    }

    void make_known(const PartnerPatch& patch, Outcome& outcome) {
        const std::lock_guard lock(models.mutex);
        auto& known = models.known[patch.id];
        if (known == nullptr && !patch.email) {
            models.known.erase(patch.id);
            return refuse(outcome, ErrorCode::invalid, "/email");
        }
        if (known != nullptr) return;
        auto made = std::make_shared<PartnerState>();
        made->ordinal.value = static_cast<std::uint32_t>(models.known.size());
        known = std::move(made);
    }

    static void refuse(Outcome& outcome, ErrorCode code, const char* pointer) {
        outcome.status = OutcomeStatus::refused;
        outcome.refusal = Refusal{code, pointer, "refused", Plan::starter};
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::pair<Command, Done>> queue_;
    bool stop_ = false;
    std::uint64_t sequence_ = 0;
    std::map<CommandId, ContentDigest> remembered_;
    std::thread thread_;
};

/// Runs a coroutine to its end. The host's own context: its thread may still be inside of a post.
template <class T>
T run(Host& host, boost::asio::awaitable<T> task) {
    std::optional<T> result;
    std::exception_ptr failure;
    boost::asio::co_spawn(host.context, std::move(task), [&](std::exception_ptr error, T value) {
        failure = error;
        result.emplace(std::move(value));
    });
    host.context.restart();
    host.context.run();
    if (failure) std::rethrow_exception(failure);
    return std::move(*result);
}

std::string event(int id, const std::string& type, const std::string& subject,
                  const std::string& data) {
    return R"({"specversion":"1.0","source":"s","program":"acme","id":")" + std::to_string(id) +
           R"(","type":"io.tidings.)" + type + R"(","subject":")" + subject + R"(","data":)" +
           data + "}";
}

CloudEventsResult deliver(Host& host, UpstreamIntake& intake, const std::string& events) {
    auto parsed = parse_cloudevents({{"content-type", "application/cloudevents-batch+json"}},
                                    "[" + events + "]");
    REQUIRE(parsed.has_value());
    auto result =
        run(host, intake.deliver_cloudevents(std::move(*parsed), {Role::platform, "up", "Up"}));
    REQUIRE(result.has_value());
    return *result;
}

std::string rejected(const CloudEventsResult& result) {
    std::string out;
    for (const auto& one : result.rejected) {
        CHECK_FALSE(one.detail.empty());
        out += (out.empty() ? "" : ", ") + std::to_string(one.index) + " " + name_of(one.code);
    }
    return out;
}

TEST_CASE("events apply once, in order, and each says what became of it") {
    Host host;
    host.models.messages_sent.insert({7});
    UpstreamIntake intake(host);
    const std::string message = R"({"message":")" + message_id(kAcme, {7}) + "\"}";
    const std::string events = event(1, "partner.upserted", "new", R"({"email":"a@b"})") + "," +
                               event(2, "message.opened", "new", message) + "," +  // needs event 1
                               event(3, "un.heard", "new", "{}") + ",7," +
                               event(4, "partner.upserted", "nameless", "{}") + "," +
                               event(5, "message.opened", "nobody", message) + "," +
                               event(6, "message.opened", "new", R"({"message":"msg_x"})") + "," +
                               event(7, "partner.upserted", "pat", R"({"email":"p@b"})") + "," +
                               event(8, "message.opened", "pat", message) + "," +
                               event(1, "partner.upserted", "new", R"({"email":"a@b"})") + "," +
                               event(1, "partner.upserted", "new", R"({"email":"other@b"})");
    const CloudEventsResult first = deliver(host, intake, events);
    CHECK(first.accepted == 3);
    CHECK(first.duplicates == 1);
    CHECK(first.ignored == 1);
    CHECK(rejected(first) ==
          "3 invalid, 4 invalid, 5 unknown_partner, 6 not_found, 8 not_a_recipient, "
          "10 idempotency_key_reused");
    CHECK(first.positions == Positions{{{3}, {7}}});
    CHECK(host.decided.at(0).remember);
    CHECK(host.decided.at(0).actor.sub == "up");
    CHECK(host.decided.at(0).id == cloudevent_command_id(kAcme, "s", "1"));
    const CloudEventsResult again = deliver(host, intake, events);
    CHECK(again.accepted == 0);
    CHECK(again.duplicates == 4);
    CHECK(intake.counters().events_accepted == 3);
    CHECK(intake.counters().events_duplicate == 5);
    CHECK(intake.counters().events_ignored == 2);
    CHECK(intake.counters().events_rejected == 12);
    CHECK(deliver(host, intake, "").positions.empty());
}

TEST_CASE("a long batch keeps its order") {
    Host host;
    UpstreamIntake intake(host);
    std::string events;
    constexpr int kEvents = 5'000;  // more than may be under way at once
    for (int i = 0; i < kEvents; ++i) {
        events += (i == 0 ? "" : ",") + event(i, "partner.upserted", "p", R"({"email":"a@b"})");
    }
    CHECK(deliver(host, intake, events).accepted == kEvents);
    for (int i = 0; i < kEvents; ++i) {
        REQUIRE(host.decided.at(static_cast<std::size_t>(i)).id ==
                cloudevent_command_id(kAcme, "s", std::to_string(i)));
    }
}

TEST_CASE("a broker that fails fails the request, which may be sent again") {
    Host host;
    host.broken = Error{ErrorCode::overloaded, "full", {}};
    UpstreamIntake intake(host);
    auto parsed = parse_cloudevents({{"content-type", "application/cloudevents+json"}},
                                    event(1, "partner.deleted", "p", "{}"));
    const auto result = run(host, intake.deliver_cloudevents(std::move(*parsed), {}));
    REQUIRE(result.has_error());
    CHECK(result.error().code == ErrorCode::overloaded);
}

Headers signed_with(std::string_view secret, std::string_view body) {
    std::string out(32, '\0');
    unsigned size = 0;
    HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<const unsigned char*>(body.data()), body.size(),
         reinterpret_cast<unsigned char*>(out.data()), &size);
    return {{"signature", to_hex(out)}};
}

TEST_CASE("webhooks are authenticated, read, submitted") {
    using Status = DeliveryResult::Status;
    Host host;
    host.models.secrets[kAcme] = host.seal("secret", "acme");
    host.models.secrets[{"moved"}] = host.seal("secret", "acme");  // sealed for another program
    UpstreamIntake intake(host);
    const auto deliver_body = [&](const ProgramId& program, const std::string& body,
                                  std::string_view secret = "secret") {
        return run(host, intake.deliver_partnero(program, body, signed_with(secret, body)));
    };
    const auto partner = [](const std::string& data) {
        return R"({"event":"partner.created","created_at":"2026-01-01T00:00:00Z","data":)" + data +
               "}";
    };
    const std::string good = partner(R"({"id":"p","email":"a@b"})");
    CHECK(deliver_body(kAcme, good).status == Status::accepted);
    CHECK(deliver_body(kAcme, good).positions == Positions{{{3}, {2}}});
    REQUIRE(host.decided.size() == 2);
    CHECK_FALSE(host.decided[0].remember);
    CHECK(host.decided[0].id != host.decided[1].id);
    CHECK(host.decided[0].digest == host.content_digest(good));

    CHECK(deliver_body(kAcme, good, "guess").status == Status::unauthorized);
    CHECK(deliver_body({"moved"}, good).status == Status::unauthorized);
    CHECK(deliver_body({"nowhere"}, good).status == Status::unauthorized);
    CHECK(deliver_body(kAcme, R"({"event":"reward.paid"})").status == Status::ignored);
    CHECK(deliver_body(kAcme, R"({"event":"un.heard"})").status == Status::ignored);

    const DeliveryResult broken = deliver_body(kAcme, "{");
    CHECK(broken.status == Status::refused);
    CHECK(broken.error.code == ErrorCode::malformed);
    const DeliveryResult bad = deliver_body(kAcme, partner("{}"));
    CHECK(bad.error.fields.at(0).pointer == "/data/id");
    const DeliveryResult undecided = deliver_body(kAcme, partner(R"({"id":"nameless"})"));
    CHECK(undecided.status == Status::refused);
    CHECK(undecided.error.code == ErrorCode::invalid);
    CHECK(undecided.error.fields.at(0).pointer == "/data/email");
    CHECK_FALSE(undecided.positions.empty());

    const UpstreamCounters& counters = intake.counters();
    CHECK(counters.webhooks_accepted == 2);
    CHECK(counters.webhooks_ignored == 2);
    CHECK(counters.webhooks_unknown_event == 1);
    CHECK(counters.webhooks_unauthorized == 3);
    CHECK(counters.webhooks_refused == 3);
}

TEST_CASE("a wait for a position resumes with its answer") {
    Host host;
    CHECK(run(host, wait_for(host, {3}, {5}, 10)).has_value());
    CHECK(run(host, wait_for(host, {3}, {500}, 10)).error().code == ErrorCode::not_caught_up);
}

}  // namespace
}  // namespace tidings::upstream
