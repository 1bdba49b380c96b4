#include "apps/generations.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>

#include "apps/data_directory.h"
#include "apps/errors.h"

namespace tidings::apps {

namespace fs = std::filesystem;

namespace {

/// "p0" is generation 0 of p0, "p0.12" is generation 12; other names are none.
std::optional<std::uint64_t> number_in(std::string_view name, std::string_view partition) {
    if (name.substr(0, partition.size()) != partition) return std::nullopt;
    name.remove_prefix(partition.size());
    if (name.empty()) return 0;
    if (name.front() != '.') return std::nullopt;
    name.remove_prefix(1);
    std::uint64_t number = 0;
    const auto [stop, status] = std::from_chars(name.data(), name.data() + name.size(), number);
    const bool whole = status == std::errc() && stop == name.data() + name.size();
    if (!whole || number == 0) return std::nullopt;
    return number;
}

}  // namespace

Generations::Generations(const fs::path& data, PartitionId partition)
    : directory_(models_directory(data)), name_("p" + std::to_string(partition.value)) {}

fs::path Generations::directory_of(std::uint64_t number) const {
    return directory_ / (number == 0 ? name_ : name_ + "." + std::to_string(number));
}

Result<std::uint64_t> Generations::live_number() const {
    const fs::path path = directory_ / (name_ + ".live");
    std::error_code error;
    if (!fs::exists(path, error)) {
        if (error) return io_error("cannot look for " + path.string(), error);
        return 0;
    }
    std::ifstream in(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    if (!in) return Error{ErrorCode::io, "cannot read " + path.string(), {}};
    if (!text.empty() && text.back() == '\n') text.pop_back();
    const auto number = number_in(text, name_);
    if (number) return *number;
    return Error{ErrorCode::corruption,
                 path.string() + " does not name read models: remove " + directory_.string() +
                     ", they are made anew from the log",
                 {}};
}

Result<fs::path> Generations::live() const {
    const auto number = live_number();
    if (!number) return number.error();
    return directory_of(*number);
}

Result<fs::path> Generations::next() const {
    const auto number = live_number();
    if (!number) return number.error();
    return directory_of(*number + 1);
}

Result<void> Generations::make_live(const fs::path& directory) const {
    const auto number = number_in(directory.filename().string(), name_);
    std::error_code error;
    if (!number || directory != directory_of(*number) || !fs::is_directory(directory, error)) {
        return Error{ErrorCode::invalid, "there are no read models in " + directory.string(), {}};
    }
    const auto live = live_number();
    if (!live) return live.error();
    if (*live != *number) {
        const fs::path made = directory_ / (name_ + ".live.new");
        auto written = write_durably(made, directory.filename().string() + "\n");
        if (!written) return written;
        fs::rename(made, directory_ / (name_ + ".live"), error);
        if (error) return io_error("cannot make " + directory.string() + " live", error);
    }
    return sync_directory(directory_);
}

Result<void> Generations::remove_others(const std::vector<fs::path>& open) const {
    const auto live = live_number();
    if (!live) return live.error();
    std::error_code error;
    fs::remove_all(scratch(), error);
    if (error) return io_error("cannot remove " + scratch().string(), error);
    std::vector<fs::path> others;
    for (fs::directory_iterator entry(directory_, error), end; !error && entry != end;
         entry.increment(error)) {
        const auto number = number_in(entry->path().filename().string(), name_);
        if (!number || *number == *live || *number == *live + 1) continue;
        const bool is_open = std::find(open.begin(), open.end(), entry->path()) != open.end();
        if (!is_open) others.push_back(entry->path());
    }
    if (error == std::errc::no_such_file_or_directory) return {};
    if (error) return io_error("cannot read " + directory_.string(), error);
    for (const fs::path& other : others) {
        fs::remove_all(other, error);
        if (error) return io_error("cannot remove " + other.string(), error);
    }
    return {};
}

}  // namespace tidings::apps
