// A real `tidings serve` on a data directory, the program in it, and whoever may talk to it.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/http_client.h"
#include "bench/benchmark.h"
#include "bench/load_generator.h"
#include "bench/server_process.h"
#include "connectors/keys.h"

namespace tidings::bench {

class ServedProgram {
public:
    /// Starts the server on `data`, with its default settings and those of the environment.
    ServedProgram(const Environment& environment, std::filesystem::path data);
    ~ServedProgram();
    ServedProgram(const ServedProgram&) = delete;
    ServedProgram& operator=(const ServedProgram&) = delete;

    /// REQUIRES: it does not run.
    void start();
    void stop();
    void kill();
    bool running() const { return process_ != nullptr; }
    ServerProcess& process() { return *process_; }
    std::uint16_t port() const { return process_->port(); }
    const std::filesystem::path& data() const { return data_; }

    // Tokens, signed with the directory's own key.
    const std::string& platform() const { return platform_; }
    const std::string& owner() const { return owner_; }
    std::string auditor_token() const;
    std::string partner_token(std::uint64_t index) const;
    std::vector<std::string> partner_tokens(const std::vector<std::uint32_t>& indexes) const;

    /// One request; the answer must be 2xx.
    boost::json::value call(std::string_view method, const std::string& target,
                            const std::string& token, std::string body = {});
    /// Streams pieces of NDJSON; the answer must be 200.
    boost::json::value stream(const std::string& target, const apps::HttpClient::Source& source);

    /// The program, with `partners` of bench/partners.h through one import request.
    void create(std::uint64_t partners);
    /// Seconds of one import request; every partner must be new.
    double import(const std::vector<std::string>& pieces, std::uint64_t partners);
    /// The id of a message to all.
    std::string send_to_all();
    std::uint64_t opens_of(const std::string& message);
    /// A counter of /metrics, over all its labels.
    double metric(const std::string& name);

private:
    const Environment& environment_;
    const std::filesystem::path data_, config_;
    std::unique_ptr<ServerProcess> process_;
    std::unique_ptr<KeyRing> keys_;
    std::unique_ptr<apps::HttpClient> client_;
    std::string platform_, owner_;
};

/// "/v1/programs/bench" and `rest`.
std::string program_path(std::string_view rest = {});
/// The lines of an import in pieces of 64 KiB.
std::vector<std::string> import_pieces(std::uint64_t partners);

// Requests as bytes: a first line, then what is the same for all requests with one token.
std::string request_line(std::string_view method, std::string_view target);
std::string rest_of_get(const std::string& token);
std::string rest_of_post(const std::string& token, std::string_view body = {});

/// A Beast server that answers any request with that many bytes, in a child process.
std::unique_ptr<ServerProcess> start_empty_server(const Environment& environment,
                                                  std::size_t body_bytes);

/// What the first and the second use of each token cost: GET summary by each, 64 connections.
struct TokenCost {
    double cold_per_second = 0, warm_per_second = 0;
};
TokenCost warm_up(std::uint16_t port, const std::vector<std::string>& tokens);

}  // namespace tidings::bench
