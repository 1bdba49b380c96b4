// The frozen bytes of genesis and commit records.
#include "events/envelope.h"

#include "events/little_endian.h"

namespace tidings {
namespace {

constexpr std::string_view kCommitMagic = "TDGC";
constexpr std::string_view kGenesisMagic = "TDGG";
constexpr std::uint16_t kEnvelopeVersion = 1;
constexpr std::uint32_t kFormatVersion = 1;  ///< the newest that this program can read
constexpr std::size_t kPayloadLengthAt = 28;
constexpr std::size_t kGenesisBytes = 88;
constexpr std::size_t kProgramHashBytes = 16;

Error corrupt(std::string detail) { return Error{ErrorCode::corruption, std::move(detail), {}}; }
Error newer(std::string detail) { return Error{ErrorCode::newer_format, std::move(detail), {}}; }

template <class Bytes>
Bytes bytes_at(std::string_view record, std::size_t at) {
    return Bytes::from(record.substr(at, Bytes::kSize));
}

bool self_hash_holds(std::string_view record) {
    if (record.size() < kSelfHashBytes) return false;
    const std::size_t covered = record.size() - kSelfHashBytes;
    return sha256(record.substr(0, covered)).view() == record.substr(covered);
}

}  // namespace

std::string encode_genesis(Genesis& genesis) {
    std::string record;
    record.reserve(kGenesisBytes);
    record += kGenesisMagic;
    put_le(record, kEnvelopeVersion);
    put_le(record, std::uint16_t{0});
    record += genesis.log.view();
    put_le(record, genesis.partition.value);
    put_le(record, genesis.partitions);
    put_le(record, genesis.format_version);
    put_le(record, std::uint32_t{0});
    record += kProgramHash;
    record.append(kProgramHashBytes - kProgramHash.size(), '\0');
    genesis.hash = sha256(record);
    record += genesis.hash.view();
    return record;
}

Result<Genesis> decode_genesis(std::string_view record) {
    if (record.size() < 6 || record.substr(0, 4) != kGenesisMagic) {
        return corrupt("not a genesis record");
    }
    // The hash first: a flipped bit in the version is no newer version.
    if (!self_hash_holds(record)) return corrupt("the genesis record's hash does not match it");
    if (const auto version = get_le<std::uint16_t>(record, 4); version > kEnvelopeVersion) {
        return newer("genesis record of version " + std::to_string(version));
    }
    if (record.size() != kGenesisBytes) return corrupt("a genesis record of a wrong length");
    Genesis genesis;
    genesis.log = bytes_at<LogId>(record, 8);
    genesis.partition.value = get_le<std::uint32_t>(record, 24);
    genesis.partitions = get_le<std::uint32_t>(record, 28);
    genesis.format_version = get_le<std::uint32_t>(record, 32);
    genesis.hash = bytes_at<Hash256>(record, 56);
    if (genesis.format_version > kFormatVersion) {
        return newer("the log has format version " + std::to_string(genesis.format_version));
    }
    const std::string_view hash = record.substr(40, kProgramHashBytes);
    if (hash.substr(0, hash.find('\0')) != kProgramHash) {
        return newer("the log spreads its programs by an unknown hash function");
    }
    if (genesis.partitions == 0 || genesis.partition.value >= genesis.partitions) {
        return corrupt("the genesis record names no partition of its own count");
    }
    return genesis;
}

std::string open_commit(const Envelope& envelope, std::size_t payload_hint) {
    std::string record;
    record.reserve(kEnvelopeBytes + payload_hint + kSelfHashBytes);
    record += kCommitMagic;
    put_le(record, kEnvelopeVersion);
    put_le(record, kPayloadCapnProto);
    record += envelope.log.view();
    put_le(record, envelope.partition.value);
    put_le(record, std::uint32_t{0});  // payload length: close_commit
    put_le(record, envelope.sequence.value);
    record += envelope.previous.view();
    put_le(record, envelope.first.value);
    put_le(record, envelope.last.value);
    record += envelope.commands.view();
    return record;
}

void close_commit(Envelope& envelope, std::string& record) {
    std::string length;
    put_le(length, static_cast<std::uint32_t>(record.size() - kEnvelopeBytes));
    record.replace(kPayloadLengthAt, length.size(), length);
    envelope.hash = sha256(record);
    record += envelope.hash.view();
}

Result<Envelope> peek_commit(std::string_view record) {
    if (record.size() < 6 || record.substr(0, 4) != kCommitMagic) {
        return corrupt("not a commit record");
    }
    if (const auto version = get_le<std::uint16_t>(record, 4); version > kEnvelopeVersion) {
        return newer("commit record of envelope version " + std::to_string(version));
    } else if (version == 0) {
        return corrupt("a commit record of envelope version 0");
    }
    if (record.size() < kEnvelopeBytes + kSelfHashBytes ||
        record.size() - kEnvelopeBytes - kSelfHashBytes !=
            get_le<std::uint32_t>(record, kPayloadLengthAt)) {
        return corrupt("a commit record of a wrong length");
    }
    Envelope envelope;
    envelope.log = bytes_at<LogId>(record, 8);
    envelope.partition.value = get_le<std::uint32_t>(record, 24);
    envelope.sequence.value = get_le<std::uint64_t>(record, 32);
    envelope.previous = bytes_at<Hash256>(record, 40);
    envelope.first.value = get_le<std::uint64_t>(record, 72);
    envelope.last.value = get_le<std::uint64_t>(record, 80);
    envelope.commands = bytes_at<Hash256>(record, 88);
    envelope.hash = bytes_at<Hash256>(record, record.size() - kSelfHashBytes);
    return envelope;
}

Result<Envelope> decode_commit(std::string_view record) {
    if (record.starts_with(kGenesisMagic)) {
        auto genesis = decode_genesis(record);
        if (genesis.has_error()) return genesis.error();
        Envelope envelope;
        envelope.log = genesis->log;
        envelope.partition = genesis->partition;
        envelope.hash = genesis->hash;
        return envelope;
    }
    auto envelope = peek_commit(record);
    // Of a newer version, too: a flipped bit in the version is none.
    const bool is_newer = !envelope && envelope.error().code == ErrorCode::newer_format;
    if ((envelope || is_newer) && !self_hash_holds(record)) {
        return corrupt(
            "the hash of commit " +
            (envelope ? std::to_string(envelope->sequence.value) : "(of a newer version)") +
            " does not match its bytes");
    }
    return envelope;
}

std::uint16_t payload_kind(std::string_view record) { return get_le<std::uint16_t>(record, 6); }

std::string_view payload_of(std::string_view record) {
    return record.substr(kEnvelopeBytes, record.size() - kEnvelopeBytes - kSelfHashBytes);
}

}  // namespace tidings
