// Codec: what goes in comes out, for every kind of command and event; hostile bytes are errors,
// never more.
#include "events/codec.h"

#include <capnp/any.h>
#include <capnp/message.h>
#include <capnp/serialize.h>

#include <cstring>

#include "events/envelope.h"
#include "events/little_endian.h"
#include "events/packed.h"
#include "tests/support/catch.h"
#include "tests/support/generators.h"

namespace tidings {
namespace {

using namespace testing;

const CapnpCodec kCodec;

Command command_of(CommandBody body) {
    Command command;
    command.program.value = "acme";
    command.body = std::move(body);
    return command;
}

std::string commit_of(const std::vector<Outcome>& outcomes) {
    Envelope envelope{.sequence = {1}, .last = {outcomes.size()}};
    return kCodec.encode_commit(envelope, outcomes);
}

/// A commit whose envelope is in order around any payload.
std::string commit_around(std::string_view payload) {
    Envelope envelope{.sequence = {1}};
    std::string record = open_commit(envelope, payload.size());
    record += payload;
    close_commit(envelope, record);
    return record;
}

Outcome outcome_with(Event event) {
    Outcome outcome;
    outcome.program.value = "acme";
    outcome.status = OutcomeStatus::applied;
    outcome.first_event = {1};
    outcome.events.push_back(std::move(event));
    return outcome;
}

/// `message` with its root's data section changed, which the schema's own builders could not do.
template <class Change>
std::string changed(std::string_view message, Change change) {
    std::vector<capnp::word> words(message.size() / sizeof(capnp::word));
    std::memcpy(words.data(), message.data(), message.size());
    capnp::FlatArrayMessageReader reader(kj::arrayPtr(words.data(), words.size()));
    capnp::MallocMessageBuilder builder;
    builder.setRoot(reader.getRoot<capnp::AnyStruct>());
    change(builder.getRoot<capnp::AnyStruct>().getDataSection());
    const auto flat = capnp::messageToFlatArray(builder);
    return {reinterpret_cast<const char*>(flat.begin()), flat.size() * sizeof(capnp::word)};
}

ErrorCode refusal_of(const std::string& command) {
    const auto decoded = kCodec.decode_command(command);
    REQUIRE(decoded.has_error());
    return decoded.error().code;
}

TEST_CASE("every kind of command survives its encoding") {
    for (std::size_t kind = 0; kind < kCommandKinds; ++kind) {
        CAPTURE(kind);
        CHECK_PROPERTY([kind] {
            const Command command = *commands(kind);
            RC_ASSERT(command.body.index() == kind);
            const auto decoded = kCodec.decode_command(kCodec.encode_command(command));
            RC_ASSERT(decoded.has_value());
            RC_ASSERT(*decoded == command);
        });
    }
}

TEST_CASE("every kind of event survives its encoding") {
    for (std::size_t kind = 0; kind < kEventKinds; ++kind) {
        CAPTURE(kind);
        CHECK_PROPERTY([kind] {
            const Event event = *events(kind);
            RC_ASSERT(event.index() == kind);
            const auto decoded = kCodec.decode_outcomes(commit_of({outcome_with(event)}));
            RC_ASSERT(decoded.has_value());
            RC_ASSERT(decoded->at(0).events.at(0) == event);
        });
    }
}

TEST_CASE("commits survive their encoding, whatever programs and outcomes are mixed") {
    CHECK_PROPERTY([] {
        const auto all = *rc::gen::container<std::vector<Outcome>>(outcomes());
        Envelope envelope{.log = draw_bytes<LogId>(),
                          .partition = {draw_in<std::uint32_t>(0, 63)},
                          .sequence = {draw_in<std::uint64_t>(1, ~0ULL)},
                          .previous = draw_bytes<Hash256>(),
                          .first = {draw_in<std::uint64_t>(0, 1'000)},
                          .last = {draw_in<std::uint64_t>(1'000, ~0ULL)},
                          .commands = draw_bytes<Hash256>()};
        const std::string record = kCodec.encode_commit(envelope, all);
        RC_ASSERT(*kCodec.decode_envelope(record) == envelope);
        RC_ASSERT(*kCodec.decode_outcomes(record) == all);
    });
}

TEST_CASE("a bulk of opens in columns survives its encoding") {
    RecordOpens opens;
    for (std::uint64_t message = 1; message <= 20; ++message) {
        RecordOpens::Group group{.message = {message * 7}, .partners = {}, .at = {}};
        for (std::uint32_t i = 0; i < 2'500; ++i) {
            group.partners.add((i * 2'654'435'761U + static_cast<std::uint32_t>(message)) %
                               1'000'000);
        }
        if (message % 2 == 0) {
            for (std::uint64_t i = group.partners.cardinality(); i > 0; --i) {
                group.at.push_back(
                    {1'767'225'600'000 + static_cast<std::int64_t>(i * 37 % 60'000)});
            }
        }
        opens.groups.push_back(std::move(group));
    }
    const Command command = command_of(opens);
    const std::string bytes = kCodec.encode_command(command);
    CHECK(bytes.size() < 50'000 * 4);  // 2 bytes a partner, 3 for a time on every second one
    CHECK(*kCodec.decode_command(bytes) == command);
}

TEST_CASE("a single open is small") {
    Command command = command_of(
        RecordOpens{{{.message = {7}, .partners = Bitmap::bitmapOf(1, 123'456U), .at = {}}}, {}});
    CHECK(kCodec.encode_command(command).size() == 144);
    Outcome one = outcome_with(
        MessagesOpened{{{.message = {7}, .partners = Bitmap::bitmapOf(1, 123'456U), .at = {}}}});
    one.first_opens = 1;
    const auto size = [&](std::size_t count) {
        return commit_of(std::vector<Outcome>(count, one)).size();
    };
    CHECK(size(1'001) - size(1'000) == 96);
}

TEST_CASE("bytes that do not lie on a word boundary decode as well") {
    const Command command = command_of(UpsertProgram{"Acme", Plan::advanced});
    const std::string shifted = "." + kCodec.encode_command(command);
    CHECK(*kCodec.decode_command(std::string_view(shifted).substr(1)) == command);
}

TEST_CASE("truncated or lengthened commands are malformed") {
    CHECK_PROPERTY([] {
        const std::string bytes = kCodec.encode_command(*commands());
        const auto length = draw_in<std::size_t>(0, bytes.size() - 1);
        const auto decoded = kCodec.decode_command(std::string_view(bytes).substr(0, length));
        RC_ASSERT(decoded.has_error());
        RC_ASSERT(decoded.error().code == ErrorCode::malformed);
        RC_ASSERT(kCodec.decode_command(bytes + std::string(8, '\0')).has_error());
    });
}

TEST_CASE("damaged commands and payloads are decoded or refused, and no more") {
    const auto damage = [](std::string bytes) {
        const auto flips = draw_in<std::size_t>(1, 6);
        for (std::size_t i = 0; i < flips; ++i) {
            bytes[draw_in<std::size_t>(0, bytes.size() - 1)] ^=
                static_cast<char>(1 << draw_in<int>(0, 7));
        }
        return bytes;
    };
    CHECK_PROPERTY([&damage] {
        const auto decoded = kCodec.decode_command(damage(kCodec.encode_command(*commands())));
        if (decoded) RC_ASSERT(kCodec.decode_command(kCodec.encode_command(*decoded)).has_value());
    });
    CHECK_PROPERTY([&damage] {
        const std::string record = commit_of({*outcomes(), *outcomes()});
        const auto decoded =
            kCodec.decode_outcomes(commit_around(damage(std::string(payload_of(record)))));
        if (decoded) RC_ASSERT(kCodec.decode_outcomes(commit_of(*decoded)).has_value());
    });
}

TEST_CASE("noise is malformed") {
    CHECK_PROPERTY([](const std::string& noise) {
        RC_ASSERT(kCodec.decode_command(noise).has_error());
        RC_ASSERT(kCodec.decode_envelope(noise).has_error());
        RC_ASSERT(kCodec.decode_outcomes(commit_around(noise)).has_error());
    });
    CHECK(refusal_of("") == ErrorCode::malformed);
    CHECK(kCodec.decode_outcomes("").error().code == ErrorCode::corruption);
}

TEST_CASE("any flipped bit of a commit record is found by its envelope") {
    CHECK_PROPERTY([] {
        std::string record = commit_of({*outcomes()});
        record[draw_in<std::size_t>(0, record.size() - 1)] ^=
            static_cast<char>(1 << draw_in<int>(0, 7));
        RC_ASSERT(kCodec.decode_envelope(record).has_error());
    });
}

TEST_CASE("what a newer version wrote is newer_format, never skipped") {
    // Two bodies without content differ in one byte of the root's data: the union's discriminant.
    const std::string a = kCodec.encode_command(command_of(SetWebhookSecret{}));
    const std::string b = kCodec.encode_command(command_of(UpsertPartners{}));
    std::size_t at = 0;
    changed(a, [&](capnp::Data::Builder left) {
        changed(b, [&](capnp::Data::Builder right) {
            while (left[at] == right[at]) ++at;
        });
    });
    const auto set = [](std::size_t index) {
        return [index](capnp::Data::Builder data) { data[index] = 0xEE; };
    };
    CHECK(refusal_of(changed(a, set(at))) == ErrorCode::newer_format);
    CHECK(refusal_of(changed(a, set(0))) == ErrorCode::newer_format);  // `needs`

    const std::string record = commit_of({});
    const auto outcomes =
        kCodec.decode_outcomes(commit_around(changed(payload_of(record), set(0))));
    REQUIRE(outcomes.has_error());
    CHECK(outcomes.error().code == ErrorCode::newer_format);
}

TEST_CASE("an unknown event, outcome or enumerator is newer_format") {
    // Every byte of a valid payload is raised in turn; the three that number a union or an enum
    // must be among them.
    Outcome outcome = outcome_with(ProgramChanged{"Acme", Plan::advanced});
    const std::string payload(payload_of(commit_of({outcome})));
    std::size_t newer = 0;
    for (std::size_t at = 0; at < payload.size(); ++at) {
        std::string bytes = payload;
        bytes[at] = static_cast<char>(0xEE);
        const auto decoded = kCodec.decode_outcomes(commit_around(bytes));
        if (decoded.has_error() && decoded.error().code == ErrorCode::newer_format) ++newer;
    }
    CHECK(newer >= 2 * 5);  // needs, status, detail, event, plan: both bytes of each
}

TEST_CASE("claims that the bytes cannot keep are malformed") {
    SECTION("a bitmap of everything, as opens") {
        RecordOpens opens{{{.message = {1}, .partners = {}, .at = {}}}, {}};
        opens.groups[0].partners.addRange(0, 1ULL << 32);
        CHECK(refusal_of(kCodec.encode_command(command_of(opens))) == ErrorCode::malformed);
    }
    SECTION("a list of two million elements in no space") {
        // {segments - 1, words}, root struct of 1 pointer, composite list of 2^21 elements of no
        // words.
        std::string bytes;
        for (const std::uint64_t word :
             {std::uint64_t{3} << 32, std::uint64_t{1} << 48,
              std::uint64_t{1} | std::uint64_t{7} << 32, std::uint64_t{1} << 23}) {
            put_le(bytes, word);
        }
        CHECK(refusal_of(bytes) == ErrorCode::malformed);
        CHECK(kCodec.decode_outcomes(commit_around(bytes)).has_error());
    }
}

TEST_CASE("what could not be decoded again is not encoded") {
    RecordOpens unordered{{{.message = {2}, .partners = Bitmap::bitmapOf(1, 1U), .at = {}},
                           {.message = {1}, .partners = Bitmap::bitmapOf(1, 1U), .at = {}}},
                          {}};
    CHECK_THROWS_AS(kCodec.encode_command(command_of(unordered)), std::logic_error);
    PartnerState partner;
    partner.tags = {"b", "a"};
    CHECK_THROWS_AS(commit_of({outcome_with(PartnersChanged{{partner}})}), std::logic_error);
    Outcome refused;
    refused.status = OutcomeStatus::refused;
    CHECK_THROWS_AS(commit_of({refused}), std::logic_error);
    refused.refusal = Refusal{ErrorCode::io, {}, {}, {}};
    CHECK_THROWS_AS(commit_of({refused}), std::logic_error);
}

TEST_CASE("packed lists") {
    SECTION("survive") {
        CHECK_PROPERTY([](const std::vector<std::string>& strings) {
            RC_ASSERT(unpack_strings(pack_strings(strings)) == strings);
        });
        CHECK_PROPERTY([] {
            const Money money = draw_money();
            RC_ASSERT(unpack_money(pack_money(money)) == money);
        });
        CHECK_PROPERTY([](const std::vector<std::int64_t>& values) {
            RC_PRE(!values.empty());
            std::vector<Timestamp> times;
            for (const auto value : values) times.push_back({value});
            RC_ASSERT(unpack_times(pack_times(times), times.size()) == times);
            RC_ASSERT(!unpack_times(pack_times(times), times.size() + 1));
            RC_ASSERT(!unpack_times(pack_times(times), times.size() - 1));
        });
    }
    SECTION("are refused when malformed") {
        CHECK(
            !unpack_strings("\x05"
                            "abc"));
        CHECK(!unpack_strings("\x80"));
        CHECK(!unpack_strings(std::string(10, '\xff') + "\x01"));
        CHECK(
            !unpack_money(std::string("\x03"
                                      "USD")));
        CHECK(
            !unpack_money(std::string("\x03"
                                      "USD\x02\x03"
                                      "EUR\x02")));
        CHECK(!unpack_times("", 0));
        CHECK(!unpack_times(std::string(2, '\0'), 1'000'000'000'000));
    }
}

}  // namespace
}  // namespace tidings
