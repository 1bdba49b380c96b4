#include "bench/served_program.h"

#include <boost/json/parse.hpp>
#include <chrono>
#include <ctime>
#include <fstream>
#include <sstream>

#include "bench/check.h"
#include "bench/partners.h"

namespace tidings::bench {

namespace json = boost::json;

namespace {

constexpr std::int64_t kTokenLifeS = 24 * 3600;
constexpr std::size_t kServedProgramPieceBytes = 64 << 10;
constexpr std::size_t kServedProgramShown = 500;

Claims claims_of(Role role) {
    Claims out;
    out.role = role;
    out.sub = name_of(role);
    out.name = out.sub;
    out.expires_at_s = std::time(nullptr) + kTokenLifeS;
    return out;
}

apps::Headers bearer(const std::string& token) { return {{"Authorization", "Bearer " + token}}; }

json::value parse_answer(const Result<apps::HttpResponse>& answer, const std::string& asked) {
    const apps::HttpResponse& response = value_of(answer, asked);
    check(response.status / 100 == 2, asked + " was answered " + std::to_string(response.status) +
                                          " " + response.body.substr(0, kServedProgramShown));
    return response.body.empty() ? json::value() : json::parse(response.body);
}

}  // namespace

ServedProgram::ServedProgram(const Environment& environment, std::filesystem::path data)
    : environment_(environment), data_(std::move(data)), config_(data_.string() + ".toml") {
    std::ofstream config(config_);
    config << "data = \"" << data_.string() << "\"\nlisten = \"127.0.0.1:0\"\n";
    for (const std::string& line : environment.config_lines) config << line << '\n';
    config.close();
    check(config.good(), "cannot write " + config_.string());
    start();
    keys_ = value_of(KeyRing::open(data_), "keys");
    platform_ = value_of(keys_->issue_token(claims_of(Role::platform)), "token");
    Claims owner = claims_of(Role::owner);
    owner.program = ProgramId{kProgram};
    owner_ = value_of(keys_->issue_token(owner), "token");
}

ServedProgram::~ServedProgram() = default;

void ServedProgram::start() {
    const std::vector<std::string> command = {environment_.server.string(), "serve", "--config",
                                              config_.string()};
    process_ = std::make_unique<ServerProcess>(command, data_.string() + ".log");
    apps::Url url;
    url.host = "127.0.0.1";
    url.port = process_->port();
    client_ = std::make_unique<apps::HttpClient>(url);
}

void ServedProgram::stop() {
    if (!process_) return;
    client_.reset();
    process_->stop();
    process_.reset();
}

void ServedProgram::kill() {
    client_.reset();
    process_.reset();
}

std::string ServedProgram::auditor_token() const {
    return value_of(keys_->issue_token(claims_of(Role::auditor)), "token");
}

std::string ServedProgram::partner_token(std::uint64_t index) const {
    Claims claims = claims_of(Role::partner);
    claims.program = ProgramId{kProgram};
    claims.partner = partner_id(index);
    claims.sub = claims.partner->value;
    claims.name = claims.sub;
    return value_of(keys_->issue_token(claims), "token");
}

std::vector<std::string> ServedProgram::partner_tokens(
    const std::vector<std::uint32_t>& indexes) const {
    std::vector<std::string> out;
    out.reserve(indexes.size());
    for (const std::uint32_t index : indexes) out.push_back(partner_token(index));
    return out;
}

json::value ServedProgram::call(std::string_view method, const std::string& target,
                                const std::string& token, std::string body) {
    return parse_answer(client_->request(method, target, bearer(token), std::move(body)),
                        std::string(method) + " " + target);
}

json::value ServedProgram::stream(const std::string& target,
                                  const apps::HttpClient::Source& source) {
    apps::Headers headers = bearer(platform_);
    headers.emplace_back("Content-Type", "application/x-ndjson");
    return parse_answer(client_->stream("POST", target, headers, source), "POST " + target);
}

void ServedProgram::create(std::uint64_t partners) {
    call("PUT", program_path(), platform_, R"({"name":"Bench","plan":"advanced"})");
    import(import_pieces(partners), partners);
}

double ServedProgram::import(const std::vector<std::string>& pieces, std::uint64_t partners) {
    std::size_t next = 0;
    const auto start = std::chrono::steady_clock::now();
    const json::value answer =
        stream(program_path("/partners/import"), [&]() -> Result<std::optional<std::string>> {
            if (next == pieces.size()) return std::optional<std::string>();
            return std::optional(pieces[next++]);
        });
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    check_equal(answer.at("created").to_number<std::uint64_t>(), partners, "partners created");
    const json::value summary = call("GET", program_path("/summary"), owner_);
    check_equal(summary.at("partners").to_number<std::uint64_t>(), partners, "active partners");
    return seconds;
}

std::string ServedProgram::send_to_all() {
    const json::value message =
        call("POST", program_path("/messages"), owner_,
             R"({"subject":"To everyone","body":"A message to all.","replies_enabled":true})");
    return message.at("id").as_string().c_str();
}

std::uint64_t ServedProgram::opens_of(const std::string& message) {
    const json::value found = call("GET", program_path("/messages/" + message), owner_);
    return found.at("stats").at("opens").to_number<std::uint64_t>();
}

double ServedProgram::metric(const std::string& name) {
    const auto answer = value_of(client_->request("GET", "/metrics", {}), "GET /metrics");
    std::istringstream lines(answer.body);
    double out = 0;
    bool found = false;
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with(name + '{') && !line.starts_with(name + ' ')) continue;
        out += std::stod(line.substr(line.rfind(' ') + 1));
        found = true;
    }
    check(found, "no metric " + name);
    return out;
}

std::string program_path(std::string_view rest) {
    return std::string("/v1/programs/") + kProgram + std::string(rest);
}

std::vector<std::string> import_pieces(std::uint64_t partners) {
    std::vector<std::string> out;
    std::string piece;
    for (std::uint64_t i = 0; i < partners; ++i) {
        append_partner_line(i, piece);
        if (piece.size() < kServedProgramPieceBytes) continue;
        out.push_back(std::move(piece));
        piece.clear();
    }
    if (!piece.empty()) out.push_back(std::move(piece));
    return out;
}

std::string request_line(std::string_view method, std::string_view target) {
    return std::string(method) + " " + std::string(target) + " HTTP/1.1\r\n";
}

std::string rest_of_get(const std::string& token) {
    return "Host: 127.0.0.1\r\nAuthorization: Bearer " + token + "\r\n\r\n";
}

std::string rest_of_post(const std::string& token, std::string_view body) {
    std::string out = "Host: 127.0.0.1\r\nAuthorization: Bearer " + token + "\r\n";
    if (!body.empty()) out += "Content-Type: application/json\r\n";
    out += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
    return out.append(body);
}

std::unique_ptr<ServerProcess> start_empty_server(const Environment& environment,
                                                  std::size_t body_bytes) {
    const std::vector<std::string> command = {own_executable().string(), "--serve-empty",
                                              std::to_string(body_bytes)};
    return std::make_unique<ServerProcess>(command, environment.directory / "empty-server.log");
}

TokenCost warm_up(std::uint16_t port, const std::vector<std::string>& tokens) {
    const std::string line = request_line("GET", "/v1/portal/summary");
    std::vector<std::string> rests;
    rests.reserve(tokens.size());
    for (const std::string& token : tokens) rests.push_back(rest_of_get(token));
    Load load;
    load.port = port;
    load.connections = 64;
    load.next = [&](std::uint64_t number, std::string& out) {
        if (number == rests.size()) return false;
        out.append(line).append(rests[number]);
        return true;
    };
    load.check = [](std::uint64_t, unsigned status, std::string_view) { return status == 200; };
    TokenCost out;
    out.cold_per_second = run_load(load).per_second();
    out.warm_per_second = run_load(load).per_second();
    return out;
}

}  // namespace tidings::bench
