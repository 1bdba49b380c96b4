// `tidings export`: a table of a program as CSV or NDJSON, from a data directory or from a running
// broker.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>

#include "apps/command_history.h"
#include "apps/commands.h"
#include "apps/errors.h"
#include "apps/http_client.h"
#include "apps/progress.h"
#include "connectors/http/render_export.h"

namespace tidings::apps {

namespace {

struct ExportOptions {
    PlaceOptions place;
    std::string table, message, out, url, token;
    std::string format = "ndjson";
};

/// Standard output, or a file that has its name only once it is whole.
class Output {
public:
    /// `file` empty: standard output.
    static Result<std::unique_ptr<Output>> open(const std::string& file) {
        if (file.empty()) return std::unique_ptr<Output>(new Output({}, {}, STDOUT_FILENO));
        struct stat status {};
        if (::stat(file.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
            return usage("--out " + file + " is no file: leave it out for standard output");
        }
        std::string draft = file + ".part-" + std::to_string(::getpid());
        const int descriptor =
            ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (descriptor < 0)
            return io_error("cannot write " + draft, {errno, std::generic_category()});
        return std::unique_ptr<Output>(new Output(file, std::move(draft), descriptor));
    }
    ~Output() {
        if (file_.empty()) return;
        if (descriptor_ >= 0) ::close(descriptor_);
        if (!finished_) ::unlink(draft_.c_str());
    }
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;

    Result<void> write(std::string_view text) {
        while (!text.empty()) {
            const ssize_t written = ::write(descriptor_, text.data(), text.size());
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) return io_error("cannot write on", {errno, std::generic_category()});
            text.remove_prefix(static_cast<std::size_t>(written));
        }
        return {};
    }
    /// The text is whole.
    Result<void> finish() {
        if (file_.empty()) return {};
        const bool synced = ::fsync(descriptor_) == 0;
        const bool closed = ::close(std::exchange(descriptor_, -1)) == 0;
        if (!synced || !closed)
            return io_error("cannot write " + draft_, {errno, std::generic_category()});
        if (::rename(draft_.c_str(), file_.c_str()) != 0)
            return io_error("cannot make " + file_, {errno, std::generic_category()});
        finished_ = true;
        return {};
    }

private:
    Output(std::string file, std::string draft, int descriptor)
        : file_(std::move(file)), draft_(std::move(draft)), descriptor_(descriptor) {}
    const std::string file_, draft_;
    int descriptor_;
    bool finished_ = false;
};

/// Rows in a text that comes in pieces: line ends outside of quotes.
class RowCounter {
public:
    explicit RowCounter(bool csv) : csv_(csv), lines_of_head_(csv ? 1 : 0) {}
    void add(std::string_view text) {
        for (const char c : text) {
            if (c == '"' && csv_) quoted_ = !quoted_;
            if (c == '\n' && !quoted_) ++lines_;
        }
    }
    std::uint64_t rows() const { return lines_ - std::min(lines_, lines_of_head_); }

private:
    const bool csv_;
    const std::uint64_t lines_of_head_;
    bool quoted_ = false;
    std::uint64_t lines_ = 0;
};

ExportTable table_of(const std::string& name) {
    if (name == "messages") return ExportTable::messages;
    if (name == "recipients") return ExportTable::recipients;
    if (name == "opens") return ExportTable::opens;
    return ExportTable::conversations;
}

/// Both return the number of rows.
Result<std::uint64_t> export_directory(const ExportOptions& options, Output& out,
                                       Progress& progress) {
    auto history = CommandHistory::open(options.place);
    if (!history) return history.error();
    const auto program = history->find_program(options.place.program, options.message);
    if (!program) return program.error();
    const auto past = history->at(*program, options.place.as_of);
    if (!past) return past.error();
    const ReadModelsPtr models(*past, &(*past)->models());
    if (!models->program(*program)) {
        return Error{ErrorCode::not_found, "no such program at that position", {}};
    }
    ExportQuery query{*program, table_of(options.table), std::nullopt};
    if (!options.message.empty()) {
        query.message = parse_message_id(*program, options.message);
        if (!query.message || !models->message(*program, *query.message)) {
            return Error{ErrorCode::not_found, "no such message at that position", {}};
        }
    }
    http::ExportText text(
        models, query,
        options.format == "csv" ? http::ExportFormat::csv : http::ExportFormat::ndjson);
    while (const auto piece = text.next()) {
        if (Result<void> written = out.write(*piece); !written) return written.error();
        progress.update(text.rows());
    }
    tell_cost(history->partition_of(*program), **past);
    return text.rows();
}

Result<std::uint64_t> export_served(const ExportOptions& options, Output& out, Progress& progress) {
    if (options.place.program.empty()) return usage("name the --program");
    Result<Url> url = parse_url(options.url);
    if (!url) return url.error();
    std::string target = "/v1/programs/" + encode_segment(options.place.program) + "/exports/" +
                         options.table + "?format=" + options.format;
    if (!options.message.empty()) target += "&message=" + encode_segment(options.message);
    if (!options.place.as_of.empty()) target += "&as_of=" + encode_segment(options.place.as_of);
    HttpClient client(std::move(*url));
    RowCounter counter(options.format == "csv");
    const auto sink = [&](std::string_view piece) -> Result<void> {
        counter.add(piece);
        progress.update(counter.rows());
        return out.write(piece);
    };
    const auto answer =
        client.download(target, {{"Authorization", "Bearer " + options.token}}, sink);
    if (!answer) return answer.error();
    if (answer->status == 200) return counter.rows();
    return refusal(*answer);
}

Result<void> run_export(const ExportOptions& options) {
    if (!options.message.empty() && options.table == "messages") {
        return usage("--message is for the other tables");
    }
    auto out = Output::open(options.out);
    if (!out) return out.error();
    Progress progress("export", Unit::count, std::nullopt);
    const auto started = std::chrono::steady_clock::now();
    const auto rows = options.url.empty() ? export_directory(options, **out, progress)
                                          : export_served(options, **out, progress);
    if (!rows) return rows.error();
    if (Result<void> finished = (*out)->finish(); !finished) return finished;
    progress.finish();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
    std::fprintf(stderr, "%llu rows of %s, %.3f s, %s rows/s\n",
                 static_cast<unsigned long long>(*rows), options.table.c_str(), took.count(),
                 format_amount(static_cast<double>(*rows) / took.count(), Unit::count).c_str());
    return {};
}

}  // namespace

void add_export_command(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<ExportOptions>();
    CLI::App* command = app.add_subcommand(
        "export",
        "Write a table of a program for analytics: every row, at one position. From a data "
        "directory, also beside a running broker, or with --url from a broker.");
    command->add_option("TABLE", options->table, "messages, recipients, opens or conversations")
        ->required()
        ->check(CLI::IsMember({"messages", "recipients", "opens", "conversations"}));
    add_place_options(*command, options->place);
    add_as_of_option(*command, options->place.as_of);
    command->add_option("--format", options->format, "ndjson (the default) or csv")
        ->check(CLI::IsMember({"ndjson", "csv"}));
    command->add_option("--message", options->message, "the rows of this message alone");
    command->add_option("--out", options->out,
                        "file, which is there only once it is whole; default: standard output");
    CLI::Option* url = command->add_option("--url", options->url,
                                           "a broker that runs, as http://127.0.0.1:8080; "
                                           "otherwise a data directory");
    CLI::Option* token = command->add_option(
        "--token", options->token, "a token that may read the table; with --as-of: of an auditor");
    url->needs(token);
    token->needs(url);
    for (const char* other : {"--data", "--config", "--kafka"}) {
        url->excludes(command->get_option(other));
    }
    command->callback(
        [options, &chosen] { chosen = [options] { return report_end(run_export(*options)); }; });
}

}  // namespace tidings::apps
