// Leaves of the Merkle tree: they come from the stored bytes, and never change.
#include <capnp/any.h>
#include <capnp/message.h>
#include <capnp/serialize.h>

#include <cstring>

#include "core/merkle.h"
#include "events/codec.h"
#include "events/codec_canonical.h"
#include "events/envelope.h"
#include "tests/events/first_format.h"
#include "tests/support/catch.h"
#include "tests/support/generators.h"
#include "tests/support/property.h"

namespace tidings {
namespace {

using namespace testing;

const CapnpCodec kLeafCodec;

std::string commit_of(std::span<const Outcome> outcomes) {
    Envelope envelope{.sequence = {1}, .last = {outcomes.size()}};
    return kLeafCodec.encode_commit(envelope, outcomes);
}

std::vector<std::string> leaves_of(std::string_view record) {
    std::vector<std::string> out;
    const auto read =
        kLeafCodec.read_leaves(record, [&](std::string_view leaf) { out.emplace_back(leaf); });
    INFO((read ? "" : read.error().detail));
    REQUIRE(read.has_value());
    return out;
}

Outcome first_open(const std::string& program, std::uint32_t partner) {
    Outcome outcome;
    outcome.program.value = program;
    outcome.id.bytes[0] = static_cast<std::uint8_t>(partner);
    outcome.time.value = 1'767'225'600'123;
    outcome.status = OutcomeStatus::applied;
    outcome.first_event = {partner + 1};
    outcome.first_opens = 1;
    MessagesOpened opened;
    opened.groups.push_back({EventNumber{7}, Bitmap{}, {}});
    opened.groups[0].partners.add(partner);
    outcome.events.emplace_back(std::move(opened));
    return outcome;
}

std::vector<Outcome> draw_outcomes() {
    std::vector<Outcome> out;
    for (int n = *rc::gen::inRange(0, 6); n > 0; --n) out.push_back(draw_outcome());
    return out;
}

/// A commit record around a payload that a later version may have written.
std::string commit_around(capnp::MessageBuilder& payload) {
    const kj::Array<capnp::word> words = capnp::messageToFlatArray(payload);
    Envelope envelope{.sequence = {1}};
    std::string record = open_commit(envelope, words.asBytes().size());
    record.append(reinterpret_cast<const char*>(words.begin()), words.asBytes().size());
    close_commit(envelope, record);
    return record;
}

/// As the library makes it: the definition.
std::string canonical(capnp::AnyStruct::Reader from) {
    const kj::Array<capnp::word> words = from.canonicalize();
    return {reinterpret_cast<const char*>(words.begin()), words.asBytes().size()};
}

void draw_any_struct(capnp::AnyStruct::Builder to, int depth);

void draw_any_list(capnp::AnyPointer::Builder to, int depth) {
    const auto size = *rc::gen::inRange(0u, 9u);
    const auto element = static_cast<capnp::ElementSize>(*rc::gen::inRange(0, 7));
    if (element == capnp::ElementSize::POINTER || depth == 0 || *rc::gen::arbitrary<bool>()) {
        auto list = to.initAsListOfAnyStruct(*rc::gen::inRange<std::uint16_t>(0, 3),
                                             *rc::gen::inRange<std::uint16_t>(0, 3), size);
        for (unsigned i = 0; i < size && depth > 0; ++i) draw_any_struct(list[i], depth - 1);
        return;
    }
    const auto list = to.initAsAnyList(element, size);
    for (auto& byte : list.asReader().getRawBytes()) {
        const_cast<capnp::byte&>(byte) = *rc::gen::arbitrary<capnp::byte>();
    }
}

void draw_any_struct(capnp::AnyStruct::Builder to, int depth) {
    for (auto& byte : to.getDataSection()) {
        if (*rc::gen::inRange(0, 3) == 0) byte = *rc::gen::arbitrary<capnp::byte>();
    }
    for (auto pointer : to.getPointerSection()) {
        switch (*rc::gen::inRange(0, 4)) {
            case 0:
                break;
            case 1:
                pointer.setAs<capnp::Text>(capnp::Text::Reader("a text of some length"));
                break;
            case 2:
                draw_any_list(pointer, depth);
                break;
            default:
                if (depth == 0) break;
                draw_any_struct(pointer.initAsAnyStruct(*rc::gen::inRange<std::uint16_t>(0, 3),
                                                        *rc::gen::inRange<std::uint16_t>(0, 3)),
                                depth - 1);
        }
    }
}

}  // namespace

TEST_CASE("the canonical form is the library's, whatever a later version has in its messages") {
    CHECK_PROPERTY("", [] {
        capnp::MallocMessageBuilder message(1 + *rc::gen::inRange(0u, 20u));  // far pointers
        auto root = message.initRoot<capnp::AnyPointer>().initAsAnyStruct(0, 2);
        root.getPointerSection()[0].setAs<capnp::Text>("acme");
        auto inner = root.getPointerSection()[1].initAsAnyStruct(3, 3);
        draw_any_struct(inner, 3);
        const auto zeroed = 4 * *rc::gen::inRange(0u, 8u);  // the last ones lie behind the data
        std::vector<std::uint64_t> words;
        wire::CanonicalWriter writer(words, 2);
        writer.set_root_text(0, "acme");
        writer.set_root_struct(1, inner.asReader(), zeroed);
        if (zeroed < 24) std::memset(inner.getDataSection().begin() + zeroed, 0, 4);
        RC_ASSERT(std::string(reinterpret_cast<const char*>(words.data()), 8 * words.size()) ==
                  canonical(root.asReader()));
    });
}

TEST_CASE("a leaf says what was decided, whichever commit it lies in") {
    CHECK_PROPERTY("", [] {
        const auto outcomes = draw_outcomes();
        const std::vector<std::string> together = leaves_of(commit_of(outcomes));
        RC_ASSERT(together.size() == outcomes.size());
        for (std::size_t i = 0; i < outcomes.size(); ++i) {
            RC_ASSERT(leaves_of(commit_of({&outcomes[i], 1})) ==
                      std::vector<std::string>{together[i]});
            const auto decoded = kLeafCodec.decode_leaf(together[i]);
            RC_ASSERT(decoded.has_value());
            RC_ASSERT(*decoded == outcomes[i]);
        }
    });
}

TEST_CASE("a program's place in its commit is no part of a leaf") {
    const std::vector<Outcome> both = {first_open("other", 1), first_open("acme", 2)};
    CHECK(leaves_of(commit_of(both))[1] == leaves_of(commit_of({&both[1], 1}))[0]);
    CHECK(leaves_of(commit_of(both))[0] != leaves_of(commit_of(both))[1]);
}

TEST_CASE("leaves of the records that version 0.1.0 wrote") {
    // Frozen: whoever keeps a checkpoint counts on them.
    std::string all;
    for (const std::string& leaf : leaves_of(*from_hex(kFirstCommit))) {
        all += merkle::leaf_hash(leaf).view();
    }
    CHECK(to_hex(sha256(all).view()) ==
          "f77c3560b6fb0dbf7fdcc23f01f7c290642868acd952af4f93339d88e1f4b48f");
    const Outcome open = first_open("acme", 3);
    const std::string leaf = leaves_of(commit_of({&open, 1}))[0];
    CHECK(to_hex(leaf) ==
          "0000000000000200050000002a000000040000000b00000061636d6500000000030000000000000000000000"
          "0000000000000000000000000000000000000000000000000000000000000000000000007ba8da769b010000"
          "0400000000000000000000000000000001000000030000000700000000000000");
}

TEST_CASE("what a later version adds to an outcome is in its leaf") {
    const Outcome open = first_open("acme", 3);
    const std::string record = commit_of({&open, 1});
    const std::vector<std::string> known = leaves_of(record);
    // the same commit, with a word more at the end of the outcome's data
    const std::string_view payload = payload_of(record);
    std::vector<capnp::word> words(payload.size() / sizeof(capnp::word));
    std::memcpy(words.data(), payload.data(), payload.size());
    capnp::FlatArrayMessageReader reader(kj::arrayPtr(words.data(), words.size()));
    const auto root = reader.getRoot<capnp::AnyStruct>();
    capnp::MallocMessageBuilder message;
    message.setRoot(root);
    const auto was =
        root.getPointerSection()[1].getAs<capnp::AnyList>().as<capnp::List<capnp::AnyStruct>>()[0];
    const auto size = was.getDataSection().size();
    auto later = message.getRoot<capnp::AnyStruct>().getPointerSection()[1].initAsListOfAnyStruct(
        static_cast<std::uint16_t>(size / 8 + 1),
        static_cast<std::uint16_t>(was.getPointerSection().size()), 1);
    auto data = later[0].getDataSection();
    std::memcpy(data.begin(), was.getDataSection().begin(), size);
    CHECK(leaves_of(commit_around(message)) == known);  // nothing in it: the same leaf
    data[size] = 42;
    const std::vector<std::string> extended = leaves_of(commit_around(message));
    CHECK(extended[0].size() > known[0].size());
    CHECK(extended[0].find('\x2a') != std::string::npos);
}

TEST_CASE("a leaf that is not in canonical form, or no leaf, is refused") {
    const Outcome open = first_open("acme", 3);
    const std::string leaf = leaves_of(commit_of({&open, 1}))[0];
    REQUIRE(kLeafCodec.decode_leaf(leaf).has_value());
    CHECK_FALSE(kLeafCodec.decode_leaf("").has_value());
    CHECK_FALSE(kLeafCodec.decode_leaf("12345678").has_value());
    CHECK_FALSE(kLeafCodec.decode_leaf(leaf + std::string(8, '\0')).has_value());
    for (std::size_t cut = 0; cut < leaf.size(); ++cut) {
        CHECK_FALSE(kLeafCodec.decode_leaf(leaf.substr(0, cut)).has_value());
    }
    std::size_t refused = 0, read = 0;
    for (std::size_t byte = 0; byte < leaf.size(); ++byte) {  // whatever it is, no crash
        for (const unsigned char mask : {0x01, 0x10, 0x80}) {
            std::string flipped = leaf;
            flipped[byte] = static_cast<char>(flipped[byte] ^ mask);
            (kLeafCodec.decode_leaf(flipped) ? read : refused) += 1;
        }
    }
    CHECK(refused > 0);
    CHECK(read > 0);
}

}  // namespace tidings
