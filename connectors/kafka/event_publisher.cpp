#include "connectors/kafka/event_publisher.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>

#include "connectors/thread_name.h"

namespace tidings::kafka {

namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds kPublisherAnswer{2'000};  ///< a stop waits for it
constexpr milliseconds kPublisherIdle{20};
constexpr milliseconds kPublisherAfterError{1'000};
constexpr milliseconds kBookmarkEvery{1'000};
constexpr std::size_t kUnderWay = 10'000;  ///< records not yet acknowledged, of one partition
constexpr int kCommitsATurn = 64;          ///< of one partition, before the next has its turn
constexpr const char* kResumeHeader = "tidings-resume";

std::string bookmark_name(std::uint32_t partition) { return "events/" + std::to_string(partition); }

}  // namespace

std::string encode_tip(const Tip& tip) {
    return std::to_string(tip.sequence.value) + " " + to_hex(tip.hash.view()) + " " +
           std::to_string(tip.next_command.value) + " " + std::to_string(tip.next_record.value);
}

std::optional<Tip> decode_tip(std::string_view text) {
    std::vector<std::string_view> words;
    while (!text.empty()) {
        const std::size_t space = std::min(text.find(' '), text.size());
        words.push_back(text.substr(0, space));
        text.remove_prefix(std::min(space + 1, text.size()));
    }
    if (words.size() != 4) return std::nullopt;
    const auto number = [](std::string_view word) -> std::optional<std::uint64_t> {
        std::uint64_t value = 0;
        const auto [end, bad] = std::from_chars(word.data(), word.data() + word.size(), value);
        if (bad != std::errc() || end != word.data() + word.size()) return std::nullopt;
        return value;
    };
    const auto sequence = number(words[0]), command = number(words[2]), record = number(words[3]);
    const auto hash = from_hex(words[1]);
    if (!sequence || !command || !record || !hash || hash->size() != Hash256::kSize) {
        return std::nullopt;
    }
    return Tip{Sequence{*sequence}, Hash256::from(*hash), CommandPosition{*command},
               LogPosition{*record}};
}

/// One partition that is published here.
struct EventPublisher::Work {
    /// One commit whose records were sent. Shared with the delivery reports.
    struct Sent {
        Tip tip;  ///< after it
        std::shared_ptr<std::atomic<std::size_t>> left;
    };
    Work(Consumer& consumer, const TopicNames& names, const Genesis& its_genesis)
        : genesis(its_genesis),
          reader(consumer, names.commits, static_cast<std::int32_t>(its_genesis.partition.value)) {}

    const Genesis genesis;
    PartitionReader reader;
    std::optional<Tip> tip;                 ///< sent up to here; nothing: to be taken up
    std::optional<ConsumedRecord> waiting;  ///< the read models have not applied it yet
    std::deque<Sent> sent;                  ///< not yet acknowledged whole
    std::uint64_t restarts = 0;             ///< of the producer, when it was taken up
    std::shared_ptr<std::atomic<bool>> failed = std::make_shared<std::atomic<bool>>(false);
    std::shared_ptr<std::atomic<std::size_t>> under_way =
        std::make_shared<std::atomic<std::size_t>>(0);
    Tip settled, bookmarked;
    SteadyClock::time_point bookmark_at{}, not_before{};
};

EventPublisher::EventPublisher(Producer& producer, Consumer& consumer, Bookmarks& bookmarks,
                               TopicNames names, std::vector<Genesis> genesis, const Codec& codec,
                               RenderOutcome render, AppliedSequence applied)
    : producer_(producer),
      consumer_(consumer),
      bookmarks_(bookmarks),
      names_(std::move(names)),
      genesis_(std::move(genesis)),
      codec_(codec),
      render_(std::move(render)),
      applied_(std::move(applied)) {}

EventPublisher::~EventPublisher() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
}

void EventPublisher::start() {
    thread_ = std::thread([this] {
        name_thread("kafka events");
        run();
    });
}

void EventPublisher::assign(std::set<std::uint32_t> partitions) {
    const std::lock_guard lock(mutex_);
    assigned_ = std::move(partitions);
}

void EventPublisher::run() {
    while (!stop_) {
        {
            const std::lock_guard lock(mutex_);
            std::erase_if(works_,
                          [this](const auto& work) { return !assigned_.contains(work.first); });
            for (const std::uint32_t partition : assigned_) {
                auto& work = works_[partition];
                if (!work) work = std::make_unique<Work>(consumer_, names_, genesis_[partition]);
            }
        }
        bool worked = false;
        for (const auto& [partition, work] : works_) worked = advance(*work) || worked;
        if (!worked) std::this_thread::sleep_for(kPublisherIdle);
    }
}

/// Where whoever published before got to: as the last record or the bookmark says, whichever is
/// further. Both mean that everything before was acknowledged.
Result<void> EventPublisher::take_up(Work& work) {
    const std::uint32_t partition = work.genesis.partition.value;
    work.restarts = producer_.restarts();
    Tip tip{.hash = work.genesis.hash};
    const auto marked = bookmarks_.find(bookmark_name(partition));
    if (!marked) return marked.error();
    if (*marked) {
        const auto decoded = decode_tip(**marked);
        if (decoded && tip.sequence < decoded->sequence) tip = *decoded;
    }
    PartitionReader events(consumer_, names_.events, static_cast<std::int32_t>(partition),
                           PartitionReader::Gaps::allowed);
    const auto offsets = events.query(kPublisherAnswer);
    if (!offsets) return offsets.error();
    if (offsets->first < offsets->second) {
        const auto last = events.read(offsets->second - 1, kPublisherAnswer);
        if (!last) return last.error();
        if (!*last)
            return Error{ErrorCode::io, names_.events + ": its last record does not come", {}};
        const auto resume = (*last)->header(kResumeHeader);
        const auto decoded = resume ? decode_tip(*resume) : std::nullopt;
        if (decoded && tip.sequence < decoded->sequence) tip = *decoded;
    }
    work.tip = work.settled = work.bookmarked = tip;
    work.sent.clear();
    work.waiting.reset();
    work.failed = std::make_shared<std::atomic<bool>>(false);
    work.under_way = std::make_shared<std::atomic<std::size_t>>(0);
    ++restarts_;
    spdlog::info("partition={} publishing events after commit {}", partition, tip.sequence.value);
    return {};
}

/// True: there may be more to do at once.
bool EventPublisher::advance(Work& work) {
    const auto now = SteadyClock::now();
    if (now < work.not_before) return false;
    const auto pause = [&](const Error& error) {
        spdlog::warn("partition={} events: {}", work.genesis.partition.value, error.detail);
        work.tip.reset();  // from the last acknowledged commit on
        work.not_before = SteadyClock::now() + kPublisherAfterError;
        return false;
    };
    if (work.tip && *work.failed) {
        return pause({ErrorCode::io, "a record was not acknowledged", {}});
    }
    if (!work.tip) {
        const auto taken = take_up(work);
        if (!taken) return pause(taken.error());
    }
    settle(work);
    for (int i = 0; i < kCommitsATurn; ++i) {
        if (*work.under_way >= kUnderWay) return false;
        if (!work.waiting) {
            const std::uint64_t next = std::max<std::uint64_t>(1, work.tip->next_record.value);
            auto record = work.reader.read(next, milliseconds(0));
            if (!record) return pause(record.error());
            if (!*record) return false;
            work.waiting = std::move(**record);
        }
        const auto envelope = codec_.decode_envelope(work.waiting->value());
        if (!envelope) return pause(envelope.error());
        const LogPosition at{work.waiting->offset()};
        const Verdict verdict = judge(work.genesis, *work.tip, *envelope);
        if (verdict == Verdict::alarm) {
            return pause({ErrorCode::log_mismatch,
                          "the record at " + std::to_string(at.value) +
                              " does not continue what was published",
                          {}});
        }
        if (verdict == Verdict::accept) {
            if (applied_(work.genesis.partition) < envelope->sequence) return false;
            settle(work);
            const auto published = publish(work, *envelope, std::string(work.waiting->value()));
            if (!published) return pause(published.error());
            work.tip = tidings::advance(*envelope, at);
            work.sent.back().tip = *work.tip;
        } else {
            work.tip->next_record = LogPosition{at.value + 1};
        }
        work.waiting.reset();
    }
    return true;
}

Result<void> EventPublisher::publish(Work& work, const Envelope& envelope,
                                     const std::string& commit) {
    const auto outcomes = codec_.decode_outcomes(commit);
    if (!outcomes) return outcomes.error();
    std::vector<EventRecord> records;
    try {
        for (std::size_t i = 0; i < outcomes->size(); ++i) {
            render_((*outcomes)[i], envelope.partition, CommandPosition{envelope.first.value + i},
                    envelope.sequence, records);
        }
    } catch (const std::exception& error) {
        return Error{ErrorCode::io, error.what(), {}};
    }
    // Not the tip before this commit: of what was sent before it, some may never arrive.
    const std::string resume = encode_tip(work.settled);
    auto left = std::make_shared<std::atomic<std::size_t>>(records.size());
    work.sent.push_back({{}, left});
    *work.under_way += records.size();
    for (EventRecord& event : records) {
        ProducerRecord record;
        record.topic = names_.events;
        record.partition = static_cast<std::int32_t>(envelope.partition.value);
        record.key = std::move(event.key);
        record.value = std::move(event.value);
        record.headers = {{"content-type", "application/cloudevents+json"},
                          {kResumeHeader, resume}};
        const auto done = [records = records_, left, failed = work.failed,
                           under_way = work.under_way](Delivery delivery, std::uint64_t) {
            --*under_way;
            if (delivery != Delivery::done) {
                *failed = true;
                return;
            }
            ++*records;
            --*left;
        };
        // A full queue, for instance: everything after it waits, so that nothing is left out.
        Result<void> sent = producer_.send(std::move(record), false, done, work.restarts);
        if (!sent) return sent;
    }
    return {};
}

/// Everything before `settled` is in the topic.
void EventPublisher::settle(Work& work) {
    while (!work.sent.empty() && *work.sent.front().left == 0) {
        work.settled = work.sent.front().tip;
        work.sent.pop_front();
    }
    const auto now = SteadyClock::now();
    if (work.settled == work.bookmarked || now - work.bookmark_at < kBookmarkEvery) return;
    work.bookmark_at = now;
    work.bookmarked = work.settled;
    bookmarks_.put(bookmark_name(work.genesis.partition.value), encode_tip(work.settled));
}

}  // namespace tidings::kafka
