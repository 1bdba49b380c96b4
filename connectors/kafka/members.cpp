#include "connectors/kafka/members.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/json.hpp>
#include <future>

#include "connectors/thread_name.h"

namespace tidings::kafka {

namespace {

namespace json = boost::json;
using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr int kBeatsPerTimeout = 6;
constexpr milliseconds kTurn{50};               ///< one wait for records
constexpr milliseconds kMembersAnswer{10'000};  ///< of the cluster at the start
constexpr milliseconds kGoodbye{500};
constexpr std::uint64_t kHistory = 5'000;  ///< newer records than this many tell of everybody

std::int64_t wall_ms() {
    return std::chrono::duration_cast<milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

}  // namespace

std::string encode_member(const Member& member) {
    json::array roles, ready;
    if (member.api) roles.emplace_back("api");
    if (member.decider) roles.emplace_back("decider");
    if (member.projector) roles.emplace_back("projector");
    for (const std::uint32_t partition : member.ready) ready.emplace_back(partition);
    return json::serialize(json::object{{"url", member.url},
                                        {"roles", std::move(roles)},
                                        {"ready", std::move(ready)},
                                        {"keys", member.keys}});
}

std::optional<Member> decode_member(std::string_view id, std::string_view value) {
    boost::system::error_code bad;
    const json::value parsed = json::parse(value, bad);
    if (bad || !parsed.is_object()) return std::nullopt;
    Member member;
    member.id = id;
    try {
        const json::object& object = parsed.get_object();
        member.url = json::value_to<std::string>(object.at("url"));
        member.keys = json::value_to<std::string>(object.at("keys"));
        for (const json::value& role : object.at("roles").as_array()) {
            if (role == "api") member.api = true;
            if (role == "decider") member.decider = true;
            if (role == "projector") member.projector = true;
        }
        for (const json::value& partition : object.at("ready").as_array()) {
            member.ready.push_back(json::value_to<std::uint32_t>(partition));
        }
    } catch (const std::exception&) {
        return std::nullopt;
    }
    return member;
}

Members::Members(Producer& producer, Consumer& consumer, MembersOptions options, Member self)
    : producer_(producer),
      options_(std::move(options)),
      self_id_(self.id),
      reader_(consumer, options_.topic, 0, PartitionReader::Gaps::allowed),
      self_(std::move(self)) {}

Members::~Members() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    wake_.notify_all();
    if (!thread_.joinable()) return;
    thread_.join();
    ProducerRecord goodbye;
    goodbye.topic = options_.topic;
    goodbye.key = self_id_;
    // Without it the others wait for the timeout. The producer may end right after: it would drop
    // what it has not sent yet.
    const auto said = std::make_shared<std::promise<void>>();
    const Result<void> sent = producer_.send(
        std::move(goodbye), false, [said](Delivery, std::uint64_t) { said->set_value(); });
    if (sent) (void)said->get_future().wait_for(kGoodbye);
}

Result<void> Members::start(std::function<void()> changed) {
    changed_ = std::move(changed);
    const auto end = reader_.end(kMembersAnswer);
    if (!end) return end.error();
    history_ = *end;
    next_ = *end - std::min(*end, kHistory);
    thread_ = std::thread([this] {
        name_thread("kafka members");
        run();
    });
    // Two turns of everybody, after our own record came back.
    const auto until = SteadyClock::now() + kMembersAnswer;
    std::unique_lock lock(mutex_);
    while (!heard_self_) {
        if (SteadyClock::now() > until) {
            return Error{
                ErrorCode::io, options_.topic + ": what is written there does not come back", {}};
        }
        wake_.wait_for(lock, kTurn);
    }
    wake_.wait_for(lock, 2 * options_.timeout / kBeatsPerTimeout, [this] { return stop_; });
    return {};
}

void Members::update(std::string url, std::vector<std::uint32_t> ready) {
    const std::lock_guard lock(mutex_);
    if (self_.url == url && self_.ready == ready) return;
    self_.url = std::move(url);
    self_.ready = std::move(ready);
    stale_ = true;
}

std::vector<Member> Members::live() const {
    std::vector<Member> out;
    const std::lock_guard lock(mutex_);
    out.reserve(seen_.size());
    for (const auto& [id, seen] : seen_) out.push_back(seen.member);
    return out;
}

void Members::publish() {
    ProducerRecord record;
    record.topic = options_.topic;
    record.key = self_id_;
    {
        const std::lock_guard lock(mutex_);
        record.value = encode_member(self_);
        stale_ = false;
    }
    const Result<void> sent =
        producer_.send(std::move(record), false, [](Delivery, std::uint64_t) {});
    if (!sent) spdlog::warn("kafka: members: {}", sent.error().detail);
}

void Members::take(const ConsumedRecord& record) {
    const std::string id(record.key());
    if (record.is_tombstone()) {
        seen_.erase(id);
        return;
    }
    auto member = decode_member(id, record.value());
    if (!member) return;
    auto at = SteadyClock::now();
    if (record.offset() < history_) {
        // Written before our start: as old as its stamp says. Later ones count from their arrival,
        // so that clocks that differ do no harm.
        const milliseconds age(std::max<std::int64_t>(0, wall_ms() - record.timestamp()));
        if (age > options_.timeout) return;
        at -= age;
    }
    if (id == self_id_) heard_self_ = true;
    seen_[id] = Seen{std::move(*member), at};
}

/// True: something was read.
bool Members::read_some() {
    auto record = reader_.read(next_, kTurn);
    if (!record) {
        if (record.error().code == ErrorCode::log_mismatch) {
            const auto end = reader_.end(kMembersAnswer);  // compacted away under us, or truncated
            if (end) next_ = *end;
        }
        std::unique_lock lock(mutex_);
        wake_.wait_for(lock, kTurn, [this] { return stop_; });
        return false;
    }
    if (!*record) return false;
    const std::lock_guard lock(mutex_);
    for (;;) {
        next_ = (*record)->offset() + 1;
        take(**record);
        record = reader_.read(next_, milliseconds(0));
        if (!record || !*record) return true;
    }
}

bool Members::drop_silent() {
    const auto oldest = SteadyClock::now() - options_.timeout;
    const std::lock_guard lock(mutex_);
    return std::erase_if(seen_, [oldest](const auto& entry) { return entry.second.at < oldest; }) >
           0;
}

void Members::run() {
    std::vector<Member> before;
    auto beat = SteadyClock::now();
    for (;;) {
        {
            const std::lock_guard lock(mutex_);
            if (stop_) return;
            if (stale_) beat = SteadyClock::now();
        }
        if (SteadyClock::now() >= beat) {
            publish();
            beat = SteadyClock::now() + options_.timeout / kBeatsPerTimeout;
        }
        (void)read_some();
        (void)drop_silent();
        wake_.notify_all();
        std::vector<Member> now = live();
        if (now == before) continue;
        before = std::move(now);
        changed_();
    }
}

}  // namespace tidings::kafka
