// The edge between the domain and Cap'n Proto: buffers, framing, limits, exceptions.
#include "events/codec.h"

#include <capnp/message.h>
#include <capnp/serialize.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "core/limits.h"
#include "events/codec_parts.h"
#include "events/envelope.h"

namespace tidings {
namespace {

constexpr std::size_t kScratchWords =
    64;  ///< on the stack: a single open and its strings fit in one segment
/// Of a message's first segment, which holds most runs whole: what lies in another one is found by
/// a far pointer, which costs room in the log and time whenever it is read.
constexpr std::size_t kFirstSegmentWords = 2 * limits::kRunBytes / sizeof(capnp::word);
constexpr std::size_t kSlackWords = 64;
constexpr int kNesting = 64;  ///< a filter of depth 16 takes 2 levels each

/// Zeros, of which each thread keeps its own: a builder zeroes what it has used when it is
/// destroyed. Only what was ever used takes memory. REQUIRES: one builder at a time.
kj::ArrayPtr<capnp::word> first_segment() {
    struct Free {
        void operator()(void* memory) const { std::free(memory); }
    };
    thread_local const std::unique_ptr<void, Free> words(
        std::calloc(kFirstSegmentWords, sizeof(capnp::word)));
    if (!words) throw std::bad_alloc();
    return {static_cast<capnp::word*>(words.get()), kFirstSegmentWords};
}

/// Standard stream framing: number of segments - 1, their lengths in words, padding to a word; then
/// the segments.
void append_message(std::string& out, capnp::MessageBuilder& message) {
    const auto segments = message.getSegmentsForOutput();
    std::size_t words = 0;
    for (const auto& segment : segments) words += segment.size();
    out.reserve(out.size() + 8 * (words + segments.size() / 2 + 1) + kSelfHashBytes);
    put_le(out, static_cast<std::uint32_t>(segments.size() - 1));
    for (const auto& segment : segments) put_le(out, static_cast<std::uint32_t>(segment.size()));
    if (segments.size() % 2 == 0) put_le(out, std::uint32_t{0});
    for (const auto& segment : segments) {
        out.append(reinterpret_cast<const char*>(segment.begin()),
                   segment.size() * sizeof(capnp::word));
    }
}

/// Words of a message, copied only if they do not lie on a word boundary. REQUIRES: bytes outlive
/// this.
class Words {
public:
    explicit Words(std::string_view bytes) : size_(bytes.size() / sizeof(capnp::word)) {
        if (bytes.size() % sizeof(capnp::word) != 0 || size_ == 0) {
            throw wire::Undecodable{ErrorCode::malformed, "malformed: not a whole number of words"};
        }
        if (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(capnp::word) != 0) {
            copy_ = std::make_unique_for_overwrite<capnp::word[]>(size_);
            std::memcpy(copy_.get(), bytes.data(), bytes.size());
            data_ = copy_.get();
        } else {
            data_ = reinterpret_cast<const capnp::word*>(bytes.data());
        }
    }
    kj::ArrayPtr<const capnp::word> get() const { return {data_, size_}; }
    std::size_t size() const { return size_; }

private:
    std::size_t size_;
    std::unique_ptr<capnp::word[]> copy_;
    const capnp::word* data_ = nullptr;
};

/// An honest message is read through once; a hostile one may point at the same words again and
/// again.
capnp::ReaderOptions options(const Words& words) {
    capnp::ReaderOptions options;
    options.traversalLimitInWords = 2 * words.size() + kSlackWords;
    options.nestingLimit = kNesting;
    return options;
}

/// What `use` makes of a message; `malformed_as` is what malformed bytes mean here.
template <class Out, class Use>
Result<Out> decoding(ErrorCode malformed_as, Use use) {
    try {
        return use();
    } catch (const wire::Undecodable& undecodable) {
        const bool newer = undecodable.code == ErrorCode::newer_format;
        return Error{newer ? ErrorCode::newer_format : malformed_as, undecodable.detail, {}};
    } catch (const kj::Exception& exception) {
        return Error{
            malformed_as, std::string("malformed: ") + exception.getDescription().cStr(), {}};
    }
}

/// Decodes a root.
template <class Out, class Schema>
Result<Out> decode(std::string_view bytes, ErrorCode malformed_as) {
    return decoding<Out>(malformed_as, [bytes]() -> Result<Out> {
        const Words words(bytes);
        capnp::FlatArrayMessageReader message(words.get(), options(words));
        if (message.getEnd() != words.get().end()) wire::malformed("bytes after the message");
        return wire::read(message.getRoot<Schema>(), wire::Budget{words.size()});
    });
}

Result<void> check_payload_kind(std::string_view record) {
    if (auto envelope = peek_commit(record); !envelope) return std::move(envelope).error();
    if (payload_kind(record) != kPayloadCapnProto) {
        return Error{ErrorCode::newer_format, "written by a newer version: a commit's payload", {}};
    }
    return {};
}

void visit_leaves(schema::Outcomes::Reader commit,
                  const std::function<void(std::string_view)>& visit) {
    std::vector<capnp::Text::Reader> programs;  // each read once: reading is what is limited
    for (const auto program : commit.getPrograms()) programs.push_back(program);
    std::vector<std::uint64_t> leaf;
    for (const auto outcome : commit.getOutcomes()) {
        if (outcome.getProgram() >= programs.size()) {
            wire::malformed("an outcome without a program");
        }
        wire::write_leaf(leaf, outcome, programs[outcome.getProgram()]);
        visit({reinterpret_cast<const char*>(leaf.data()), leaf.size() * sizeof(leaf[0])});
    }
}

}  // namespace

std::string CapnpCodec::encode_command(const Command& command) const {
    std::string out;
    if (std::holds_alternative<RecordOpens>(command.body)) {
        capnp::word scratch[kScratchWords];
        std::memset(scratch, 0, sizeof scratch);
        capnp::MallocMessageBuilder message(kj::arrayPtr(scratch, kScratchWords));
        wire::write(message.initRoot<schema::Command>(), command);
        append_message(out, message);
    } else {
        capnp::MallocMessageBuilder message(first_segment());
        wire::write(message.initRoot<schema::Command>(), command);
        append_message(out, message);
    }
    return out;
}

Result<Command> CapnpCodec::decode_command(std::string_view bytes) const {
    return decode<Command, schema::Command>(bytes, ErrorCode::malformed);
}

std::string CapnpCodec::encode_commit(Envelope& envelope, std::span<const Outcome> outcomes) const {
    capnp::MallocMessageBuilder message(first_segment());
    wire::write(message.initRoot<schema::Outcomes>(), outcomes);
    std::string record = open_commit(envelope, 0);
    append_message(record, message);
    close_commit(envelope, record);
    return record;
}

Result<Envelope> CapnpCodec::decode_envelope(std::string_view record) const {
    return decode_commit(record);
}

Result<std::vector<Outcome>> CapnpCodec::decode_outcomes(std::string_view record) const {
    if (auto checked = check_payload_kind(record); !checked) return checked.error();
    return decode<std::vector<Outcome>, schema::Outcomes>(payload_of(record),
                                                          ErrorCode::corruption);
}

Result<void> CapnpCodec::read_leaves(std::string_view record,
                                     const std::function<void(std::string_view)>& visit) const {
    if (auto checked = check_payload_kind(record); !checked) return checked;
    return decoding<void>(ErrorCode::corruption, [&]() -> Result<void> {
        const Words words(payload_of(record));
        capnp::FlatArrayMessageReader message(words.get(), options(words));
        visit_leaves(message.getRoot<schema::Outcomes>(), visit);
        return {};
    });
}

Result<Outcome> CapnpCodec::decode_leaf(std::string_view leaf) const {
    return decoding<Outcome>(ErrorCode::corruption, [leaf]() -> Result<Outcome> {
        const Words words(leaf);
        const kj::ArrayPtr<const capnp::word> segments[] = {words.get()};
        capnp::SegmentArrayMessageReader message(segments, options(words));
        if (!message.isCanonical()) wire::malformed("a leaf that is not in canonical form");
        return wire::read(message.getRoot<schema::Leaf>(), wire::Budget{words.size()});
    });
}

}  // namespace tidings
