// The node on Kafka: which partitions it holds and decides, as the members come and go.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "apps/data_directory.h"
#include "apps/node.h"
#include "connectors/analytics/events.h"
#include "connectors/thread_name.h"

namespace tidings::apps {

namespace {

constexpr std::chrono::milliseconds kBalanceEvery{100};
constexpr std::chrono::seconds kAdoptAgain{5};  ///< after read models that could not be opened

/// What the log itself says when it does not hold what was applied names neither topic nor remedy.
Error with_remedy(Error error, const std::string& commits, std::uint32_t partition) {
    if (error.code != ErrorCode::log_mismatch) return error;
    const std::string place = " [" + std::to_string(partition) + "]";
    const bool named = error.detail.find(place) != std::string::npos;
    error.detail = (named ? "" : commits + place + ": ") + error.detail +
                   ". The topics were truncated, recreated or replaced: restore them, or start a "
                   "new deployment with another prefix and an empty data directory";
    return error;
}

}  // namespace

Result<void> Node::open_cluster() {
    std::error_code unseen;
    if (std::filesystem::exists(log_directory(options_.data), unseen)) {
        return Error{ErrorCode::usage,
                     options_.data.string() +
                         " has an embedded log: it cannot become part of a deployment on Kafka",
                     {}};
    }
    const std::string fingerprint = to_hex(
        keys_->caller_digest("tidings.fingerprint.v3\n" + keys_->checkpoint_public_key()).view());
    auto cluster = Cluster::open(*options_.cluster, options_.data, fingerprint);
    if (!cluster) return cluster.error();
    cluster_ = std::move(*cluster);
    slots_ = std::vector<Slot>(cluster_->genesis().size());
    view_ = std::make_shared<View>(View{std::vector<std::vector<std::string>>(slots_.size())});
    return open_keys_topic();
}

Result<void> Node::start_cluster() {
    const Result<void> joined = cluster_->members().start([this] {
        {
            const std::lock_guard lock(balance_mutex_);
            balance_due_ = true;
        }
        balance_wake_.notify_one();
    });
    if (!joined) return joined.error();
    if (const Result<void> same = check_keys(); !same) return same.error();
    if (const Result<void> noted = note_last_plain(); !noted) return noted.error();
    if (options_.cluster->roles.projector && options_.cluster->publishes) make_publisher();
    balance();
    balance_thread_ = std::thread([this] {
        name_thread("balance");
        run_balance();
    });
    for (std::uint32_t p = 0; p < partitions(); ++p) {
        PartitionHost* host = host_of(PartitionId{p});
        if (host == nullptr) continue;
        const Result<void> started = host->wait_started();
        if (!started) return with_remedy(started.error(), cluster_->names().commits, p);
    }
    return {};
}

/// Idempotency keys and callers are told apart by digests under a key: it must be one for all.
Result<void> Node::check_keys() const {
    const std::vector<kafka::Member> live = cluster_->members().live();
    const auto self = std::find_if(live.begin(), live.end(), [this](const kafka::Member& member) {
        return member.id == cluster_->members().self();
    });
    if (self == live.end()) return {};
    for (const kafka::Member& member : live) {
        if (member.keys == self->keys) continue;
        return Error{ErrorCode::usage,
                     "another process of this deployment (" + member.url +
                         ") has other keys: let all of them use the same keys/ (keys.data, and "
                         "keys.deployment_key_file)",
                     {}};
    }
    return {};
}

void Node::make_publisher() {
    const auto render = [this](const Outcome& outcome, PartitionId partition,
                               CommandPosition command, Sequence sequence,
                               std::vector<kafka::EventRecord>& out) {
        std::vector<analytics::AnalyticsRecord> records;
        analytics::render_outcome(outcome, partition, command, sequence, *read(partition), records);
        for (auto& record : records) {
            out.push_back({std::move(record.key), std::move(record.value)});
        }
    };
    const auto applied = [this](PartitionId partition) {
        const PartitionHost* host = host_of(partition);
        return host == nullptr ? Sequence{} : host->figures().applied;
    };
    publisher_ = std::make_unique<kafka::EventPublisher>(
        cluster_->producer(), cluster_->consumer(), cluster_->bookmarks(), cluster_->names(),
        cluster_->genesis(), *codec_, render, applied);
    publisher_->start();
}

void Node::advertise(std::string url) {
    {
        const std::lock_guard lock(view_mutex_);
        url_ = std::move(url);
    }
    const std::lock_guard lock(balance_mutex_);
    balance_due_ = true;
    balance_wake_.notify_one();
}

void Node::run_balance() {
    for (;;) {
        {
            std::unique_lock lock(balance_mutex_);
            balance_wake_.wait_for(lock, kBalanceEvery,
                                   [this] { return balance_due_ || balance_stop_; });
            if (balance_stop_) return;
            balance_due_ = false;
        }
        balance();
    }
}

/// Takes, parks, decides and tells the others, as the live members say.
void Node::balance() {
    const ClusterOptions& options = cluster_->options();
    kafka::Members& members = cluster_->members();
    const std::vector<kafka::Member> live = members.live();
    const std::vector<PlacedPartition> placed = place(live, partitions(), options.replicas);
    const bool alive = std::any_of(live.begin(), live.end(), [&](const kafka::Member& member) {
        return member.id == members.self();
    });
    std::vector<std::uint32_t> ready;
    std::set<std::uint32_t> published;
    for (std::uint32_t p = 0; p < partitions(); ++p) {
        const PlacedPartition& place = placed[p];
        const bool mine = std::find(place.holders.begin(), place.holders.end(), members.self()) !=
                          place.holders.end();
        const bool owes = owes_elsewhere(PartitionId{p});
        if ((mine || owes) && host_of(PartitionId{p}) == nullptr) {
            const auto now = std::chrono::steady_clock::now();
            if (now < slots_[p].adopt_not_before) continue;
            const Result<void> adopted = adopt(PartitionId{p});
            if (!adopted) {
                spdlog::error("partition={} {}", p, adopted.error().detail);
                slots_[p].adopt_not_before = now + kAdoptAgain;
            }
        }
        PartitionHost* host = host_of(PartitionId{p});
        if (host == nullptr) continue;
        if (mine || owes) {
            host->park(false);
        } else if (alive) {
            // Not before those that it now belongs to have all of it.
            const bool others_have_it =
                !place.holders.empty() &&
                std::all_of(live.begin(), live.end(), [&](const kafka::Member& member) {
                    return std::find(place.holders.begin(), place.holders.end(), member.id) ==
                               place.holders.end() ||
                           is_ready(member, p);
                });
            if (others_have_it) host->park(true);
        }
        const bool decides = options.roles.decider &&
                             (options.always_decides || (alive && place.decider == members.self()));
        host->set_decides(decides);
        const bool others_serve =
            std::any_of(live.begin(), live.end(), [&](const kafka::Member& member) {
                return member.id != members.self() && is_ready(member, p);
            });
        slots_[p].held = host->serves() || (host->halted() && !others_serve);
        if (host->caught_up()) ready.push_back(p);
        if (alive && place.publisher == members.self()) published.insert(p);
    }
    if (publisher_ != nullptr) publisher_->assign(std::move(published));
    std::string url;
    {
        const std::lock_guard lock(view_mutex_);
        url = url_;
    }
    members.update(std::move(url), std::move(ready));
    publish_view(live, placed);
}

Result<void> Node::adopt(PartitionId partition) {
    Result<OpenedModels> opened = open_models(partition);
    if (!opened) return opened.error();
    const auto begun = cleaner_->begin(partition, opened->models->tip().sequence);
    if (!begun) return begun.error();
    PartitionHostOptions options = host_options(partition, opened->anew);
    options.decides = false;
    options.patient = true;
    auto host = std::make_unique<PartitionHost>(
        cluster_->make_log(partition), std::move(opened->models), *codec_, clock_, options);
    host->start();
    put_host(partition, std::move(host));
    if (cancelled_) host_of(partition)->begin_stop(std::chrono::milliseconds(0));
    // otherwise it is what the partition itself is filling
    if (opened->anew.empty()) rebuilds_->resume(partition);
    return {};
}

/// Those that have caught up, the ones that it belongs to first.
void Node::publish_view(const std::vector<kafka::Member>& live,
                        const std::vector<PlacedPartition>& placed) {
    auto view = std::make_shared<View>();
    view->holders.resize(placed.size());
    for (std::uint32_t p = 0; p < placed.size(); ++p) {
        std::vector<std::string>& urls = view->holders[p];
        const auto add = [&](const kafka::Member& member) {
            const bool known = std::find(urls.begin(), urls.end(), member.url) != urls.end();
            if (known || member.url.empty() || member.id == cluster_->members().self()) return;
            if (is_ready(member, p)) urls.push_back(member.url);
        };
        for (const std::string& id : placed[p].holders) {
            const auto member = std::find_if(live.begin(), live.end(),
                                             [&](const kafka::Member& m) { return m.id == id; });
            if (member != live.end()) add(*member);
        }
        for (const kafka::Member& member : live) add(member);
    }
    const std::lock_guard lock(view_mutex_);
    view_ = std::move(view);
}

std::vector<std::string> Node::holders(PartitionId partition) const {
    const std::lock_guard lock(view_mutex_);
    if (view_ == nullptr) return {};
    return view_->holders.at(partition.value);
}

}  // namespace tidings::apps
