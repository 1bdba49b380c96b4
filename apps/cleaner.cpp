#include "apps/cleaner.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <fstream>

#include "apps/data_directory.h"
#include "apps/errors.h"

namespace tidings::apps {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::milliseconds kFirstCleanerBackoff{500}, kLongestCleanerBackoff{10'000};

}  // namespace

Cleaner::Cleaner(fs::path directory, std::uint32_t partitions, std::shared_ptr<PartnerKeys> keys,
                 CleanerSteps steps)
    : directory_(std::move(directory)),
      keys_(std::move(keys)),
      steps_(std::move(steps)),
      parts_(partitions) {}

Result<std::unique_ptr<Cleaner>> Cleaner::open(const fs::path& data, std::uint32_t partitions,
                                               std::shared_ptr<PartnerKeys> keys,
                                               CleanerSteps steps) {
    std::unique_ptr<Cleaner> cleaner(
        new Cleaner(data / "erased", partitions, std::move(keys), std::move(steps)));
    std::error_code error;
    fs::create_directories(cleaner->directory_, error);
    if (error) return io_error("cannot make " + cleaner->directory_.string(), error);
    for (std::uint32_t p = 0; p < partitions; ++p) {
        auto cleaned = cleaner->read(PartitionId{p});
        if (!cleaned) return cleaned.error();
        cleaner->parts_[p].cleaned = std::move(*cleaned);
    }
    cleaner->look();
    return cleaner;
}

fs::path Cleaner::file_of(PartitionId partition) const {
    return directory_ / ("p" + std::to_string(partition.value));
}

Result<Cleaner::Cleaned> Cleaner::read(PartitionId partition) const {
    const fs::path file = file_of(partition);
    Cleaned out;
    std::error_code error;
    if (!fs::exists(file, error)) return out;
    std::ifstream in(file, std::ios::binary);
    for (std::string line; std::getline(in, line);) {
        Sequence at;
        const auto [end, bad] = std::from_chars(line.data(), line.data() + line.size(), at.value);
        const std::size_t size = static_cast<std::size_t>(end - line.data());
        if (bad != std::errc() || size >= line.size() || line[size] != ' ') {
            return Error{ErrorCode::corruption,
                         file.string() +
                             " is damaged: remove it, and what was erased is cleaned "
                             "up once more",
                         {}};
        }
        out[ProgramId{line.substr(size + 1)}] = at;
    }
    if (in.bad()) return Error{ErrorCode::io, "cannot read " + file.string(), {}};
    return out;
}

/// REQUIRES: mutex_ is held.
Result<void> Cleaner::keep(PartitionId partition, Cleaned cleaned) {
    std::string text;
    for (const auto& [program, at] : cleaned) {
        text += std::to_string(at.value) + " " + program.value + "\n";
    }
    if (auto written = replace_durably(file_of(partition), text); !written) return written;
    parts_[partition.value].cleaned = std::move(cleaned);
    return {};
}

Result<void> Cleaner::begin(PartitionId partition, Sequence tip) {
    const std::lock_guard lock(mutex_);
    Cleaned cleaned = parts_[partition.value].cleaned;
    bool changed = false;
    for (auto& [program, at] : cleaned) {
        if (at <= tip) continue;
        at = tip;
        changed = true;
    }
    if (!changed) return {};
    parts_[partition.value].owes = true;  // until it was looked at
    return keep(partition, std::move(cleaned));
}

Result<void> Cleaner::set_cleaned(PartitionId partition, const ErasedRows& erased) {
    const std::lock_guard lock(mutex_);
    Cleaned cleaned = parts_[partition.value].cleaned;
    for (const ProgramId& program : erased.programs) {
        cleaned[program] = std::max(cleaned[program], erased.at);
    }
    return keep(partition, std::move(cleaned));
}

/// What was erased, and is not cleaned up here.
void Cleaner::look() {
    const std::lock_guard lock(mutex_);
    for (Part& part : parts_) part.erased = {};
    for (const auto& [program, at] : keys_->erasures()) {
        Part& part = parts_[steps_.partition_of(program).value];
        const auto cleaned = part.cleaned.find(program);
        if (cleaned != part.cleaned.end() && at <= cleaned->second) continue;
        part.erased.programs.insert(program);
        part.erased.at = std::max(part.erased.at, at);
    }
    for (Part& part : parts_) part.owes = !part.erased.programs.empty();
}

void Cleaner::run_due() {
    const std::uint64_t version = keys_->erasures_version();
    const bool owing =
        std::ranges::any_of(parts_, [](const Part& part) { return part.owes.load(); });
    if (version == version_ && !owing) return;
    version_ = version;
    look();
    for (std::uint32_t p = 0; p < parts_.size(); ++p) {
        Part& part = parts_[p];
        if (part.owes && Clock::now() >= part.not_before) clean(PartitionId{p}, part);
    }
}

void Cleaner::clean(PartitionId partition, Part& part) {
    const auto applied = steps_.applied(partition);
    if (!applied || *applied < part.erased.at) return;  // soon
    Result<void> done = steps_.clean(partition, part.erased);
    if (done) done = set_cleaned(partition, part.erased);
    if (done) {
        spdlog::info("partition={} what was erased up to commit {} is gone from this disk",
                     partition.value, part.erased.at.value);
        part.owes = false;
        part.backoff = {};
        return;
    }
    part.backoff = std::clamp(2 * part.backoff, kFirstCleanerBackoff, kLongestCleanerBackoff);
    part.not_before = Clock::now() + part.backoff;
    spdlog::warn("partition={} what was erased is still on this disk: {}", partition.value,
                 done.error().detail);
}

}  // namespace tidings::apps
