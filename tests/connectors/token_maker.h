// Tokens of every kind, good and bad, for the tests of whoever verifies them.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "connectors/jose.h"

namespace tidings::testing {

struct KeyPair {
    jose::Jwk secret, open;
    std::string public_json() const {
        const jose::Text text(r_jwk_export_to_json_str(open.get(), 0));
        return text.get();
    }
};

/// `type`: R_KEY_TYPE_EDDSA or R_KEY_TYPE_EC.
inline KeyPair make_key_pair(int type, const char* kid) {
    if (!jose::ready()) throw std::runtime_error("rhonabwy");
    KeyPair pair{jose::make_jwk(), jose::make_jwk()};
    if (r_jwk_generate_key_pair(pair.secret.get(), pair.open.get(), type, 256, kid) != RHN_OK) {
        throw std::runtime_error("no key pair");
    }
    return pair;
}

inline std::string make_token(jwk_t* key, jwa_alg algorithm, const std::string& claims,
                              const char* header = nullptr) {
    const jose::Jwt jwt = jose::make_jwt();
    if (header != nullptr) r_jwt_set_full_header_json_str(jwt.get(), header);
    if (r_jwt_set_full_claims_json_str(jwt.get(), claims.c_str()) != RHN_OK)
        throw std::runtime_error("claims");
    r_jwt_set_sign_alg(jwt.get(), algorithm);
    const jose::Text token(r_jwt_serialize_signed(jwt.get(), key, R_FLAG_IGNORE_REMOTE));
    if (!token) throw std::runtime_error("no token");
    return token.get();
}

/// RFC 4648 base64url without padding.
inline std::string base64url(std::string_view text) {
    static constexpr std::string_view kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string out;
    unsigned bits = 0, count = 0;
    for (const char c : text) {
        bits = (bits << 8) | static_cast<unsigned char>(c);
        for (count += 8; count >= 6; count -= 6) out.push_back(kDigits[(bits >> (count - 6)) & 63]);
    }
    if (count > 0) out.push_back(kDigits[(bits << (6 - count)) & 63]);
    return out;
}

}  // namespace tidings::testing
