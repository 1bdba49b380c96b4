// The parts of the command line that need no process: tokens, URLs, log positions.
#include "apps/http_client.h"
#include "apps/log_lines.h"
#include "apps/token_request.h"
#include "tests/support/catch.h"

namespace tidings::apps {
namespace {

TEST_CASE("times to live") {
    CHECK(parse_ttl_s("90s") == 90);
    CHECK(parse_ttl_s("30m") == 1'800);
    CHECK(parse_ttl_s("24h") == 86'400);
    CHECK(parse_ttl_s("7d") == 604'800);
    CHECK(parse_ttl_s("36500d") == 36'500LL * 86'400);
    for (const char* wrong : {"", "h", "24", "0s", "-1h", "1.5h", " 1h", "1h ", "1w", "36501d",
                              "99999999999999999999s"}) {
        INFO(wrong);
        CHECK_FALSE(parse_ttl_s(wrong).has_value());
    }
}

TEST_CASE("claims of a token") {
    TokenRequest request;
    request.role = "partner";
    request.program = "acme";
    request.partner = "p-1";
    request.ttl = "1m";
    const Result<Claims> claims = make_claims(request, 1'000);
    REQUIRE(claims.has_value());
    CHECK(*claims ==
          Claims{Role::partner, "partner", "partner", ProgramId{"acme"}, PartnerId{"p-1"}, 1'060});
    request.sub = "u-7";
    CHECK(make_claims(request, 0)->name == "u-7");
}

TEST_CASE("claims that do not fit the role are refused") {
    struct Wrong {
        const char* role;
        std::optional<std::string> program, partner;
    };
    const std::vector<Wrong> table{
        {"boss", {}, {}},        {"owner", {}, {}},      {"platform", "acme", {}},
        {"partner", "acme", {}}, {"partner", {}, "p-1"}, {"owner", "acme", "p-1"},
        {"analyst", {}, "p-1"},  {"owner", "a/b", {}},   {"partner", "acme", ""},
    };
    for (const Wrong& wrong : table) {
        TokenRequest request;
        request.role = wrong.role;
        request.program = wrong.program;
        request.partner = wrong.partner;
        const Result<Claims> claims = make_claims(request, 0);
        INFO(wrong.role << " " << wrong.program.value_or("-") << " "
                        << wrong.partner.value_or("-"));
        REQUIRE_FALSE(claims.has_value());
        CHECK(claims.error().code == ErrorCode::usage);
    }
    for (const char* role : {"platform", "analyst", "auditor"}) {
        TokenRequest request;
        request.role = role;
        CHECK(make_claims(request, 0).has_value());
    }
}

TEST_CASE("URLs of the client") {
    CHECK(parse_url("http://127.0.0.1:8080").value() == Url{"127.0.0.1", 8080, ""});
    CHECK(parse_url("http://broker.example/base/").value() == Url{"broker.example", 80, "/base"});
    CHECK(parse_url("http://[::1]:9").value() == Url{"::1", 9, ""});
    for (const char* wrong : {"", "127.0.0.1:8080", "ftp://x", "http://", "http://u:p@x/",
                              "http://x/?q=1", "http://x:99999/", "https://x"}) {
        const Result<Url> url = parse_url(wrong);
        INFO(wrong);
        REQUIRE_FALSE(url.has_value());
        CHECK(url.error().code == ErrorCode::usage);
    }
    CHECK(parse_url("https://x").error().detail.find("https") != std::string::npos);
    CHECK(encode_segment("a b/ü~") == "a%20b%2F%C3%BC~");
}

TEST_CASE("positions to begin at") {
    CHECK(parse_log_starts("0:12") == std::vector<LogStart>{{PartitionId{0}, Sequence{12}}});
    CHECK(parse_log_starts("3:0,1:7") ==
          std::vector<LogStart>{{PartitionId{3}, Sequence{0}}, {PartitionId{1}, Sequence{7}}});
    for (const char* wrong :
         {"", "0", "0:", ":1", "0:1,", ",0:1", "0:x", "x:0", "0:1:2", "-1:0", "0:1,0:2", "0: 1"}) {
        INFO(wrong);
        CHECK_FALSE(parse_log_starts(wrong).has_value());
    }
}

}  // namespace
}  // namespace tidings::apps
