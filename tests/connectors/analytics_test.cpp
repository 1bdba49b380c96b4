// What analytics consumers get: exact records, the same whenever they are rendered, small, and
// enough to compute from.
#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fstream>
#include <map>
#include <memory>
#include <set>

#include "connectors/analytics/events.h"
#include "connectors/http/event_schemas.h"
#include "core/decide.h"
#include "core/limits.h"
#include "core/time.h"
#include "events/json_output.h"
#include "projections/models.h"
#include "tests/support/catch.h"
#include "tests/support/memory_commands.h"
#include "tests/support/temporary_directory.h"

namespace tidings::analytics {
namespace {

using Records = std::vector<AnalyticsRecord>;

const ProgramId kAcme{"acme"};
const Actor kOlivia{Role::owner, "olivia", "Olivia Owner"};

/// One partition that makes a commit of every command.
class History {
public:
    Records run(const Command& command) { return take(decide(models_->facts(), command)); }

    /// As decided, in a commit of its own.
    Records take(const Outcome& outcome) {
        models_->fold(outcome);
        Tip tip = models_->tip();
        ++tip.sequence.value;
        ++tip.next_command.value;
        tip.hash = sha256(std::to_string(tip.sequence.value));
        REQUIRE(models_->publish(tip, {}).has_value());
        outcomes_.push_back(outcome);
        return render(outcomes_.size() - 1);
    }

    Records render(std::size_t index) const {
        Records out;
        render_outcome(outcomes_[index], PartitionId{3}, CommandPosition{index},
                       Sequence{index + 1}, *models_, out);
        return out;
    }
    std::size_t size() const { return outcomes_.size(); }
    const Models& models() const { return *models_; }

private:
    tidings::testing::TemporaryDirectory directory_;
    std::unique_ptr<Models> models_ =
        std::move(Models::open({.directory = directory_.path()}).value());
    std::vector<Outcome> outcomes_;
};

/// Commands of one program, a minute apart.
class Script {
public:
    Command make(CommandBody body, const Actor& actor = kOlivia) {
        ++count_;
        Command command;
        command.id = CommandId::from(sha256(std::to_string(count_)).view().substr(0, 16));
        command.digest = ContentDigest::from(command.id.view());
        command.time = Timestamp{1'767'603'600'000 + count_ * 60'000};  // 2026-01-05T09:00:00Z
        command.program = kAcme;
        command.actor = actor;
        command.body = std::move(body);
        return command;
    }

private:
    std::int64_t count_ = 0;
};

PartnerPatch patch(const std::string& id, std::optional<PartnerStatus> status = {}) {
    PartnerPatch out;
    out.id = {id};
    out.email = id + "@example.com";
    out.status = status;
    return out;
}

Bitmap bitmap_of(std::initializer_list<std::uint32_t> members) {
    Bitmap out;
    for (const std::uint32_t member : members) out.add(member);
    return out;
}

Filter clicks_at_least(std::int64_t value) {
    Filter filter;
    filter.kind = Filter::Kind::metric;
    filter.op = Comparison::greater_equal;
    filter.value = value;
    return filter;
}

boost::json::value parse(const AnalyticsRecord& record) { return boost::json::parse(record.value); }
std::string text(const boost::json::value& value, const char* name) {
    return std::string(value.at(name).as_string());
}

/// Grace and friends, from the program's creation on.
void people_and_program(Script& script, std::vector<Command>& out) {
    out.push_back(script.make(UpsertProgram{"Acme", Plan::partner}));
    out.push_back(script.make(UpsertProgram{"Acme", Plan::partner}));  // changes nothing
    out.push_back(script.make(SetWebhookSecret{"sealed bytes"}));
    PartnerPatch grace = patch("grace");
    grace.name = "Gr\"ace";
    grace.surname = "Hopper";
    grace.tags = {"premium"};
    grace.joined_at = parse_time("2025-01-05T09:00:00.250Z");
    grace.metrics.clicks = 1200;
    grace.metrics.revenue = {{"USD", 99'990'000}};
    out.push_back(script.make(UpsertPartners{{grace, patch("alan"), patch("zoë")}}));
    PartnerPatch named = patch("zoë");
    named.name = "Zoë";
    out.push_back(script.make(UpsertPartners{{patch("kim", PartnerStatus::pending), named,
                                              patch("alan", PartnerStatus::deleted),
                                              patch("gone", PartnerStatus::deleted)}}));
    RecordTransaction sale{.key = "t1", .partner = {"grace"}, .customer = "c1"};
    sale.revenue = {{"EUR", 10'500'000}};
    sale.stamp.micros = 1;
    out.push_back(script.make(sale));  // its customer's and transaction's rows are no record
}

/// Events 7 (to all), 8 (filtered), 9 (named, takes no replies), and what became of them.
void messages_and_replies(Script& script, std::vector<Command>& out) {
    const Actor grace{Role::partner, "grace", "Grace Hopper"};
    Audience filtered;
    filtered.type = Audience::Type::filter;
    filtered.filter = clicks_at_least(0);
    filtered.exclude = {{"grace"}};
    Audience named;
    named.type = Audience::Type::partners;
    named.partners = {{"zoë"}, {"grace"}, {"zoë"}};
    out.push_back(script.make(SendMessage{"News", "Line one\n\"two\"", {}, true, {}}));
    out.push_back(script.make(SendMessage{"Filtered", "B", filtered, true, {}}));
    out.push_back(script.make(SendMessage{"Named", "B", named, false, {}}));
    RecordOpens opens;
    opens.groups.push_back({EventNumber{7}, bitmap_of({0, 2}), {}});
    opens.groups.push_back({EventNumber{9}, bitmap_of({0, 2}), {}});
    opens.groups[1].at = {*parse_time("2026-01-05T09:09:30Z"), *parse_time("2026-01-05T09:09:45Z")};
    out.push_back(script.make(opens));
    out.push_back(script.make(opens));  // no first opens
    out.push_back(script.make(PostReply{EventNumber{7}, {0}, "When do we start?"}, grace));
    out.push_back(script.make(MarkRead{EventNumber{7}, {0}}));
    out.push_back(script.make(PostReply{EventNumber{7}, {0}, "Tomorrow."}));
    out.push_back(script.make(RecordOpens{{{EventNumber{7}, bitmap_of({0}), {}}}, {}}, grace));
    out.push_back(script.make(PostReply{EventNumber{8}, {2}, "B"}, {Role::partner, "zoë", "Zoë"}));
}

void refusals(Script& script, std::vector<Command>& out) {
    Audience unknown;
    unknown.type = Audience::Type::partners;
    unknown.partners = {{"grace"}, {"nobody"}};
    out.push_back(script.make(PostReply{EventNumber{9}, {0}, "Why?"}));
    out.push_back(script.make(SendMessage{"S", "B", unknown, false, {}}));
    out.push_back(script.make(UpsertProgram{"Acme", Plan::starter}));
    out.push_back(script.make(SendMessage{"S", "B", {}, false, {}}));
    out.push_back(script.make(UpsertPartners{{patch("nobody")}, true}));
    Command elsewhere = script.make(UpsertPartners{{patch("grace")}});
    elsewhere.program = {"café 1?"};
    out.push_back(elsewhere);
}

std::vector<Command> whole_script() {
    Script script;
    std::vector<Command> out;
    people_and_program(script, out);
    messages_and_replies(script, out);
    refusals(script, out);
    out.push_back(script.make(ErasePartner{{"zoë"}}));
    return out;
}

/// The samples are also validated against the schemas, and shown to consumers (tests/system).
std::vector<std::string> samples() {
    std::ifstream file(TIDINGS_SOURCE_DIR "/tests/connectors/analytics_samples.ndjson");
    std::vector<std::string> out;
    for (std::string line; std::getline(file, line);) out.push_back(line);
    REQUIRE(!out.empty());
    return out;
}

TEST_CASE("a record of every type, byte by byte") {
    History history;
    std::vector<std::string> rendered;
    std::set<std::string> types;
    for (const Command& command : whole_script()) {
        for (const AnalyticsRecord& record : history.run(command)) {
            CHECK(record.key == command.program.value);
            rendered.push_back(record.value);
            types.insert(text(parse(record), "type"));
        }
    }
    const std::vector<std::string> expected = samples();
    for (std::size_t i = 0; i < std::min(rendered.size(), expected.size()); ++i) {
        INFO("line " << i + 1);
        CHECK(rendered[i] == expected[i]);
    }
    CHECK(rendered.size() == expected.size());
    std::set<std::string> described;
    for (const http::EventSchema& schema : http::event_schemas()) {
        if (schema.name != "envelope") described.emplace(schema.name);
    }
    CHECK(types == described);
}

TEST_CASE("a record that tells no program is left out") {
    Outcome outcome;
    outcome.status = OutcomeStatus::refused;
    outcome.refusal = Refusal{ErrorCode::malformed, {}, "not a command", {}};
    History history;
    CHECK(history.take(outcome).empty());
}

/// What a consumer can compute of a program's messages and partners from the topic alone.
struct Consumer {
    struct Message {
        std::uint64_t recipients = 0;
        std::set<std::string> opened, replied;
    };
    std::map<std::string, Message> messages;
    std::map<std::string, boost::json::value> partners;

    void read(const AnalyticsRecord& record) {
        const boost::json::value event = parse(record);
        const std::string type = text(event, "type");
        const boost::json::value& data = event.at("data");
        if (type == "io.tidings.message.sent") {
            messages[text(data, "message")].recipients =
                data.at("recipients").to_number<std::uint64_t>();
        } else if (type == "io.tidings.message.opened") {
            Message& message = messages.at(text(data, "message"));
            const auto& opens = data.at("opens").as_array();
            REQUIRE(data.at("first_opens").to_number<std::size_t>() == opens.size());
            for (const auto& open : opens) {
                REQUIRE(message.opened.insert(text(open, "partner")).second);
            }
        } else if (type == "io.tidings.message.replied" && text(data, "from") == "partner") {
            messages.at(text(data, "message")).replied.insert(text(data, "partner"));
        } else if (type == "io.tidings.partner.erased") {
            const auto& last = partners.at(text(data, "partner")).as_object();
            REQUIRE(last.at("erased").as_bool());
            REQUIRE(last.at("email").as_string().empty());
        } else if (type.rfind("io.tidings.partner.", 0) == 0) {
            const bool known = partners.contains(text(data, "id"));
            const bool deleted = text(data, "status") == "deleted";
            REQUIRE(type == (!known    ? "io.tidings.partner.created"
                             : deleted ? "io.tidings.partner.deleted"
                                       : "io.tidings.partner.updated"));
            partners[text(data, "id")] = data;
        }
    }

    void compare(const ProgramId& program, const ReadModels& models) const {
        for (const auto& [id, message] : messages) {
            const MessageStats stats = models.stats(program, *parse_message_id(program, id));
            CHECK(stats.recipients == message.recipients);
            CHECK(stats.opens == message.opened.size());
            CHECK(stats.replied == message.replied.size());
        }
        for (const auto& [id, partner] : partners) {
            std::string now;
            const PartnerPtr state = models.partner(program, {id});
            append_partner(now, *state, models.texts(program).show(*state));
            CHECK(partner == boost::json::parse(now));
        }
        CHECK(models.summary(program).messages == messages.size());
    }
};

TEST_CASE("random histories: rendered again the same, ids unique, numbers as in the read models") {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
        INFO("seed " << seed);
        History history;
        tidings::testing::MemoryState state;
        tidings::testing::CommandGenerator generator(seed);
        std::vector<Records> rendered;
        std::map<std::string, Consumer> consumers;
        std::set<std::pair<std::string, std::string>> identities;
        for (int i = 0; i < 400; ++i) {
            const Outcome outcome = decide(history.models().facts(), generator.next(state));
            tidings::testing::fold(state, outcome);
            rendered.push_back(history.take(outcome));
            for (const AnalyticsRecord& record : rendered.back()) {
                const boost::json::value event = parse(record);
                REQUIRE(identities.emplace(text(event, "source"), text(event, "id")).second);
                consumers[record.key].read(record);
            }
        }
        for (std::size_t i = 0; i < history.size(); ++i) REQUIRE(history.render(i) == rendered[i]);
        for (const auto& [program, consumer] : consumers) {
            consumer.compare({program}, history.models());
        }
        CHECK(identities.size() > 200);
    }
}

/// Imports `count` partners, `prefix` and their number, in the chunks of an import.
void import(History& history, Script& script, std::size_t count, const std::string& prefix) {
    UpsertPartners chunk;
    for (std::size_t i = 0; i < count; ++i) {
        const std::string number = std::to_string(100'000 + i);
        PartnerPatch one;
        one.id = {prefix + number};
        one.email = number + "@example.com";
        chunk.partners.push_back(std::move(one));
        if (chunk.partners.size() < limits::kImportChunkPartners && i + 1 < count) continue;
        const std::size_t size = chunk.partners.size();
        CHECK(history.run(script.make(std::exchange(chunk, {}))).size() == size);
    }
}

TEST_CASE("50,000 opens are 50 records, by partner") {
    History history;
    Script script;
    history.run(script.make(UpsertProgram{"Acme", Plan::partner}));
    import(history, script, limits::kOpensChunk, "p");
    const Records sent = history.run(script.make(SendMessage{"S", "B", {}, false, {}}));
    REQUIRE(sent.size() == 1);
    const EventNumber message = *parse_message_id(kAcme, text(parse(sent[0]), "subject"));
    RecordOpens opens;
    opens.groups.push_back({message, {}, {}});
    opens.groups[0].partners.addRange(0, limits::kOpensChunk);
    const Records records = history.run(script.make(opens));
    REQUIRE(records.size() == 50);
    std::size_t next = 100'000;
    bool in_order = true;
    for (std::size_t i = 0; i < records.size(); ++i) {
        const boost::json::value event = parse(records[i]);
        CHECK(text(event, "id") == std::to_string(message.value + 1) + "." + std::to_string(i + 1));
        CHECK(event.at("data").at("first_opens") == kOpensPerRecord);
        for (const auto& open : event.at("data").at("opens").as_array()) {
            in_order = in_order && text(open, "partner") == "p" + std::to_string(next++);
        }
    }
    CHECK(in_order);
    CHECK(next == 100'000 + limits::kOpensChunk);
}

Outcome outcome_of(Event event) {
    Outcome out;
    out.program = kAcme;
    out.status = OutcomeStatus::applied;
    out.first_event = EventNumber{7};
    out.events.push_back(std::move(event));
    return out;
}

TEST_CASE("an audience of a million is one small record") {
    MessageSent sent{.subject = "S", .body = "B"};
    sent.recipients.addRange(0, 1'000'000);
    sent.audience.type = Audience::Type::partners;
    sent.audience.partners.assign(100'000, PartnerId{"somebody"});
    Records records;
    History history;
    render_outcome(outcome_of(sent), {}, {}, Sequence{1}, history.models(), records);
    REQUIRE(records.size() == 1);
    CHECK(records[0].value.size() < 1'500);
    const boost::json::value data = parse(records[0]).at("data");
    CHECK(data.at("recipients") == 1'000'000);
    CHECK(data.at("audience").at("named") == 100'000);
    CHECK(!data.at("audience").as_object().contains("partners"));
    CHECK(!data.as_object().contains("recipient_ids"));
    CHECK(text(data, "recipients_url") ==
          "/v1/programs/acme/messages/" + text(data, "message") + "/recipients");
}

TEST_CASE("the largest records that the fields' limits allow keep the bound") {
    History history;
    Script script;
    std::string id;  // with the number's six characters as long as an id can be
    for (std::size_t i = 6; i < limits::kIdCharacters; ++i) id += "😀";
    history.run(script.make(UpsertProgram{"Acme", Plan::partner}));
    import(history, script, kOpensPerRecord, id);

    const std::string controls(limits::kBodyBytes, '\x01');  // six bytes each
    MessageSent sent{.subject = std::string(limits::kSubjectCharacters, '"'), .body = controls};
    sent.recipients.addRange(0, kIdsInline);
    sent.audience.type = Audience::Type::filter;
    sent.audience.exclude.assign(kIdsInline, PartnerId{id + id.substr(0, 24)});
    Filter tag;
    tag.kind = Filter::Kind::tag;
    tag.tag.assign(limits::kTagCharacters, '\x01');
    sent.audience.filter.children.assign(limits::kFilterNodes - 1, tag);

    MessagesOpened opened;
    opened.groups.push_back({EventNumber{4}, {}, {}});
    opened.groups[0].partners.addRange(0, kOpensPerRecord);

    PartnerState partner{.id = {id}};
    for (std::size_t i = 0; i < limits::kTagsPerPartner; ++i) partner.tags.push_back(tag.tag);

    const std::vector<Event> events{
        sent, opened, PartnersChanged{{partner}},
        ReplyPosted{.message = {4}, .partner = {0}, .author = kOlivia, .body = controls}};
    for (const Event& event : events) {
        Records records;
        render_outcome(outcome_of(event), {}, {}, Sequence{1}, history.models(), records);
        INFO(name_of(event));
        REQUIRE(records.size() == 1);
        CHECK(records[0].value.size() <= kRecordBytes);
        CHECK(records[0].value.size() > 50'000);
    }
}

}  // namespace
}  // namespace tidings::analytics
