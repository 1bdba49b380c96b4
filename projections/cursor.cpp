#include "projections/cursor.h"

#include <array>

#include "core/ids.h"
#include "projections/bytes.h"

namespace tidings {

namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string to_base64url(std::string_view bytes) {
    std::string out;
    std::uint32_t bits = 0;
    int count = 0;
    for (const char byte : bytes) {
        bits = bits << 8 | static_cast<std::uint8_t>(byte);
        for (count += 8; count >= 6; count -= 6) out += kAlphabet[bits >> (count - 6) & 63];
    }
    if (count > 0) out += kAlphabet[bits << (6 - count) & 63];
    return out;
}

bool from_base64url(std::string_view text, std::string& out) {
    std::uint32_t bits = 0;
    int count = 0;
    for (const char c : text) {
        const std::size_t at = kAlphabet.find(c);
        if (at == std::string_view::npos) return false;
        bits = bits << 6 | static_cast<std::uint32_t>(at);
        count += 6;
        if (count >= 8) {
            count -= 8;
            out += static_cast<char>(bits >> count);
        }
    }
    // One text for each value: no dangling character, no bits beyond the last byte.
    return text.size() % 4 != 1 && (bits & ((1u << count) - 1)) == 0;
}

std::string_view checksum(char kind, std::string_view list, std::string_view body, Hash256& hash) {
    Sha256 sha;
    sha.update({&kind, 1});
    sha.update(list);
    sha.update(std::string_view("\0", 1));
    sha.update(body);
    hash = sha.finish();
    return hash.view().substr(0, 4);
}

}  // namespace

std::string make_cursor(char kind, std::string_view list, const std::vector<std::uint64_t>& numbers,
                        std::string_view text) {
    std::string body;
    ByteWriter out(body);
    for (const std::uint64_t number : numbers) out.varint(number);
    out.string(text);
    Hash256 hash;
    const std::string_view check = checksum(kind, list, body, hash);
    body.append(check);
    return to_base64url(body);
}

Result<Cursor> parse_cursor(char kind, std::string_view list, std::string_view cursor,
                            std::size_t numbers) {
    const Error bad{
        ErrorCode::invalid,
        "the cursor is not one of this list",
        {{"/cursor", "invalid_cursor", "use next_cursor of the page before, unchanged"}}};
    std::string bytes;
    if (cursor.size() > 2048 || !from_base64url(cursor, bytes) || bytes.size() < 4) return bad;
    const std::string_view body = std::string_view(bytes).substr(0, bytes.size() - 4);
    Hash256 hash;
    if (checksum(kind, list, body, hash) != std::string_view(bytes).substr(body.size())) return bad;
    Cursor out;
    try {
        ByteReader in(body);
        for (std::size_t i = 0; i < numbers; ++i) out.numbers.push_back(in.varint());
        out.text = in.string();
        if (!in.done()) return bad;
    } catch (const StorageFailure&) {
        return bad;
    }
    return out;
}

}  // namespace tidings
