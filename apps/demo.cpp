#include "apps/demo.h"

#include <algorithm>
#include <map>
#include <set>

#include "apps/demo_content.h"
#include "core/time.h"
#include "events/json_output.h"
#include "events/json_value.h"

namespace tidings::apps {

namespace {

using std::chrono::milliseconds;

constexpr double kHourMs = 3'600'000;
constexpr double kStartHoursAgo = 336;   // two weeks
constexpr double kOpensEveryHours = 12;  // the portal's opens are sent in batches
constexpr std::int64_t kTokenTtlS = 7 * 24 * 3600;
constexpr double kDemoDayMs = 24 * kHourMs;
constexpr std::string_view kOwnerName = "Anna Lindqvist";
constexpr std::string_view kName = "Acme Analytics";
/// The program's name until all of it is there: a load that was interrupted is known by it.
constexpr std::string_view kLoadingName = "Acme Analytics (demo, not completely loaded)";

std::string decimal(std::uint64_t cents) {
    std::string out = std::to_string(cents / 100);
    const std::uint64_t rest = cents % 100;
    if (rest != 0) out += (rest < 10 ? ".0" : ".") + std::to_string(rest);
    while (rest != 0 && out.back() == '0') out.pop_back();
    return out;
}

/// Plays the demo, one request after the other. Each step may be repeated: sends and replies have
/// keys, partners opens and reads are what they were; so an interrupted load is played again.
class Player {
public:
    explicit Player(const DemoOptions& options)
        : options_(options), path_("/v1/programs/" + options.program) {}

    Result<void> issue_tokens();
    /// There is a program, and not one of which a load has left the half.
    Result<bool> complete();
    Result<void> load();
    Result<std::string> commands(const std::string& url);

private:
    struct Step {
        double hours_ago = 0;
        std::function<Result<void>()> run;
    };
    struct Open {
        double hours_ago = 0;
        std::size_t message = 0;
        std::size_t partner = 0;
    };

    Result<std::string> token(Role role, const std::string& sub, std::string_view name,
                              std::string_view partner = {});
    Result<HttpResponse> send(const char* method, const std::string& target,
                              const std::string& token, std::string body, Headers headers = {});
    Result<JsonValue> call(const char* method, const std::string& target, const std::string& token,
                           std::string body = {}, Headers headers = {});
    Result<void> find_start();
    Result<void> name_program(std::string_view name);
    Result<void> create();
    Result<void> send_message(std::size_t index);
    Result<void> plan_opens(std::size_t index);
    Result<void> send_opens(double until_hours_ago);
    Result<std::string> partner_token(std::string_view id);
    Result<void> post(const demo::Conversation& conversation, std::size_t index);
    Result<void> read(const demo::Conversation& conversation);
    std::vector<Step> steps();
    std::string import_line(const demo::Partner& partner) const;
    void play_at(double hours_ago);

    std::int64_t clock_ms() const { return options_.clock().wall_ms; }

    const DemoOptions& options_;
    const std::string path_;
    std::int64_t now_ms_ = clock_ms();  ///< of the demo: what all its times are relative to
    std::string platform_, owner_;
    const std::vector<demo::Partner> partners_ = demo::partners();
    std::map<std::size_t, std::string> message_ids_;
    std::vector<Open> opens_;  ///< planned, not yet sent
};

Result<std::string> Player::token(Role role, const std::string& sub, std::string_view name,
                                  std::string_view partner) {
    Claims claims;
    claims.role = role;
    claims.sub = sub;
    claims.name = name;
    if (role != Role::platform) claims.program = ProgramId{options_.program};
    if (!partner.empty()) claims.partner = PartnerId{std::string(partner)};
    claims.expires_at_s = clock_ms() / 1000 + kTokenTtlS;
    return options_.issue_token(claims);
}

Result<void> Player::issue_tokens() {
    Result<std::string> platform = token(Role::platform, "platform", "Acme platform");
    if (!platform) return platform.error();
    Result<std::string> owner = token(Role::owner, "anna", kOwnerName);
    if (!owner) return owner.error();
    platform_ = *platform;
    owner_ = *owner;
    return {};
}

Result<HttpResponse> Player::send(const char* method, const std::string& target,
                                  const std::string& token, std::string body, Headers headers) {
    headers.emplace_back("Authorization", "Bearer " + token);
    return options_.ask(method, target, headers, std::move(body));
}

Result<JsonValue> Player::call(const char* method, const std::string& target,
                               const std::string& token, std::string body, Headers headers) {
    const Result<HttpResponse> answer =
        send(method, target, token, std::move(body), std::move(headers));
    if (!answer) return answer.error();
    if (answer->status >= 300) {
        return Error{ErrorCode::io, std::string(method) + " " + target + " was answered with " +
                                        std::to_string(answer->status) + ": " + answer->body};
    }
    if (answer->body.empty()) return JsonValue{};
    return parse_json(answer->body);
}

Result<bool> Player::complete() {
    const Result<HttpResponse> answer = send("GET", path_, platform_, {});
    if (!answer) return answer.error();
    if (answer->status == 404) return false;
    if (answer->status != 200) {
        return Error{ErrorCode::io, "GET " + path_ + " was answered with " +
                                        std::to_string(answer->status) + ": " + answer->body};
    }
    const Result<JsonValue> program = parse_json(answer->body);
    if (!program) return program.error();
    const JsonValue* name = program->find("name");
    return name == nullptr || name->text != kLoadingName;
}

/// An interrupted load goes on with the times that it began with: they show at the first partner.
Result<void> Player::find_start() {
    const demo::Partner& first = partners_.front();
    const Result<HttpResponse> answer = send("GET", path_ + "/partners/" + first.id, platform_, {});
    if (!answer) return answer.error();
    if (answer->status != 200) return {};
    const Result<JsonValue> partner = parse_json(answer->body);
    if (!partner) return partner.error();
    const JsonValue* joined = partner->find("joined_at");
    const auto time = joined == nullptr ? std::nullopt : parse_time(joined->text);
    if (!time) return Error{ErrorCode::io, "the demo's first partner has no time of joining"};
    now_ms_ = time->value + static_cast<std::int64_t>(first.joined_days_ago * kDemoDayMs);
    return {};
}

void Player::play_at(double hours_ago) {
    const auto lag = static_cast<std::int64_t>(hours_ago * kHourMs) + clock_ms() - now_ms_;
    options_.stamp_behind(milliseconds(lag));
}

std::string Player::import_line(const demo::Partner& partner) const {
    std::string line;
    JsonWriter json(line);
    json.open_object();
    json.key("id").string(partner.id).key("email").string(partner.email);
    json.key("name").string(partner.name).key("surname").string(partner.surname);
    json.key("status").string(partner.status).key("tags").open_array();
    for (const std::string& tag : partner.tags) json.string(tag);
    json.close_array();
    json.key("joined_at")
        .time(Timestamp{now_ms_ - static_cast<std::int64_t>(partner.joined_days_ago * kDemoDayMs)});
    json.key("metrics").open_object();
    json.key("clicks").number(partner.clicks).key("signups").number(partner.signups);
    json.key("sales").number(partner.sales).key("paid_accounts").number(partner.paid_accounts);
    json.key("revenue").open_object();
    json.any_key(partner.currency).string(decimal(partner.revenue_cents)).close_object();
    json.key("commission").open_object();
    json.any_key(partner.currency).string(decimal(partner.commission_cents)).close_object();
    json.close_object().close_object();
    line += '\n';
    return line;
}

Result<void> Player::name_program(std::string_view name) {
    std::string body;
    JsonWriter(body)
        .open_object()
        .key("name")
        .string(name)
        .key("plan")
        .string("advanced")
        .close_object();
    const Result<JsonValue> program = call("PUT", path_, platform_, std::move(body));
    if (!program) return program.error();
    return {};
}

Result<void> Player::create() {
    const Result<void> named = name_program(kLoadingName);
    if (!named) return named.error();
    std::string lines;
    for (const demo::Partner& partner : partners_) lines += import_line(partner);
    const Result<JsonValue> imported =
        call("POST", path_ + "/partners/import", platform_, std::move(lines),
             {{"Content-Type", "application/x-ndjson"}});
    if (!imported) return imported.error();
    return {};
}

Result<void> Player::send_message(std::size_t index) {
    const demo::Message& message = demo::messages()[index];
    std::string audience(message.audience);
    if (const std::size_t at = audience.find('$'); at != std::string::npos) {
        const std::size_t named = static_cast<std::size_t>(audience[at + 1] - '0');
        audience.replace(at, 2, message_ids_.at(named));
    }
    std::string body;
    JsonWriter json(body);
    json.open_object().key("subject").string(message.subject).key("body").string(message.body);
    json.key("replies_enabled").boolean(message.replies).key("audience");
    json.raw() += audience;
    json.close_object();
    const Result<JsonValue> sent =
        call("POST", path_ + "/messages", owner_, std::move(body),
             {{"Idempotency-Key", "demo-message-" + std::to_string(index)}});
    if (!sent) return sent.error();
    const JsonValue* id = sent->find("id");
    if (id == nullptr) return Error{ErrorCode::io, "a sent message came back without its id"};
    message_ids_[index] = id->text;
    return plan_opens(index);
}

/// Decides which recipients will open the message, and when. Those in a conversation open it by
/// posting; those who have opened it in an interrupted load have.
Result<void> Player::plan_opens(std::size_t index) {
    std::set<std::string> recipients;
    std::string cursor;
    do {
        const std::string target = path_ + "/messages/" + message_ids_.at(index) +
                                   "/recipients?limit=200" +
                                   (cursor.empty() ? "" : "&cursor=" + encode_segment(cursor));
        const Result<JsonValue> page = call("GET", target, owner_);
        if (!page) return page.error();
        const JsonValue* rows = page->find("data");
        const JsonValue* next = page->find("next_cursor");
        if (rows == nullptr || next == nullptr)
            return Error{ErrorCode::io, "not a page: " + target};
        for (const JsonValue& row : rows->items) {
            const JsonValue* partner = row.find("partner");
            const JsonValue* id = partner == nullptr ? nullptr : partner->find("id");
            const JsonValue* opened = row.find("opened_at");
            if (id != nullptr && opened != nullptr && opened->is_null()) {
                recipients.insert(id->text);
            }
        }
        cursor = next->text;
    } while (!cursor.empty());
    for (const demo::Conversation& conversation : demo::conversations()) {
        if (conversation.message == index) recipients.erase(std::string(conversation.partner));
    }
    for (std::size_t i = 0; i < partners_.size(); ++i) {
        if (!recipients.contains(partners_[i].id)) continue;
        const double delay = demo::opening_delay_hours(i, partners_[i], index);
        if (delay < 0) continue;
        opens_.push_back({demo::messages()[index].hours_ago - delay, index, i});
    }
    return {};
}

Result<void> Player::send_opens(double until_hours_ago) {
    std::string lines;
    for (const Open& open : opens_) {
        if (open.hours_ago < until_hours_ago) continue;
        JsonWriter json(lines);
        json.open_object().key("message").string(message_ids_.at(open.message));
        json.key("partner").string(partners_[open.partner].id);
        json.key("at").time(
            Timestamp{now_ms_ - static_cast<std::int64_t>(open.hours_ago * kHourMs)});
        json.close_object();
        lines += '\n';
    }
    std::erase_if(opens_,
                  [until_hours_ago](const Open& o) { return o.hours_ago >= until_hours_ago; });
    if (lines.empty()) return {};
    const Result<JsonValue> sent = call("POST", path_ + "/opens", platform_, std::move(lines),
                                        {{"Content-Type", "application/x-ndjson"}});
    if (!sent) return sent.error();
    return {};
}

Result<std::string> Player::partner_token(std::string_view id) {
    const auto who = std::find_if(partners_.begin(), partners_.end(),
                                  [id](const demo::Partner& partner) { return partner.id == id; });
    return token(Role::partner, who->id, who->name + " " + who->surname, id);
}

Result<void> Player::post(const demo::Conversation& conversation, std::size_t index) {
    const demo::Post& post = conversation.posts[index];
    const std::string& message = message_ids_.at(conversation.message);
    std::string body = "{\"body\":";
    append_json_string(body, post.body);
    body += '}';
    const Headers key{{"Idempotency-Key", "demo-post-" + std::string(conversation.partner) + "-" +
                                              message + "-" + std::to_string(index)}};
    Result<JsonValue> posted;
    if (post.from_owner) {
        const std::string partner(conversation.partner);
        posted = call("POST", path_ + "/partners/" + partner + "/messages/" + message + "/replies",
                      owner_, std::move(body), key);
    } else {
        const Result<std::string> issued = partner_token(conversation.partner);
        if (!issued) return issued.error();
        posted = call("POST", "/v1/portal/messages/" + message + "/replies", *issued,
                      std::move(body), key);
    }
    if (!posted) return posted.error();
    return {};
}

/// The partner opens the conversation, and has read it then.
Result<void> Player::read(const demo::Conversation& conversation) {
    const Result<std::string> issued = partner_token(conversation.partner);
    if (!issued) return issued.error();
    const Result<JsonValue> opened = call(
        "POST", "/v1/portal/messages/" + message_ids_.at(conversation.message) + "/open", *issued);
    if (!opened) return opened.error();
    return {};
}

std::vector<Player::Step> Player::steps() {
    std::vector<Step> all;
    all.push_back({kStartHoursAgo, [this] { return create(); }});
    for (std::size_t i = 0; i < demo::messages().size(); ++i) {
        all.push_back({demo::messages()[i].hours_ago, [this, i] { return send_message(i); }});
    }
    for (const demo::Conversation& conversation : demo::conversations()) {
        for (std::size_t i = 0; i < conversation.posts.size(); ++i) {
            all.push_back({conversation.posts[i].hours_ago,
                           [this, &conversation, i] { return post(conversation, i); }});
        }
        if (conversation.read_hours_ago < 0) continue;
        all.push_back(
            {conversation.read_hours_ago, [this, &conversation] { return read(conversation); }});
    }
    for (double hours = kStartHoursAgo - kOpensEveryHours; hours >= 0; hours -= kOpensEveryHours) {
        all.push_back({hours, [this, hours] { return send_opens(hours); }});
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const Step& a, const Step& b) { return a.hours_ago > b.hours_ago; });
    all.push_back({0, [this] { return name_program(kName); }});
    return all;
}

Result<void> Player::load() {
    const Result<void> found = find_start();
    if (!found) return found.error();
    for (const Step& step : steps()) {
        play_at(step.hours_ago);
        const Result<void> done = step.run();
        if (done) continue;
        options_.stamp_behind(milliseconds(0));
        return done.error();
    }
    options_.stamp_behind(milliseconds(0));
    return {};
}

/// The id of the first inbox row for which `member` is true, or a placeholder.
std::string row_with(const JsonValue& inbox, const std::function<bool(const JsonValue&)>& wanted) {
    const JsonValue* rows = inbox.find("data");
    if (rows != nullptr) {
        for (const JsonValue& row : rows->items) {
            const JsonValue* id = row.find("id");
            if (id != nullptr && wanted(row)) return id->text;
        }
    }
    return "msg_...";
}

std::string render_commands(const std::string& url, const std::string& program_id,
                            const std::string& owner, const std::array<std::string, 2>& names,
                            const std::array<std::string, 2>& tokens, const std::string& unread,
                            const std::string& talk) {
    const std::string partner(demo::kGuides[0]);
    std::string out;
    const auto line = [&out](const std::string& text) { out += text + "\n"; };
    const auto curl = [&](const std::string& token, const std::string& path,
                          const std::string& rest = {}) {
        line("curl -s " + rest + (rest.empty() ? "" : " ") + "-H 'Authorization: Bearer " + token +
             "' '" + url + path + "'");
    };
    const auto post = [&curl](const std::string& token, const std::string& path,
                              const std::string& body) {
        curl(token, path, "-H 'Content-Type: application/json' -d '" + body + "'");
    };
    const std::string program = "/v1/programs/" + program_id;
    line("");
    line("# The owner, " + std::string(kOwnerName) + ": sent messages with their performance");
    curl(owner, program + "/messages");
    line("# ... who replied to one, and the conversation with one of them");
    curl(owner, program + "/messages/" + talk + "/recipients?state=replied");
    curl(owner, program + "/partners/" + partner + "/messages/" + talk);
    line("# ... reviews a filtered list, then sends to it");
    const std::string audience =
        R"("audience":{"type":"filter","filter":{"all":[{"tag":"premium"},{"metric":"sales","op":">=","value":100}]}})";
    post(owner, program + "/audiences", "{" + audience + "}");
    post(
        owner, program + "/messages",
        R"({"subject":"Thank you","body":"What a year!","replies_enabled":true,)" + audience + "}");
    line("");
    line("# Partner 1, " + names[0] + ": an unread message and an open conversation");
    curl(tokens[0], "/v1/portal/summary");
    curl(tokens[0], "/v1/portal/messages");
    curl(tokens[0], "/v1/portal/messages/" + unread + "/open", "-X POST");
    curl(tokens[0], "/v1/portal/messages/" + talk);
    post(tokens[0], "/v1/portal/messages/" + talk + "/replies", R"({"body":"Monday is perfect!"})");
    line("");
    line("# Partner 2, " + names[1] + ": has read everything so far");
    curl(tokens[1], "/v1/portal/summary");
    curl(tokens[1], "/v1/portal/messages?limit=5");
    return out;
}

Result<std::string> Player::commands(const std::string& url) {
    std::array<std::string, 2> names, tokens;
    for (std::size_t i = 0; i < demo::kGuides.size(); ++i) {
        const auto who = std::find_if(
            partners_.begin(), partners_.end(),
            [i](const demo::Partner& partner) { return partner.id == demo::kGuides[i]; });
        names[i] = who->name + " " + who->surname;
        Result<std::string> issued = token(Role::partner, who->id, names[i], who->id);
        if (!issued) return issued.error();
        tokens[i] = *issued;
    }
    const Result<JsonValue> inbox = call("GET", "/v1/portal/messages?limit=200", tokens[0]);
    if (!inbox) return inbox.error();
    const std::string unread = row_with(*inbox, [](const JsonValue& row) {
        const JsonValue* flag = row.find("unread");
        return flag != nullptr && flag->truth;
    });
    const std::string talk = row_with(*inbox, [](const JsonValue& row) {
        const JsonValue* posts = row.find("posts");
        return posts != nullptr && posts->is_number() && posts->text != "0";
    });
    return render_commands(url, options_.program, owner_, names, tokens, unread, talk);
}

}  // namespace

Result<void> load_demo(const DemoOptions& options) {
    Player player(options);
    const Result<void> issued = player.issue_tokens();
    if (!issued) return issued.error();
    const Result<bool> complete = player.complete();
    if (!complete) return complete.error();
    if (*complete) return {};
    return player.load();
}

Result<std::string> demo_commands(const DemoOptions& options, const std::string& url) {
    Player player(options);
    const Result<void> issued = player.issue_tokens();
    if (!issued) return issued.error();
    return player.commands(url);
}

}  // namespace tidings::apps
