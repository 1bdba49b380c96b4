#include "events/sealing.h"

#include "core/ids.h"
#include "events/codec.h"
#include "tests/events/acme.h"
#include "tests/support/catch.h"
#include "tests/support/generators.h"

namespace tidings {
namespace {

using testing::kAcme;

PartnerKey key_of(char fill) {
    PartnerKey key;
    key.id.fill(fill);
    for (std::size_t i = 0; i < key.secret.size(); ++i) key.secret[i] = static_cast<char>(i);
    return key;
}

TEST_CASE("a sealed text opens under its key, for its program and field alone") {
    const PartnerKey key = key_of('k');
    const PersonalText sealed = seal_text(key, kAcme, PersonalField::email, "grace@hopper.example");
    CHECK(sealed.is_sealed());
    CHECK(sealed.stored().size() == 25 + 20);
    CHECK(key_id_of(sealed) == "kkkkkkkk");
    CHECK(open_text(key, kAcme, PersonalField::email, sealed) == "grace@hopper.example");
    CHECK(seal_text(key, kAcme, PersonalField::email, "grace@hopper.example") == sealed);
    CHECK(!(seal_text(key, kAcme, PersonalField::email, "grace@hopper.exampl!") == sealed));
    CHECK_FALSE(open_text(key, kAcme, PersonalField::name, sealed));
    CHECK_FALSE(open_text(key, ProgramId{"acm"}, PersonalField::email, sealed));
    PartnerKey other = key;
    other.secret[31] = 'x';
    CHECK_FALSE(open_text(other, kAcme, PersonalField::email, sealed));
    for (std::size_t i = 9; i < sealed.stored().size(); ++i) {
        std::string altered = sealed.stored();
        altered[i] ^= 1;
        CHECK_FALSE(open_text(key, kAcme, PersonalField::email, altered));
        CHECK_FALSE(open_text(key, kAcme, PersonalField::email, sealed.stored().substr(0, i)));
    }
}

TEST_CASE("no text is no text, sealed or not") {
    CHECK(seal_text(key_of('k'), kAcme, PersonalField::name, "") == PersonalText());
    CHECK(key_id_of("plain text that is long enough to hold a key id").empty());
    CHECK_FALSE(open_text(key_of('k'), kAcme, PersonalField::name, "\xff"));
}

TEST_CASE("whatever is sealed opens again") {
    CHECK_PROPERTY("sealed and opened", [] {
        PartnerKey key;
        for (char& byte : key.id) byte = static_cast<char>(testing::draw_in<int>(0, 255));
        for (char& byte : key.secret) byte = static_cast<char>(testing::draw_in<int>(0, 255));
        const ProgramId program{testing::draw_text()};
        const std::string text = testing::draw_name();
        const PersonalText sealed = seal_text(key, program, PersonalField::post, text);
        RC_ASSERT(open_text(key, program, PersonalField::post, sealed) == text);
    });
}

/// The bytes are for ever: RFC 5297 under this key, and this layout around it.
TEST_CASE("sealed bytes as they were first written") {
    const PersonalText sealed = seal_text(key_of('k'), kAcme, PersonalField::surname, "Hopper");
    CHECK(to_hex(sealed.stored()) ==
          "ff6b6b6b6b6b6b6b6b6a298337f23cef5a48e92257524f2f7cdd0f52f8d641");
    Command command;
    command.program = kAcme;
    UpsertPartners upsert;
    upsert.partners.push_back(
        {.id = {"grace"}, .email = {}, .name = PersonalText(), .surname = sealed});
    command.body = upsert;
    const std::string record = CapnpCodec().encode_command(command);
    CHECK(CapnpCodec().decode_command(record).value() == command);
    CHECK(to_hex(record) ==
          "0000000023000000000000000b000400000000000000000000000000000000000000000000000000"
          "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
          "0000000000000000000000000000000000000000040000000d0000002a0000000000000000000000"
          "0000000000000000040000000100010061636d65000000000000000000000000010000004f000000"
          "04000000020007000100000000000000000000000000000019000000320000001900000012010000"
          "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
          "6772616365000000000120ff6b6b6b6b6b6b6b6b6a298337f23cef5a48e92257524f2f7cdd0f52f8"
          "d641000000000000");
}

}  // namespace
}  // namespace tidings
