#include "connectors/http/handlers_common.h"
#include "connectors/http/render.h"
#include "tests/support/property.h"

namespace tidings::http {
namespace {

Request with_query(std::vector<std::pair<std::string, std::string>> query) {
    Request request;
    request.query = std::move(query);
    return request;
}

Request with_prefer(const char* value) {
    Request request;
    request.headers.emplace_back("prefer", value);
    return request;
}

/// Reads one record of RFC 4180 back.
std::vector<std::string> read_csv(const std::string& text) {
    std::vector<std::string> fields(1);
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (quoted && text[i] == '"' && i + 1 < text.size() && text[i + 1] == '"') {
            fields.back() += text[i++];
        } else if (text[i] == '"') {
            quoted = !quoted;
        } else if (!quoted && text[i] == ',') {
            fields.emplace_back();
        } else if (!quoted && text.compare(i, 2, "\r\n") == 0) {
            break;
        } else {
            fields.back() += text[i];
        }
    }
    return fields;
}

}  // namespace

TEST_CASE("positions are pairs of known partitions and sequences") {
    const auto one = parse_positions("0:12", 1);
    REQUIRE(one);
    CHECK(*one == Positions{{PartitionId{0}, Sequence{12}}});
    const auto two = parse_positions("1:0 , 0:18446744073709551615", 2);
    REQUIRE(two);
    CHECK(two->size() == 2);
    CHECK((*two)[1].second.value == 18446744073709551615ULL);
    for (const char* bad : {"", "x", "1", "0:", ":1", "0:-1", "0:1,", ",0:1", "1:1", "0:1:2",
                            "0:+1", "0:1.0", "0:99999999999999999999", "0x0:1"}) {
        CHECK_FALSE(parse_positions(bad, 1));
    }
    CHECK(format_position(PartitionId{3}, Sequence{7}) == "3:7");
}

TEST_CASE("positions read back as they were written") {
    CHECK_PROPERTY([](std::uint32_t any, std::uint64_t sequence) {
        const std::uint32_t partition = any % 1'000'000;
        const auto read = parse_positions(
            format_position(PartitionId{partition}, Sequence{sequence}), partition + 1);
        RC_ASSERT(read.has_value());
        RC_ASSERT(read->front().first.value == partition);
        RC_ASSERT(read->front().second.value == sequence);
    });
}

TEST_CASE("Prefer: respond-async is found in any list and case") {
    for (const char* yes : {"respond-async", "Respond-Async", "wait=10, respond-async",
                            "respond-async; foo=bar", " respond-async ,x"}) {
        CHECK(prefers_async(with_prefer(yes)));
    }
    for (const char* no : {"", "respond-asynchronously", "wait=10", "x=respond-async"}) {
        CHECK_FALSE(prefers_async(with_prefer(no)));
    }
    CHECK_FALSE(prefers_async(Request{}));
}

TEST_CASE("limits are integers from 1 to 200") {
    for (const char* good : {"1", "50", "200"}) {
        const Request request = with_query({{"limit", good}});
        Parameters parameters(request);
        CHECK(parameters.page().limit == std::stoul(good));
        CHECK(parameters.check().has_value());
    }
    for (const char* bad :
         {"0", "201", "", "x", "-1", "+1", "1.5", "1e1", "99999999999999999999"}) {
        const Request request = with_query({{"limit", bad}});
        Parameters parameters(request);
        parameters.page();
        const auto checked = parameters.check();
        REQUIRE(checked.has_error());
        CHECK(checked.error().code == ErrorCode::invalid);
        CHECK(checked.error().fields.front().pointer == "/limit");
    }
}

TEST_CASE("parameters are collected with what the router found") {
    Request request = with_query({{"limit", "0"},
                                  {"cursor", ""},
                                  {"state", "maybe"},
                                  {"query", std::string(201, 'q')},
                                  {"unread", "yes"}});
    request.parameter_error =
        Error{ErrorCode::invalid, "unknown", {{"/surprise", "unknown_field", "no such parameter"}}};
    Parameters parameters(request);
    parameters.page();
    CHECK(parameters.choice("state", {"all", "opened"}, 0) == 0);
    CHECK(parameters.text("query", 200).empty());
    CHECK_FALSE(parameters.flag("unread"));
    const auto checked = parameters.check();
    REQUIRE(checked.has_error());
    std::vector<std::string> pointers;
    for (const FieldError& field : checked.error().fields) pointers.push_back(field.pointer);
    CHECK(pointers == std::vector<std::string>{"/surprise", "/limit", "/cursor", "/state", "/query",
                                               "/unread"});
}

TEST_CASE("texts are measured in code points") {
    std::string text;
    for (int i = 0; i < 200; ++i) text += "é";
    const Request request = with_query({{"query", text}});
    Parameters parameters(request);
    CHECK(parameters.text("query", 200) == text);
    CHECK(parameters.check().has_value());
}

TEST_CASE("no two lists of fields have the same canonical form") {
    CHECK_PROPERTY([](const std::vector<std::string>& left, const std::vector<std::string>& right) {
        Canonical a("x"), b("x");
        for (const std::string& field : left) a.add(field);
        for (const std::string& field : right) b.add(field);
        RC_ASSERT((a.bytes() == b.bytes()) == (left == right));
    });
    CHECK(Canonical("a").bytes() != Canonical("b").bytes());
    CHECK(Canonical("a").add("b").bytes() != Canonical("ab").bytes());
}

TEST_CASE("a key's command depends on role, program, partner or sub, and key") {
    Claims owner;
    owner.role = Role::owner;
    owner.sub = "olivia";
    const ProgramId acme{"acme"};
    const CommandId id = command_id_of_key(owner, acme, "k");
    CHECK(command_id_of_key(owner, acme, "k") == id);
    CHECK(command_id_of_key(owner, acme, "l") != id);
    CHECK(command_id_of_key(owner, ProgramId{"other"}, "k") != id);
    Claims other = owner;
    other.sub = "oscar";
    CHECK(command_id_of_key(other, acme, "k") != id);
    Claims partner = owner;
    partner.role = Role::partner;
    partner.partner = PartnerId{"olivia"};
    CHECK(command_id_of_key(partner, acme, "k") != id);
    Claims renamed = partner;
    renamed.sub = "someone else";
    CHECK(command_id_of_key(renamed, acme, "k") == command_id_of_key(partner, acme, "k"));
}

TEST_CASE("the latest callers are kept, the oldest forgotten") {
    CommandCallers callers(2);
    const CallerDigest mine = CallerDigest::from("0123456789abcdef");
    const auto id = [](char c) { return CommandId::from(std::string(16, c)); };
    callers.add(id('a'), mine);
    CHECK(callers.has(id('a'), mine));
    CHECK_FALSE(callers.has(id('a'), CallerDigest{}));
    for (const char c : {'b', 'c', 'd', 'e'}) callers.add(id(c), mine);
    CHECK(callers.has(id('e'), mine));
    CHECK(callers.has(id('d'), mine));
    CHECK_FALSE(callers.has(id('a'), mine));
}

TEST_CASE("refusals with a pointer name the field") {
    const Error error = error_of({ErrorCode::unknown_partner, "/audience/partners/1", "who?", {}});
    CHECK(error.code == ErrorCode::unknown_partner);
    REQUIRE(error.fields.size() == 1);
    CHECK(error.fields[0] == FieldError{"/audience/partners/1", "unknown_partner", "who?"});
    CHECK(error_of({ErrorCode::plan_required, "", "no", {}}).fields.empty());
}

TEST_CASE("CSV fields are exact and read back") {
    std::string out;
    append_csv_field(out, "plain =1+1");
    CHECK(out == "plain =1+1");
    CHECK_PROPERTY([] {
        const auto fields =
            *rc::gen::nonEmpty(rc::gen::container<std::vector<std::string>>(rc::gen::map(
                rc::gen::container<std::string>(rc::gen::elementOf(std::string("a,\"\r\n é"))),
                [](std::string s) { return s; })));
        std::string text;
        for (std::size_t i = 0; i < fields.size(); ++i) {
            if (i > 0) text += ',';
            append_csv_field(text, fields[i]);
        }
        RC_ASSERT(read_csv(text + "\r\n") == fields);
    });
}

TEST_CASE("rates are the shortest decimals") {
    const auto shown = [](double value) {
        std::string out;
        append_double(out, value);
        return out;
    };
    CHECK(shown(0) == "0");
    CHECK(shown(1) == "1");
    CHECK(shown(0.25) == "0.25");
    CHECK(shown(1.0 / 3) == "0.3333333333333333");
    CHECK(shown(1e-7) == "1e-07");
}

}  // namespace tidings::http
