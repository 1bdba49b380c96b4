// A codec for tests of what does not care about bytes: records name entries of a table, but their
// hashes are real, so that a changed byte is found out. Two equal commits have equal bytes.
#pragma once

#include <algorithm>
#include <cstring>

#include "core/codec.h"

namespace tidings::testing {

class MemoryCodec : public Codec {
public:
    /// Records that no codec of this version reads.
    static std::string malformed_command() { return "?"; }
    static std::string newer_command() { return "+"; }

    std::string encode_command(const Command& command) const override {
        commands_.push_back(command);
        return "C" + number(commands_.size() - 1);
    }
    Result<Command> decode_command(std::string_view bytes) const override {
        if (bytes == newer_command()) return Error{ErrorCode::newer_format, "newer", {}};
        if (bytes.size() != 9 || bytes[0] != 'C') return Error{ErrorCode::malformed, "bytes", {}};
        return commands_.at(read_number(bytes, 1));
    }

    std::string encode_commit(Envelope& envelope,
                              std::span<const Outcome> outcomes) const override {
        const std::vector<Outcome> wanted(outcomes.begin(), outcomes.end());
        const auto found = std::find(commits_.begin(), commits_.end(), wanted);
        const auto index = static_cast<std::size_t>(found - commits_.begin());
        if (found == commits_.end()) commits_.push_back(wanted);
        std::string out = "E";
        out += envelope.log.view();
        out += number(envelope.partition.value);
        out += number(envelope.sequence.value);
        out += envelope.previous.view();
        out += number(envelope.first.value);
        out += number(envelope.last.value);
        out += envelope.commands.view();
        out += number(index);
        envelope.hash = sha256(out);
        out += envelope.hash.view();
        return out;
    }
    Result<Envelope> decode_envelope(std::string_view record) const override {
        if (record == newer_command()) return Error{ErrorCode::newer_format, "newer", {}};
        if (record.size() != kCommitSize ||
            sha256(record.substr(0, kCommitSize - Hash256::kSize)).view() !=
                record.substr(kCommitSize - Hash256::kSize)) {
            return Error{ErrorCode::corruption, "the record's hash does not hold", {}};
        }
        Envelope out;
        out.log = LogId::from(record.substr(1, 16));
        out.partition.value = static_cast<std::uint32_t>(read_number(record, 17));
        out.sequence.value = read_number(record, 25);
        out.previous = Hash256::from(record.substr(33, 32));
        out.first.value = read_number(record, 65);
        out.last.value = read_number(record, 73);
        out.commands = Hash256::from(record.substr(81, 32));
        out.hash = Hash256::from(record.substr(121, 32));
        return out;
    }
    Result<std::vector<Outcome>> decode_outcomes(std::string_view record) const override {
        if (undecodable) return Error{ErrorCode::newer_format, "a newer event type", {}};
        return commits_.at(read_number(record, 113));
    }

    Result<void> read_leaves(std::string_view record,
                             const std::function<void(std::string_view)>& visit) const override {
        const std::vector<Outcome>& outcomes = commits_.at(read_number(record, 113));
        for (std::size_t i = 0; i < outcomes.size(); ++i) visit(outcomes[i].id.view());
        return {};
    }
    Result<Outcome> decode_leaf(std::string_view) const override {
        return Error{ErrorCode::newer_format, "a leaf of no codec", {}};
    }

    /// Payloads are of a newer version from now on; their envelopes still hold.
    bool undecodable = false;

private:
    static constexpr std::size_t kCommitSize = 153;
    static std::string number(std::uint64_t value) {
        return {reinterpret_cast<const char*>(&value), sizeof value};
    }
    static std::uint64_t read_number(std::string_view bytes, std::size_t at) {
        std::uint64_t value = 0;
        std::memcpy(&value, bytes.data() + at, sizeof value);
        return value;
    }

    mutable std::vector<Command> commands_;
    mutable std::vector<std::vector<Outcome>> commits_;
};

}  // namespace tidings::testing
