#include "apps/snapshots.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>

#include "apps/data_directory.h"
#include "apps/errors.h"
#include "core/limits.h"
#include "events/json_output.h"
#include "events/json_value.h"

namespace tidings::apps {

namespace fs = std::filesystem;

namespace {

constexpr const char* kMarkFile = "snapshot.json";
constexpr std::uint64_t kMarkVersion = 1;
/// Names that no snapshot has: half-made, and on its way out.
constexpr const char* kMaking = "making";
constexpr const char* kRemoving = "removing";
/// After one that failed.
constexpr std::chrono::seconds kSnapshotAgain{60};

/// Reads the members of a mark, and remembers whether one was missing or of another kind.
class MarkReader {
public:
    explicit MarkReader(const JsonValue& json) : json_(json) {}
    bool good() const { return good_; }

    std::uint64_t number(const char* name) {
        const JsonValue* value = json_.find(name);
        std::uint64_t out = 0;
        if (value == nullptr || !value->is_number()) return fail(), out;
        const char* const end = value->text.data() + value->text.size();
        const auto [stop, status] = std::from_chars(value->text.data(), end, out);
        if (status != std::errc() || stop != end) fail();
        return out;
    }
    std::string text(const char* name) {
        const JsonValue* value = json_.find(name);
        if (value == nullptr || !value->is_string()) return fail(), std::string();
        return value->text;
    }
    template <class Bytes>
    Bytes bytes(const char* name) {
        const auto raw = from_hex(text(name));
        if (!raw || raw->size() != Bytes::kSize) return fail(), Bytes();
        return Bytes::from(*raw);
    }

private:
    void fail() { good_ = false; }
    const JsonValue& json_;
    bool good_ = true;
};

std::optional<SnapshotMark> parse_mark(const JsonValue& json) {
    MarkReader in(json);
    SnapshotMark mark;
    mark.log = in.bytes<LogId>("log");
    mark.partition.value = static_cast<std::uint32_t>(in.number("partition"));
    mark.partitions = static_cast<std::uint32_t>(in.number("partitions"));
    mark.tip.sequence.value = in.number("sequence");
    mark.tip.hash = in.bytes<Hash256>("hash");
    mark.tip.next_command.value = in.number("next_command");
    mark.tip.next_record.value = in.number("next_record");
    mark.log_bytes = in.number("log_bytes");
    const JsonValue* files = json.find("files");
    if (!in.good() || files == nullptr || !files->is_array()) return std::nullopt;
    for (const JsonValue& item : files->items) {
        MarkReader file(item);
        mark.files.push_back(
            {file.text("path"), file.number("bytes"), file.bytes<Hash256>("sha256")});
        if (!file.good()) return std::nullopt;
    }
    return mark;
}

std::string render_mark(const SnapshotMark& mark) {
    std::string out;
    JsonWriter json(out);
    json.open_object().key("version").number(kMarkVersion);
    json.key("log").string(to_hex(mark.log.view()));
    json.key("partition").number(mark.partition.value);
    json.key("partitions").number(mark.partitions);
    json.key("sequence").number(mark.tip.sequence.value);
    json.key("hash").string(to_hex(mark.tip.hash.view()));
    json.key("next_command").number(mark.tip.next_command.value);
    json.key("next_record").number(mark.tip.next_record.value);
    json.key("log_bytes").number(mark.log_bytes);
    json.key("files").open_array();
    for (const SnapshotFile& file : mark.files) {
        json.open_object().key("path").string(file.path).key("bytes").number(file.bytes);
        json.key("sha256").string(to_hex(file.digest.view())).close_object();
    }
    json.close_array().close_object();
    return out += '\n';
}

}  // namespace

Result<void> write_mark(const fs::path& snapshot, const SnapshotMark& mark) {
    return write_durably(snapshot / kMarkFile, render_mark(mark));
}

Result<SnapshotMark> read_mark(const fs::path& snapshot) {
    const fs::path path = snapshot / kMarkFile;
    std::ifstream in(path, std::ios::binary);
    if (!in) return Error{ErrorCode::not_found, "there is no " + path.string(), {}};
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    const auto json = parse_json(text);
    if (!json) return Error{ErrorCode::corruption, path.string() + " is damaged", {}};
    const JsonValue* version = json->find("version");
    if (version != nullptr && version->is_number() &&
        version->text != std::to_string(kMarkVersion)) {
        return Error{ErrorCode::newer_format, path.string() + " is of another version", {}};
    }
    auto mark = parse_mark(*json);
    if (!mark) return Error{ErrorCode::corruption, path.string() + " is damaged", {}};
    return std::move(*mark);
}

std::uint64_t SnapshotPolicy::spacing(std::uint64_t log_bytes) const {
    std::uint64_t spacing = std::max<std::uint64_t>(every, 1);
    while (log_bytes / spacing > most) spacing *= 2;
    return spacing;
}

bool SnapshotPolicy::is_due(std::uint64_t newest, std::uint64_t log_bytes) const {
    if (most == 0) return false;
    const std::uint64_t space = spacing(log_bytes);
    return log_bytes / space > newest / space;
}

std::vector<std::size_t> SnapshotPolicy::surplus(
    const std::vector<std::uint64_t>& snapshots) const {
    std::vector<std::size_t> out;
    if (snapshots.empty() || most == 0) return out;
    const std::uint64_t space = spacing(snapshots.back());
    std::uint64_t kept = 0;  // the models of an empty log stand at the first multiple
    for (std::size_t i = 0; i < snapshots.size(); ++i) {
        if (snapshots[i] / space == kept) {
            out.push_back(i);
        } else {
            kept = snapshots[i] / space;
        }
    }
    return out;
}

fs::path snapshots_directory(const fs::path& data, PartitionId partition) {
    return data / "snapshots" / ("p" + std::to_string(partition.value));
}

fs::path models_in(const fs::path& snapshot) { return snapshot / "models"; }

Result<std::vector<Sequence>> list_snapshots(const fs::path& directory) {
    std::vector<Sequence> out;
    std::error_code error;
    for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
         entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        std::uint64_t sequence = 0;
        const auto [stop, status] =
            std::from_chars(name.data(), name.data() + name.size(), sequence);
        if (status == std::errc() && stop == name.data() + name.size()) out.push_back({sequence});
    }
    if (error && error != std::errc::no_such_file_or_directory) {
        return io_error("cannot read " + directory.string(), error);
    }
    std::sort(out.begin(), out.end());
    return out;
}

Snapshots::Snapshots(fs::path directory, const Genesis& genesis, SnapshotPolicy policy)
    : directory_(std::move(directory)), genesis_(genesis), policy_(policy) {}

Result<void> Snapshots::find_newest(const Tip& tip) {
    std::error_code error;
    for (const char* const name : {kMaking, kRemoving}) {
        fs::remove_all(directory_ / name, error);
        if (error) return io_error("cannot remove " + (directory_ / name).string(), error);
    }
    const auto all = list_snapshots(directory_);
    if (!all) return all.error();
    for (const Sequence sequence : *all) {
        auto mark = read_mark(directory_ / std::to_string(sequence.value));
        if (!mark && mark.error().code == ErrorCode::newer_format) return mark.error();
        if (!mark) {
            if (auto removed = remove_unreadable(sequence, mark.error()); !removed) return removed;
            continue;
        }
        if (mark->log != genesis_.log || mark->partition != genesis_.partition) {
            return Error{ErrorCode::log_mismatch,
                         directory_.string() + " holds snapshots of another log",
                         {}};
        }
        newest_bytes_ = mark->log_bytes;
        if (sequence <= tip.sequence) below_ = std::move(*mark);
    }
    return {};
}

void Snapshots::open(Log& log, const Tip& tip) {
    newest_bytes_ = 0;
    below_ = SnapshotMark{};
    const Result<void> found = find_newest(tip);
    usable_ = found.has_value();
    if (!found) {
        spdlog::error("partition={} makes no snapshots: {}", genesis_.partition.value,
                      found.error().detail);
        return;
    }
    Tip at = below_.tip;
    std::uint64_t bytes = 0;
    while (at.sequence < tip.sequence && bytes < policy_.every) {
        std::vector<CommitRecord> records;
        const Result<void> read = log.read_commits(at.next_record, limits::kRunBytes, records);
        if (!read || records.empty()) break;  // whoever needs them meets the same error
        for (const CommitRecord& record : records) bytes += record.bytes.size();
        at.sequence.value += records.size();
        at.next_record.value = records.back().position.value + 1;
    }
    const std::uint64_t seen = at.sequence.value - below_.tip.sequence.value;
    if (at.sequence < tip.sequence && seen > 0) {
        bytes = bytes / seen * (tip.sequence.value - below_.tip.sequence.value);
    }
    earlier_bytes_ = below_.log_bytes + bytes;
}

void Snapshots::take_if_due(Models& models, std::uint64_t bytes) {
    const std::uint64_t log_bytes = earlier_bytes_ + bytes;
    if (!usable_ || !policy_.is_due(newest_bytes_, log_bytes)) return;
    const auto began = std::chrono::steady_clock::now();
    if (began < not_before_) return;
    const std::lock_guard lock(mutex_);
    const Result<void> taken = take(models, log_bytes);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    if (!taken) {
        ++figures_.failed;
        not_before_ = began + kSnapshotAgain;
        spdlog::error("partition={} snapshot failed: {}", genesis_.partition.value,
                      taken.error().detail);
        return;
    }
    ++figures_.taken;
    figures_.seconds = figures_.seconds + took.count();
    spdlog::info("partition={} snapshot sequence={} seconds={:.3f}", genesis_.partition.value,
                 models.tip().sequence.value, took.count());
}

Result<void> Snapshots::take(Models& models, std::uint64_t log_bytes) {
    SnapshotMark mark;
    mark.log = genesis_.log;
    mark.partition = genesis_.partition;
    mark.partitions = genesis_.partitions;
    mark.tip = models.tip();
    mark.log_bytes = log_bytes;
    const fs::path making = directory_ / kMaking;
    const fs::path made = directory_ / std::to_string(mark.tip.sequence.value);
    std::error_code error;
    fs::remove_all(making, error);
    if (!error) fs::create_directories(making, error);
    if (error) return io_error("cannot make " + making.string(), error);
    if (auto copied = models.snapshot(models_in(making)); !copied) return copied;
    if (auto written = write_mark(making, mark); !written) return written;
    if (auto synced = sync_directory(making); !synced) return synced;
    fs::rename(making, made, error);
    if (error) return io_error("cannot make " + made.string(), error);
    newest_bytes_ = log_bytes;
    if (auto synced = sync_directory(directory_); !synced) return synced;
    return remove_surplus();
}

Result<void> Snapshots::remove_all() {
    const std::lock_guard lock(mutex_);
    const auto all = list_snapshots(directory_);
    if (!all) return all.error();
    for (const Sequence sequence : *all) {
        if (auto removed = remove(sequence); !removed) return removed;
    }
    for (const char* left : {kMaking, kRemoving}) {  // by a process that died
        std::error_code error;
        fs::remove_all(directory_ / left, error);
        if (error) return io_error("cannot remove " + (directory_ / left).string(), error);
    }
    return {};
}

/// A reader that is linking its files meanwhile finds it whole or gone: first it loses its name.
Result<void> Snapshots::remove(Sequence sequence) {
    const fs::path removing = directory_ / kRemoving;
    std::error_code error;
    fs::remove_all(removing, error);
    if (!error) fs::rename(directory_ / std::to_string(sequence.value), removing, error);
    if (!error) fs::remove_all(removing, error);
    if (error) return io_error("cannot remove a snapshot in " + directory_.string(), error);
    return {};
}

Result<void> Snapshots::remove_surplus() {
    const auto all = list_snapshots(directory_);
    if (!all) return all.error();
    std::vector<Sequence> sequences;
    std::vector<std::uint64_t> log_bytes;
    for (const Sequence sequence : *all) {
        const auto mark = read_mark(directory_ / std::to_string(sequence.value));
        if (!mark) {
            if (auto removed = remove_unreadable(sequence, mark.error()); !removed) return removed;
            continue;
        }
        sequences.push_back(sequence);
        log_bytes.push_back(mark->log_bytes);
    }
    for (const std::size_t index : policy_.surplus(log_bytes)) {
        if (auto removed = remove(sequences[index]); !removed) return removed;
    }
    return {};
}

/// Whoever asks about the past passes it over; nothing is lost with it but time.
Result<void> Snapshots::remove_unreadable(Sequence sequence, const Error& why) {
    ++figures_.failed;
    spdlog::error("partition={} removes a snapshot: {}", genesis_.partition.value, why.detail);
    return remove(sequence);
}

}  // namespace tidings::apps
