// `tidings import`: streams an NDJSON file of partners to a running broker.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "apps/commands.h"
#include "apps/http_client.h"
#include "apps/progress.h"
#include "events/json_output.h"
#include "events/json_value.h"

namespace tidings::apps {

namespace {

constexpr std::size_t kImportPieceBytes = 256 << 10;

struct ImportOptions {
    std::string url, token, program, file;
};

/// The file to send, or standard input.
class Input {
public:
    static Result<Input> open(const std::string& file) {
        if (file == "-") return Input(STDIN_FILENO);
        const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
        if (descriptor < 0) {
            return Error{ErrorCode::io, "cannot read " + file + ": " + std::strerror(errno)};
        }
        return Input(descriptor);
    }
    Input(Input&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    Input& operator=(Input&&) = delete;
    ~Input() {
        if (descriptor_ > STDIN_FILENO) ::close(descriptor_);
    }

    /// Nothing for pipes.
    std::optional<std::uint64_t> size() const {
        struct stat status {};
        if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
        return static_cast<std::uint64_t>(status.st_size);
    }
    Result<std::optional<std::string>> read() {
        std::string piece(kImportPieceBytes, '\0');
        while (true) {
            const ssize_t length = ::read(descriptor_, piece.data(), piece.size());
            if (length < 0 && errno == EINTR) continue;
            if (length < 0) {
                return Error{ErrorCode::io, std::string("cannot read on: ") + std::strerror(errno)};
            }
            if (length == 0) return std::optional<std::string>();
            piece.resize(static_cast<std::size_t>(length));
            return std::optional<std::string>(std::move(piece));
        }
    }

private:
    explicit Input(int descriptor) : descriptor_(descriptor) {}
    int descriptor_;
};

/// Prints the answer; true if no line was rejected.
Result<bool> print_result(const std::string& body) {
    const auto json = parse_json(body);
    if (!json) return Error{ErrorCode::malformed, "the server's answer is not JSON: " + body};
    const JsonValue* rejected = json->find("rejected");
    if (rejected == nullptr) {
        return Error{ErrorCode::malformed, "the server's answer is not an import's: " + body};
    }
    for (const JsonValue& line : rejected->items) {
        std::printf("line %s rejected: %s: %s\n", line.text_of("line").c_str(),
                    line.text_of("code").c_str(), line.text_of("detail").c_str());
    }
    const JsonValue* total = json->find("rejected_total");
    const std::string count =
        total != nullptr ? total->text : std::to_string(rejected->items.size());
    std::printf("created %s, updated %s, unchanged %s, rejected %s\n",
                json->text_of("created").c_str(), json->text_of("updated").c_str(),
                json->text_of("unchanged").c_str(), count.c_str());
    return count == "0";
}

int run_import(const ImportOptions& options) {
    Result<Url> url = parse_url(options.url);
    if (!url) return report(url.error());
    Result<Input> input = Input::open(options.file);
    if (!input) return report(input.error());
    HttpClient client(std::move(*url));
    const std::string program = "/v1/programs/" + encode_segment(options.program);
    const Headers authorization{{"Authorization", "Bearer " + options.token}};

    // a wrong token or program is told before anything large is sent
    const Result<HttpResponse> found = client.request("GET", program, authorization);
    if (!found) return report(found.error());
    if (found->status != 200) return report(refusal(*found));

    Progress progress("import", Unit::bytes, input->size());
    std::uint64_t sent = 0;
    const auto source = [&]() -> Result<std::optional<std::string>> {
        Result<std::optional<std::string>> piece = input->read();
        if (piece && *piece) {
            sent += (*piece)->size();
            progress.update(sent);
        }
        return piece;
    };
    Headers headers = authorization;
    headers.emplace_back("Content-Type", "application/x-ndjson");
    const Result<HttpResponse> answer =
        client.stream("POST", program + "/partners/import", headers, source);
    progress.finish();
    if (!answer) return report(answer.error());
    if (answer->status != 200) return report(refusal(*answer));
    const Result<bool> complete = print_result(answer->body);
    if (!complete) return report(complete.error());
    return *complete ? kDone : kRefused;
}

}  // namespace

void add_import_command(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<ImportOptions>();
    CLI::App* command = app.add_subcommand(
        "import", "Send partners to a running broker: NDJSON, one partner a line.");
    command->add_option("--url", options->url, "the broker, as http://127.0.0.1:8080")->required();
    command->add_option("--token", options->token, "a token with the role platform")->required();
    command->add_option("--program", options->program, "program id")->required();
    command->add_option("FILE", options->file, "the file; - for standard input")->required();
    command->callback([options, &chosen] { chosen = [options] { return run_import(*options); }; });
}

}  // namespace tidings::apps
