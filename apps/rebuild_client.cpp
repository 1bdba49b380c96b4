#include "apps/rebuild_client.h"

#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include "apps/commands.h"
#include "apps/http_client.h"
#include "apps/progress.h"
#include "events/json_output.h"
#include "events/json_value.h"

namespace tidings::apps {

namespace {

constexpr const char* kPath = "/v1/operations/rebuild";
constexpr std::chrono::milliseconds kPollEvery{300};
/// A broker that is restarted meanwhile goes on with the rebuild.
constexpr int kAttempts = 100;

std::string text_of(const JsonValue& object, const char* member) {
    const JsonValue* value = object.find(member);
    return value == nullptr ? std::string() : value->text;
}

std::uint64_t number_of(const JsonValue& object, const char* member) {
    const JsonValue* value = object.find(member);
    const auto number = value != nullptr && value->is_number() ? integer_of(value->text)
                                                               : std::optional<std::int64_t>();
    return number && *number > 0 ? static_cast<std::uint64_t>(*number) : 0;
}

Result<JsonValue> parse_answer(const HttpResponse& answer) {
    auto json = parse_json(answer.body);
    if (answer.status == 200 || answer.status == 202) {
        if (json && json->find("partitions") != nullptr) return json;
        return Error{ErrorCode::malformed,
                     "the server's answer is not a rebuild's: " + answer.body};
    }
    std::string text = "the server answered " + std::to_string(answer.status);
    const std::string detail = json ? text_of(*json, "detail") : std::string();
    return Error{ErrorCode::invalid, text + ": " + (detail.empty() ? answer.body : detail)};
}

std::string body_of(const RebuildRequest& request) {
    std::string out;
    JsonWriter json(out);
    json.open_object();
    if (request.partition) json.key("partition").number(*request.partition);
    if (request.accept_difference) json.key("accept_difference").boolean(true);
    json.close_object();
    return out;
}

/// One line for each partition and each model that differs; true if all are live.
bool print_end(const JsonValue& answer) {
    bool good = true;
    for (const JsonValue& partition : answer.find("partitions")->items) {
        const std::string name = "partition " + text_of(partition, "partition");
        bool equal = true;
        for (const JsonValue& model : partition.find("models")->items) {
            if (text_of(model, "live") == text_of(model, "rebuilt")) continue;
            equal = false;
            std::printf("%s: %s differs at %s: live %s, rebuilt %s\n", name.c_str(),
                        text_of(model, "model").c_str(), text_of(partition, "compared").c_str(),
                        text_of(model, "live").c_str(), text_of(model, "rebuilt").c_str());
        }
        if (text_of(partition, "state") == "done") {
            std::printf("%s: the rebuilt read models are live%s\n", name.c_str(),
                        equal ? (", equal at " + text_of(partition, "compared")).c_str() : "");
        } else {
            good = false;
            std::printf("%s: %s\n", name.c_str(), text_of(partition, "problem").c_str());
        }
    }
    return good;
}

class Client {
public:
    Client(Url url, const RebuildRequest& request)
        : url_(std::move(url)), request_(request), http_(std::make_unique<HttpClient>(url_)) {}

    Result<JsonValue> start() {
        const auto answer = http_->request("POST", kPath, headers(), body_of(request_));
        if (!answer) return answer.error();
        return parse_answer(*answer);
    }

    Result<JsonValue> look() {
        for (int attempt = 1;; ++attempt) {
            const auto answer = http_->request("GET", kPath, headers());
            const bool starting = answer && answer->status == 503;
            if (answer && !starting) return parse_answer(*answer);
            if (attempt == kAttempts) {
                if (!answer) return answer.error();
                return parse_answer(*answer);
            }
            std::this_thread::sleep_for(kPollEvery);
            http_ = std::make_unique<HttpClient>(url_);
        }
    }

private:
    Headers headers() const { return {{"Authorization", "Bearer " + request_.token}}; }

    const Url url_;
    const RebuildRequest& request_;
    std::unique_ptr<HttpClient> http_;
};

Result<bool> run(const RebuildRequest& request) {
    Result<Url> url = parse_url(request.url);
    if (!url) return url.error();
    Client client(std::move(*url), request);
    Result<JsonValue> answer = client.start();
    Progress progress("rebuild commits", Unit::count, std::nullopt);
    while (answer && text_of(*answer, "state") == "running") {
        std::uint64_t done = 0, total = 0;
        for (const JsonValue& partition : answer->find("partitions")->items) {
            done += number_of(partition, "position");
            total += number_of(partition, "target");
        }
        progress.set_total(total);
        progress.update(done);
        std::this_thread::sleep_for(kPollEvery);
        answer = client.look();
    }
    progress.finish();
    if (!answer) return answer.error();
    if (text_of(*answer, "state") == "none") {
        return Error{ErrorCode::invalid,
                     "the server no longer knows of the rebuild: it was restarted"};
    }
    return print_end(*answer);
}

}  // namespace

int rebuild_running(const RebuildRequest& request) {
    const Result<bool> done = run(request);
    if (!done) return report(done.error());
    return *done ? kDone : kRefused;
}

}  // namespace tidings::apps
