// A program as it looks after a year: 10,000 messages (a fifth to all, a tenth to a tag, the rest
// to 1 to 1,000 named partners), and opens of the latest. Built by requests alone; knows what every
// inbox must show.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/served_program.h"

namespace tidings::bench {

struct MixedMessage {
    enum class Kind : std::uint8_t { all, tagged, named };
    Kind kind = Kind::all;
    unsigned tag = 0;                     ///< tagged
    std::vector<std::uint32_t> partners;  ///< named: indexes, ascending
    std::string id;
    bool has_opens = false;

    bool reaches(std::uint32_t partner) const;
    std::uint64_t recipients(std::uint64_t partners_of_program) const;
};

class MixedProgram {
public:
    explicit MixedProgram(Environment& environment);

    ServedProgram& served() { return served_; }
    std::uint64_t partners() const { return partners_; }
    std::uint64_t opens() const { return opens_; }
    /// The most memory that the server took while all this was done.
    std::uint64_t built_peak_bytes() const { return built_peak_bytes_; }
    /// In the order of the log.
    const std::vector<MixedMessage>& messages() const { return messages_; }
    const MixedMessage& message(std::size_t index) const { return messages_[index]; }

    const std::vector<std::uint32_t>& readers() const { return readers_; }  ///< who have tokens
    const std::vector<std::string>& tokens() const { return tokens_; }      ///< of the readers

    bool has_opened(std::size_t message, std::uint32_t partner) const;
    /// Indexes of what the partner received, newest first, at most `limit`.
    std::vector<std::size_t> inbox(std::uint32_t partner, std::size_t limit) const;

private:
    void send_all();
    void open_latest();

    const std::uint64_t partners_;
    ServedProgram served_;
    std::vector<MixedMessage> messages_;
    std::vector<std::uint32_t> readers_;
    std::vector<std::string> tokens_;
    std::uint64_t opens_ = 0, built_peak_bytes_ = 0;
};

/// The environment's one, made if there is none yet.
MixedProgram& mixed_program(Environment& environment);

}  // namespace tidings::bench
