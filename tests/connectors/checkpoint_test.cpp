// Checkpoints as signed notes: what others wrote is read, ours are exact, and a lie is refused.
#include "connectors/checkpoint.h"

#include "connectors/base64.h"
#include "connectors/keys.h"
#include "connectors/proofs.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"

namespace tidings {
namespace {

LogId log_id() {
    LogId log;
    for (std::size_t i = 0; i < LogId::kSize; ++i) log.bytes[i] = static_cast<std::uint8_t>(i);
    return log;
}

struct Signing {
    Signing() : keys(KeyRing::open(directory.path()).value()) {}
    CheckpointSigner signer() const { return {"tidings.example", log_id(), *keys}; }
    std::string note(std::uint64_t size = 9) const {
        TreeHead head;
        head.size = size;
        head.root = sha256("root");
        head.tip.sequence = {4};
        head.tip.hash = sha256("four");
        return signer().sign({2}, head);
    }
    tidings::testing::TemporaryDirectory directory;
    std::unique_ptr<KeyRing> keys;
};

/// Go's sum database: its key as it stands in the go command.
constexpr const char* kSumKey =
    "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

}  // namespace

TEST_CASE("verifier keys are those of Go's notes") {
    const auto key = parse_verifier_key(kSumKey);
    REQUIRE(key.has_value());
    CHECK(key->name == "sum.golang.org");
    CHECK(to_text(*key) == kSumKey);
    for (const char* wrong :
         {"", "sum.golang.org",
          "sum.golang.org+033de0af+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
          "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuA==",
          "+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"}) {
        CHECK_FALSE(parse_verifier_key(wrong).has_value());
    }
}

TEST_CASE("a checkpoint is the note that its specification draws") {
    const Signing signing;
    const std::string note = signing.note();
    const std::string text = "tidings.example/000102030405060708090a0b0c0d0e0f/p2\n9\n" +
                             to_base64(sha256("root").view()) + "\ntidings commit 4 " +
                             to_hex(sha256("four").view()) + "\n";
    REQUIRE(note.starts_with(
        text + "\n\xe2\x80\x94 tidings.example/000102030405060708090a0b0c0d0e0f/p2 "));
    CHECK(note.back() == '\n');
    const auto read = verify_checkpoint(note, {signing.signer().key({2})});
    REQUIRE(read.has_value());
    CHECK(read->size == 9);
    CHECK(read->root == sha256("root"));
    CHECK(read->chain == ChainPosition{{4}, sha256("four")});
    const auto parts = parse_origin(read->origin);
    REQUIRE(parts.has_value());
    CHECK(parts->log == log_id());
    CHECK(parts->partition == PartitionId{2});
    CHECK_FALSE(parse_origin("tidings.example/p2").has_value());
    CHECK_FALSE(parse_origin("000102030405060708090a0b0c0d0e0f/p2").has_value());
}

TEST_CASE("every changed byte of a note is found, and a witness' signature does no harm") {
    const Signing signing;
    const std::vector<VerifierKey> keys = {signing.signer().key({2})};
    const std::string note = signing.note();
    for (std::size_t byte = 0; byte < note.size(); ++byte) {
        for (const unsigned char mask : {0x01, 0x20, 0x80}) {
            std::string changed = note;
            changed[byte] = static_cast<char>(changed[byte] ^ mask);
            const auto read = verify_checkpoint(changed, keys);
            // base64 may say the same bytes in two ways, but never other ones
            if (read) CHECK(*read == *verify_checkpoint(note, keys));
            if (byte < note.rfind("\n\n")) REQUIRE_FALSE(read.has_value());
        }
    }
    for (std::size_t cut = 0; cut < note.size(); ++cut) {
        CHECK_FALSE(verify_checkpoint(note.substr(0, cut), keys).has_value());
    }
    const std::string witness =
        "\xe2\x80\x94 witness.example/w " + to_base64(std::string(76, 'x')) + "\n";
    CHECK(verify_checkpoint(note + witness, keys).has_value());
    const std::size_t signatures = note.rfind("\n\n") + 2;
    CHECK(verify_checkpoint(note.substr(0, signatures) + witness + note.substr(signatures), keys)
              .has_value());
    CHECK(verify_checkpoint(note.substr(0, signatures) + witness, keys).error().code ==
          ErrorCode::forbidden);
    CHECK(verify_checkpoint(note, {}).error().code == ErrorCode::forbidden);
    CHECK(verify_checkpoint(note, {signing.signer().key({1})}).error().code ==
          ErrorCode::forbidden);
    const Signing other;
    CHECK(verify_checkpoint(note, {other.signer().key({2})}).error().code == ErrorCode::forbidden);
}

TEST_CASE("other lines of a checkpoint are left alone, malformed ones of ours are not") {
    const auto read = [](const std::string& text) {
        return read_checkpoint(text + "\n\xe2\x80\x94 a AAAAAAAA\n");
    };
    const std::string start = "a\n0\n" + to_base64(sha256("").view()) + "\n";
    CHECK(read(start).has_value());
    CHECK(read(start + "something else\n").has_value());
    CHECK(read(start + "tidings commit 3 " + to_hex(sha256("x").view()) + "\n")->chain ==
          ChainPosition{{3}, sha256("x")});
    for (const std::string& wrong :
         {std::string("a\n0\n"), "a\n00\n" + to_base64(sha256("").view()) + "\n",
          "a\n-1\n" + to_base64(sha256("").view()) + "\n",
          "\n0\n" + to_base64(sha256("").view()) + "\n", std::string("a\n0\nAAAA\n"),
          start + "tidings commit 3\n", start + "tidings commit x y\n"}) {
        INFO(wrong);
        CHECK(read(wrong).error().code == ErrorCode::malformed);
    }
}

TEST_CASE("two checkpoints of one tree name the same commit, later ones no earlier commit") {
    const Signing signing;
    const auto note = [&](std::uint64_t sequence, const char* hash) {
        TreeHead head;
        head.size = 9;
        head.root = sha256("root");
        head.tip.sequence = {sequence};
        head.tip.hash = sha256(hash);
        return signing.signer().sign({2}, head);
    };
    const auto check = [&](const std::string& later) {
        return check_consistency(to_json(ConsistencyProof{9, 9, {}, later}), note(4, "four"),
                                 {signing.signer().key({2})});
    };
    CHECK(check(note(4, "four")).has_value());
    for (const std::string& other : {note(4, "altered"), note(5, "four"), note(3, "four")}) {
        const auto grown = check(other);
        REQUIRE_FALSE(grown.has_value());
        CHECK(grown.error().code == ErrorCode::log_mismatch);
    }
}

TEST_CASE("what an event may be called") {
    const ProgramId acme{"acme"};
    CHECK(parse_event_name("17", acme)->number == EventNumber{17});
    CHECK(parse_event_name("17.2", acme)->number == EventNumber{17});
    CHECK(parse_event_name(message_id(acme, {9}), acme)->number == EventNumber{9});
    CHECK(parse_event_name(post_id(acme, {10}), acme)->number == EventNumber{10});
    CHECK(parse_event_name("refused.3.41", std::nullopt)->command == CommandPosition{41});
    CHECK(to_text(*parse_event_name("refused.3.41", acme)) == "refused.3.41");
    for (const char* wrong : {"", "0", "x", "1.", "1.x", "-1", "refused.", "refused.1",
                              "refused.x.1", "msg_00000000000000000000000000000001"}) {
        INFO(wrong);
        CHECK_FALSE(parse_event_name(wrong, acme).has_value());
    }
    CHECK_FALSE(parse_event_name("17", std::nullopt).has_value());
}

}  // namespace tidings
