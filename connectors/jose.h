// rhonabwy (JOSE: JWK, JWT) with owners for its objects. Included only by .cpp files.
#pragma once

#include <rhonabwy.h>

#include <memory>

namespace tidings::jose {

template <auto Free>
struct Deleter {
    template <class T>
    void operator()(T* object) const {
        Free(object);
    }
};
using Jwk = std::unique_ptr<jwk_t, Deleter<r_jwk_free>>;
using Jwks = std::unique_ptr<jwks_t, Deleter<r_jwks_free>>;
using Jwt = std::unique_ptr<jwt_t, Deleter<r_jwt_free>>;
using Text = std::unique_ptr<char, Deleter<r_free>>;

/// rhonabwy's global initialisation, which is not thread-safe: done once, before anything else of
/// it is called.
inline bool ready() {
    static const bool done = r_global_init() == RHN_OK;
    return done;
}

/// Empty objects; nothing without memory.
inline Jwk make_jwk() {
    jwk_t* raw = nullptr;
    return r_jwk_init(&raw) == RHN_OK ? Jwk(raw) : nullptr;
}
inline Jwks make_jwks() {
    jwks_t* raw = nullptr;
    return r_jwks_init(&raw) == RHN_OK ? Jwks(raw) : nullptr;
}
inline Jwt make_jwt() {
    jwt_t* raw = nullptr;
    return r_jwt_init(&raw) == RHN_OK ? Jwt(raw) : nullptr;
}

}  // namespace tidings::jose
