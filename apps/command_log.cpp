// `tidings log cat` and `tidings log tail`: print the log, also beside a running broker.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include "apps/commands.h"
#include "apps/data_directory.h"
#include "apps/directory_options.h"
#include "apps/log_lines.h"
#include "apps/personal_keys.h"
#include "events/codec.h"

namespace tidings::apps {

namespace {

constexpr std::chrono::milliseconds kTailPoll{100};

struct LogOptions {
    DirectoryOptions directory;
    std::string from;
    bool json = false;
    bool follow = false;
};

/// One partition that is printed.
struct Source {
    EmbeddedLogReader* reader;
    LogWalk walk;
};

/// The partitions that --from names, or all of them: from the beginning, or (follow) from the end.
Result<std::vector<Source>> sources(const LogOptions& options, const Codec& codec,
                                    std::vector<std::unique_ptr<EmbeddedLogReader>>& readers) {
    std::vector<Source> out;
    if (!options.from.empty()) {
        const auto starts = parse_log_starts(options.from);
        if (!starts) {
            return Error{ErrorCode::usage,
                         "--from must be PARTITION:SEQUENCE, as 0:12, or several with commas"};
        }
        for (const LogStart& start : *starts) {
            if (start.partition.value >= readers.size()) {
                return Error{ErrorCode::usage, "--from: the log has no partition " +
                                                   std::to_string(start.partition.value)};
            }
            EmbeddedLogReader* reader = readers[start.partition.value].get();
            // in the embedded log a commit's position is its sequence
            out.push_back({reader, LogWalk(*reader, codec, LogPosition{start.sequence.value})});
        }
        return out;
    }
    for (const auto& reader : readers) {
        LogPosition from{1};
        if (options.follow) {
            const Result<LogPosition> end = reader->end_of_commits();
            if (!end) return end.error();
            from = *end;
        }
        out.push_back({reader.get(), LogWalk(*reader, codec, from)});
    }
    return out;
}

/// Prints what there is of one partition now. False in the result: the output was closed.
Result<bool> print(Source& source, const Codec& codec, const Keys* keys, bool json) {
    while (true) {
        const Result<std::optional<WalkedCommit>> commit = source.walk.next();
        if (!commit) return commit.error();
        if (!*commit) return std::fflush(stdout) == 0;
        std::string lines;
        append_lines(lines, codec, keys, **commit, json);
        if (std::fwrite(lines.data(), 1, lines.size(), stdout) != lines.size()) return false;
    }
}

int run_log(const LogOptions& options) {
    const CapnpCodec codec;
    const Result<Config> config = read_settings(options.directory);
    if (!config) return report(config.error());
    auto readers = open_log_readers(config->data, EmbeddedLogReader::Mode::follow);
    if (!readers) return report(readers.error());
    const auto keys = read_partner_keys(*config);
    if (!keys) return report(keys.error());
    Result<std::vector<Source>> all = sources(options, codec, *readers);
    if (!all) return report(all.error());
    while (true) {
        for (Source& source : *all) {
            const Result<bool> printed = print(source, codec, keys->get(), options.json);
            if (!printed) return report(printed.error());
            if (!*printed) return kRefused;
        }
        if (!options.follow) return kDone;
        std::this_thread::sleep_for(kTailPoll);
        for (Source& source : *all) {
            const Result<void> refreshed = source.reader->refresh();
            if (!refreshed) return report(refreshed.error());
        }
    }
}

void add(CLI::App& parent, Chosen& chosen, const char* name, const char* help, bool follow) {
    auto options = std::make_shared<LogOptions>();
    options->follow = follow;
    CLI::App* command = parent.add_subcommand(name, help);
    add_directory_options(*command, options->directory);
    command->add_flag("--json", options->json, "one JSON object a line, with every field");
    command->add_option("--from", options->from,
                        "position to begin at, PARTITION:SEQUENCE; several with commas; only the "
                        "partitions named are printed");
    command->callback([options, &chosen] { chosen = [options] { return run_log(*options); }; });
}

}  // namespace

void add_log_command(CLI::App& app, Chosen& chosen) {
    CLI::App* log = app.add_subcommand("log", "Print the log of commands and what was decided.");
    log->require_subcommand(1);
    add(*log, chosen, "cat", "Print the log from its beginning, or from a position, to its end.",
        false);
    add(*log, chosen, "tail",
        "Print what is appended from now on, or from a position, until stopped.", true);
}

}  // namespace tidings::apps
