// The frozen envelope: its bytes as literals, so that no later version can change them unnoticed.
#include "events/envelope.h"

#include "events/codec.h"
#include "tests/support/catch.h"

namespace tidings {
namespace {

Genesis sample_genesis() {
    return {.log = LogId::from("0123456789abcdef"),
            .partition = {3},
            .partitions = 16,
            .format_version = 1};
}

Envelope sample_envelope() {
    return {.log = LogId::from("0123456789abcdef"),
            .partition = {3},
            .sequence = {0x0102030405060708},
            .previous = sha256("previous"),
            .first = {1'000},
            .last = {1'002},
            .commands = sha256("commands")};
}

std::string sample_commit(Envelope& envelope, std::string_view payload) {
    std::string record = open_commit(envelope, payload.size());
    record += payload;
    close_commit(envelope, record);
    return record;
}

// Both were written out once from the drawing in envelope.h, the hashes computed by another
// program.
const std::string kGenesisHex =
    "544447470100000030313233343536373839616263646566"  // TDGG, 1, 0, log id
    "0300000010000000"
    "0100000000000000"                   // partition 3 of 16, format 1, 0
    "7368613235362f386265000000000000";  // sha256/8be
const std::string kCommitHex =
    "544447430100010030313233343536373839616263646566"  // TDGC, 1, Cap'n Proto, log id
    "0300000003000000"
    "0807060504030201"  // partition, 3 bytes of payload, sequence
    + to_hex(sha256("previous").view()) +
    "e803000000000000"
    "ea03000000000000"                               // first, last
    + to_hex(sha256("commands").view()) + "616263";  // payload "abc"

TEST_CASE("genesis has the bytes that it always had") {
    Genesis genesis = sample_genesis();
    const std::string record = encode_genesis(genesis);
    CHECK(to_hex(record) == kGenesisHex + to_hex(sha256(*from_hex(kGenesisHex)).view()));
    CHECK(genesis.hash == sha256(*from_hex(kGenesisHex)));
    CHECK(to_hex(genesis.hash.view()) ==
          "d4d98b8c146bc08fc60766da3c35ce1755f6c9c3ed9a8b8f2f8ebab40e0dd6df");
    CHECK(*decode_genesis(record) == genesis);
}

TEST_CASE("a commit has the bytes that it always had") {
    Envelope envelope = sample_envelope();
    const std::string record = sample_commit(envelope, "abc");
    CHECK(to_hex(record) == kCommitHex + to_hex(sha256(*from_hex(kCommitHex)).view()));
    CHECK(to_hex(envelope.hash.view()) ==
          "ee5b51f6ec0a3c1f6950fcd34643d1a23ff0d829441d5e42af07fc40b1a6ff3a");
    CHECK(*decode_commit(record) == envelope);
    CHECK(payload_of(record) == "abc");
    CHECK(payload_kind(record) == kPayloadCapnProto);
}

TEST_CASE("every flipped bit and every cut of a record is found") {
    Genesis genesis = sample_genesis();
    Envelope envelope = sample_envelope();
    const std::string first = encode_genesis(genesis), second = sample_commit(envelope, "payload!");
    for (const std::string& record : {first, second}) {
        for (std::size_t bit = 0; bit < 8 * record.size(); ++bit) {
            std::string damaged = record;
            damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
            CHECK((decode_genesis(damaged).has_error() && decode_commit(damaged).has_error()));
        }
        for (std::size_t size = 0; size < record.size(); ++size) {
            const std::string_view cut = std::string_view(record).substr(0, size);
            CHECK((decode_genesis(cut).has_error() && decode_commit(cut).has_error()));
        }
        CHECK(
            (decode_genesis(record + "x").has_error() && decode_commit(record + "x").has_error()));
    }
}

TEST_CASE("an envelope or payload of a newer version is newer_format") {
    Envelope envelope = sample_envelope();
    std::string record = sample_commit(envelope, "abc");
    record[4] = 2;
    CHECK(decode_commit(record).error().code == ErrorCode::corruption);  // a flipped bit
    const std::size_t covered = record.size() - 32;
    record.replace(covered, 32, sha256(std::string_view(record).substr(0, covered)).view());
    CHECK(decode_commit(record).error().code == ErrorCode::newer_format);
    record[4] = 0;
    CHECK(decode_commit(record).error().code == ErrorCode::corruption);

    record = open_commit(envelope, 0);
    record[6] = 2;
    close_commit(envelope, record);
    CHECK(decode_commit(record).has_value());  // acceptance looks at the envelope alone (rule 4)
    CHECK(CapnpCodec().decode_outcomes(record).error().code == ErrorCode::newer_format);

    Genesis genesis = sample_genesis();
    genesis.format_version = 2;
    CHECK(decode_genesis(encode_genesis(genesis)).error().code == ErrorCode::newer_format);
    std::string other_hash = encode_genesis(genesis = sample_genesis());
    other_hash.replace(40, 7, "murmur3");
    other_hash.replace(56, 32, sha256(std::string_view(other_hash).substr(0, 56)).view());
    CHECK(decode_genesis(other_hash).error().code == ErrorCode::newer_format);
}

TEST_CASE("a genesis record that names no partition is corrupt") {
    Genesis genesis = sample_genesis();
    genesis.partitions = 3;
    CHECK(decode_genesis(encode_genesis(genesis)).error().code == ErrorCode::corruption);
}

TEST_CASE("records of the first format stay readable") {
    // As version 0.1.0 wrote them: one RecordOpens, one MarkRead and their outcomes. Never change
    // these literals.
    const CapnpCodec codec;
    const auto open = codec.decode_command(*from_hex(
        "0000000013000000000000000b000400000000000200000000a8da769b010000636f6d6d616e642d6964"
        "2d3030303031000000000000000000000000000000000000000000000000000000000000000007000000"
        "00000000090000000000000040e20100000000000d0000002a0000000d000000220000000d0000002200"
        "0000000000000000000061636d6500000000702d310000000000416e6e0000000000"));
    REQUIRE(open.has_value());
    CHECK(open->actor == Actor{Role::partner, "p-1", "Ann"});
    CHECK(open->id == CommandId::from("command-id-00001"));
    CHECK(open->program.value == "acme");
    CHECK(open->time.value == 1'767'225'600'000);
    CHECK(
        std::get<RecordOpens>(open->body) ==
        RecordOpens{{{.message = {7}, .partners = Bitmap::bitmapOf(1, 123'456U), .at = {}}}, {9}});

    const auto commit = *from_hex(
        "544447430100010000000000000000000000000000000000000000005801000001000000000000000000"
        "000000000000000000000000000000000000000000000000000000000000000000000000000001000000"
        "000000000000000000000000000000000000000000000000000000000000000000000000000000002a00"
        "000000000000010002000000000000000000950000000e00000001000000c7000000080000000b000100"
        "636f6d6d616e642d69642d30303030310000000000000000000000000000000000000000000000000000"
        "00000000000000a8da769b010000090000000000000000000000000000000100000040e2010007000000"
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "000000000000000000000000000000000000000000000000000000000000000000000000000003000000"
        "020000000000000000000000000000000000000003000300000000000000000000000000000000000000"
        "000000000000000000000000000004000000010002000000000000000000030000000000000005000000"
        "0a000000050000001a00000000000000000000006e6f000000000000010000002a00000061636d650000"
        "0000522f95eeb47614d6605668cef6fbc596b675c91162358bf3c58f88aefaeeefa6");
    CHECK(codec.decode_envelope(commit).has_value());
    const auto outcomes = codec.decode_outcomes(commit);
    REQUIRE(outcomes.has_value());
    REQUIRE(outcomes->size() == 2);
    CHECK(std::get<MessagesOpened>(outcomes->at(0).events.at(0)).groups[0].partners ==
          Bitmap::bitmapOf(1, 123'456U));
    CHECK(outcomes->at(1).refusal == Refusal{ErrorCode::plan_required, "", "no", Plan::starter});
}

}  // namespace
}  // namespace tidings
