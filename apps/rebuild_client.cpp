#include "apps/rebuild_client.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <set>
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
constexpr int kClientAttempts = 100;

std::uint64_t number_of(const JsonValue& object, const char* member) {
    const JsonValue* value = object.find(member);
    const auto number = value != nullptr && value->is_number() ? integer_of(value->text)
                                                               : std::optional<std::int64_t>();
    return number && *number > 0 ? static_cast<std::uint64_t>(*number) : 0;
}

Result<JsonValue> parse_answer(const HttpResponse& answer) {
    if (answer.status == 200 || answer.status == 202) {
        auto json = parse_json(answer.body);
        if (json && json->find("partitions") != nullptr) return json;
        return Error{ErrorCode::malformed,
                     "the server's answer is not a rebuild's: " + answer.body};
    }
    return refusal(answer);
}

std::string body_of(const RebuildRequest& request, std::optional<std::uint64_t> partition) {
    std::string out;
    JsonWriter json(out);
    json.open_object();
    if (partition) json.key("partition").number(*partition);
    if (request.accept_difference) json.key("accept_difference").boolean(true);
    json.close_object();
    return out;
}

/// How each of the partitions that the rebuild began with ended; nothing: not yet.
using Ends = std::map<std::uint64_t, std::optional<JsonValue>>;

bool is_over(const Ends& ends) {
    return std::all_of(ends.begin(), ends.end(), [](const auto& one) { return one.second; });
}

/// One line for each partition and each model that differs; true if all are live.
bool print_end(const Ends& ends) {
    bool good = true;
    for (const auto& [number, end] : ends) {
        const JsonValue& partition = *end;
        const std::string name = "partition " + partition.text_of("partition");
        const std::vector<JsonValue>& models = partition.find("models")->items;
        bool equal = !models.empty();
        for (const JsonValue& model : models) {
            if (model.text_of("live") == model.text_of("rebuilt")) continue;
            equal = false;
            std::printf("%s: %s differs at %s: live %s, rebuilt %s\n", name.c_str(),
                        model.text_of("model").c_str(), partition.text_of("compared").c_str(),
                        model.text_of("live").c_str(), model.text_of("rebuilt").c_str());
        }
        if (partition.text_of("state") == "done") {
            const std::string how =
                models.empty() ? "; those before could not be read, and nothing was compared"
                : equal        ? ", equal at " + partition.text_of("compared")
                               : "";
            std::printf("%s: the rebuilt read models are live%s\n", name.c_str(), how.c_str());
        } else {
            good = false;
            std::printf("%s: %s\n", name.c_str(), partition.text_of("problem").c_str());
        }
    }
    return good;
}

class Client {
public:
    Client(Url url, const RebuildRequest& request)
        : url_(std::move(url)), request_(request), http_(std::make_unique<HttpClient>(url_)) {}

    Result<JsonValue> start(std::optional<std::uint64_t> partition) {
        const auto answer = http_->request("POST", kPath, headers(), body_of(request_, partition));
        if (!answer) return answer.error();
        return parse_answer(*answer);
    }

    Result<JsonValue> look() {
        for (int attempt = 1;; ++attempt) {
            const auto answer = http_->request("GET", kPath, headers());
            const bool starting = answer && answer->status == 503;
            if (answer && !starting) return parse_answer(*answer);
            if (attempt == kClientAttempts) {
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
    Result<JsonValue> answer = client.start(request.partition);
    if (!answer) return answer.error();
    Ends ends;
    for (const JsonValue& one : answer->find("partitions")->items) {
        const std::uint64_t number = number_of(one, "partition");
        if (!request.partition || *request.partition == number) ends[number];
    }
    if (ends.empty()) return Error{ErrorCode::invalid, "the server holds no partition"};
    Progress progress("rebuild commits", Unit::count, std::nullopt);
    while (true) {
        std::set<std::uint64_t> known;
        std::uint64_t done = 0, total = 0;
        for (const JsonValue& one : answer->find("partitions")->items) {
            const std::uint64_t number = number_of(one, "partition");
            known.insert(number);
            done += number_of(one, "position");
            total += number_of(one, "target");
            const std::string state = one.text_of("state");
            const bool over = state == "done" || state == "failed";
            if (const auto end = ends.find(number); over && end != ends.end()) end->second = one;
        }
        progress.set_total(total);
        progress.update(done);
        if (is_over(ends)) break;
        // a server that was restarted goes on with what it had begun, and knows no more than that
        for (const auto& [number, end] : ends) {
            if (end || known.contains(number)) continue;
            if (const auto asked = client.start(number); !asked) return asked.error();
        }
        std::this_thread::sleep_for(kPollEvery);
        answer = client.look();
        if (!answer) return answer.error();
    }
    progress.finish();
    return print_end(ends);
}

}  // namespace

int rebuild_running(const RebuildRequest& request) {
    const Result<bool> done = run(request);
    if (!done) return report(done.error());
    return *done ? kDone : kRefused;
}

}  // namespace tidings::apps
