// Ids, hex, SHA-256, routing, names.
#include "core/ids.h"

#include "core/event.h"
#include "tests/support/catch.h"

using namespace tidings;

TEST_CASE("SHA-256 is FIPS 180-4's") {
    CHECK(to_hex(sha256("abc").view()) ==
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(to_hex(sha256("").view()) ==
          "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    Sha256 pieces;
    pieces.update("a");
    pieces.update("");
    pieces.update("bc");
    CHECK(pieces.finish() == sha256("abc"));
}

TEST_CASE("ids belong to one program and one kind") {
    const ProgramId acme{"acme"}, other{"other"};
    const EventNumber number{0x0123456789abcdef};
    const std::string message = message_id(acme, number);
    CHECK(message == "msg_" + to_hex(sha256("acme").view().substr(0, 8)) + "0123456789abcdef");
    CHECK(parse_message_id(acme, message) == number);
    CHECK(parse_post_id(acme, post_id(acme, number)) == number);
    CHECK_FALSE(parse_message_id(other, message));
    CHECK(parse_message_id(acme, message) == number);  // the memo followed
    CHECK_FALSE(parse_post_id(acme, message));
    CHECK_FALSE(parse_message_id(acme, post_id(acme, number)));
    CHECK_FALSE(parse_message_id(acme, message_id(acme, EventNumber{0})));
    for (const std::string& bad :
         {std::string(), std::string("msg_"), message + "0", message.substr(0, message.size() - 1),
          message.substr(0, message.size() - 1) + "F", message.substr(0, message.size() - 1) + "g",
          "Msg_" + message.substr(4)}) {
        INFO(bad);
        CHECK_FALSE(parse_message_id(acme, bad));
    }
}

TEST_CASE("hex goes both ways") {
    CHECK(to_hex(std::string_view("\x00\x7f\xff", 3)) == "007fff");
    CHECK(from_hex("007fFF") == std::string("\x00\x7f\xff", 3));
    CHECK(from_hex("") == "");
    CHECK_FALSE(from_hex("0"));
    CHECK_FALSE(from_hex("0g"));
    CHECK_FALSE(from_hex(" 0"));
}

TEST_CASE("routing is fixed for good") {
    // First 8 bytes of SHA-256("abc"), modulo.
    CHECK(route(ProgramId{"abc"}, 1) == PartitionId{0});
    CHECK(route(ProgramId{"abc"}, 16) == PartitionId{0xea % 16});
    CHECK(route(ProgramId{"abc"}, 1000) == PartitionId{0xba7816bf8f01cfeaULL % 1000});
}

TEST_CASE("names are the API's words, both ways") {
    for (const Role role :
         {Role::platform, Role::owner, Role::partner, Role::analyst, Role::auditor}) {
        CHECK(parse_role(name_of(role)) == role);
    }
    for (const Plan plan : {Plan::starter, Plan::partner, Plan::advanced}) {
        CHECK(parse_plan(name_of(plan)) == plan);
    }
    for (const PartnerStatus status : {PartnerStatus::active, PartnerStatus::pending,
                                       PartnerStatus::archived, PartnerStatus::deleted}) {
        CHECK(parse_partner_status(name_of(status)) == status);
    }
    CHECK_FALSE(parse_plan("Partner"));
    CHECK_FALSE(parse_role(""));
    CHECK(std::string(name_of(Comparison::not_equal)) == "!=");
    CHECK(std::string(name_of(Engagement::not_opened)) == "not_opened");
    CHECK(std::string(name_of(Metric::paid_accounts)) == "paid_accounts");
    for (int code = 0; code <= static_cast<int>(ErrorCode::usage); ++code) {
        CHECK(std::string(name_of(static_cast<ErrorCode>(code))) != "unknown");
    }
    CHECK(std::string(name_of(CommandBody{MarkRead{}})) == "MarkRead");
    CHECK(std::string(name_of(CommandBody{UpsertProgram{}})) == "UpsertProgram");
    CHECK(std::string(name_of(Event{ConversationRead{}})) == "ConversationRead");
    CHECK(std::string(name_of(Event{MessageSent{}})) == "MessageSent");
}

TEST_CASE("comparisons compare") {
    const auto holds = [](Comparison op) {
        return std::array{compare(1, op, 2), compare(2, op, 2), compare(3, op, 2)};
    };
    CHECK(holds(Comparison::less) == std::array{true, false, false});
    CHECK(holds(Comparison::less_equal) == std::array{true, true, false});
    CHECK(holds(Comparison::equal) == std::array{false, true, false});
    CHECK(holds(Comparison::not_equal) == std::array{true, false, true});
    CHECK(holds(Comparison::greater_equal) == std::array{false, true, true});
    CHECK(holds(Comparison::greater) == std::array{false, false, true});
}
