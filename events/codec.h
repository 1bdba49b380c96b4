// Commands and outcomes as Cap'n Proto messages (schema.capnp), commits in their envelope
// (envelope.h).
#pragma once

#include "core/codec.h"

namespace tidings {

/// Bytes from anywhere are safe to decode: what is malformed, too large for its own length or
/// unknown is an Error.
class CapnpCodec final : public Codec {
public:
    std::string encode_command(const Command& command) const override;
    Result<Command> decode_command(std::string_view bytes) const override;
    std::string encode_commit(Envelope& envelope, std::span<const Outcome> outcomes) const override;
    Result<Envelope> decode_envelope(std::string_view record) const override;
    /// REQUIRES: decode_envelope accepted `record`.
    Result<std::vector<Outcome>> decode_outcomes(std::string_view record) const override;
    Result<void> read_leaves(std::string_view record,
                             const std::function<void(std::string_view)>& visit) const override;
    Result<Outcome> decode_leaf(std::string_view leaf) const override;
};

}  // namespace tidings
