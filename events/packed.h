// The Data fields of schema.capnp that have a layout of their own (docs/formats.md): compact,
// frozen.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/ids.h"
#include "core/money.h"
#include "core/personal_text.h"

namespace tidings {

/// LEB128: 7 bits a byte, least first, the high bit on all but the last.
void put_varint(std::string& out, std::uint64_t value);
/// Takes one off the front of `in`; nothing if malformed (cut off, or more than 64 bits).
std::optional<std::uint64_t> take_varint(std::string_view& in);

std::string pack_strings(const std::vector<std::string>& strings);
std::optional<std::vector<std::string>> unpack_strings(std::string_view packed);

std::string pack_ids(const std::vector<PartnerId>& ids);
std::optional<std::vector<PartnerId>> unpack_ids(std::string_view packed);

/// Texts that may be absent.
std::string pack_texts(std::span<const std::optional<PersonalText>> texts);
/// Nothing also if there are not `count` of them.
std::optional<std::vector<std::optional<PersonalText>>> unpack_texts(std::string_view packed,
                                                                     std::size_t count);

std::string pack_money(const Money& money);
/// Nothing also if the currencies do not ascend.
std::optional<Money> unpack_money(std::string_view packed);

/// REQUIRES: not empty.
std::string pack_times(const std::vector<Timestamp>& times);
/// Nothing also if there are not `count` of them.
std::optional<std::vector<Timestamp>> unpack_times(std::string_view packed, std::uint64_t count);

}  // namespace tidings
