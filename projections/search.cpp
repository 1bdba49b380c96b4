#include "projections/search.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>

#include <algorithm>

#include "projections/bytes.h"

namespace tidings {

namespace {

constexpr char kSeparator = '\n';  ///< in no field: control characters are refused at ingress

bool is_plain_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// 1 to 3 bytes and their count in one number.
std::uint32_t pack(std::string_view gram) {
    std::uint32_t out = static_cast<std::uint32_t>(gram.size()) << 24;
    for (const char byte : gram)
        out = (out & 0xff000000u) | (out << 8 & 0xffff00u) | static_cast<std::uint8_t>(byte);
    return out;
}

std::string unpack(std::uint32_t gram) {
    std::string out;
    for (int shift = static_cast<int>(gram >> 24) * 8 - 8; shift >= 0; shift -= 8)
        out += static_cast<char>(gram >> shift);
    return out;
}

Key gram_set(std::uint32_t program, std::string_view gram) {
    return Key(Table::gram_set, program).sized_text(gram);
}

}  // namespace

std::string fold_text(std::string_view text) {
    std::string out;
    if (is_plain_ascii(text)) {
        out.reserve(text.size());
        for (const char c : text) out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        return out;
    }
    UErrorCode status = U_ZERO_ERROR;
    const icu::Normalizer2* folder = icu::Normalizer2::getNFKCCasefoldInstance(status);
    if (U_FAILURE(status)) throw StorageFailure("the Unicode tables cannot be loaded");
    icu::StringByteSink<std::string> sink(&out);
    folder->normalizeUTF8(0, {text.data(), static_cast<std::int32_t>(text.size())}, sink, nullptr,
                          status);
    if (U_FAILURE(status)) throw StorageFailure("a text cannot be case-folded");
    return out;
}

std::string search_text(const PartnerState& partner) {
    std::string text = partner.name;
    if (!partner.name.empty() && !partner.surname.empty()) text += ' ';
    text += partner.surname;
    text += kSeparator;
    text += partner.email;
    return fold_text(text);
}

void GramWriter::collect(std::string_view text, std::vector<std::uint32_t>& grams) const {
    grams.clear();
    std::size_t start = 0;
    while (start < text.size()) {
        const std::size_t end = std::min(text.find(kSeparator, start), text.size());
        const std::string_view part = text.substr(start, end - start);
        for (std::size_t i = 0; i < part.size(); ++i)
            for (std::size_t size = 1; size <= 3 && i + size <= part.size(); ++size)
                grams.push_back(pack(part.substr(i, size)));
        start = end + 1;
    }
    std::sort(grams.begin(), grams.end());
    grams.erase(std::unique(grams.begin(), grams.end()), grams.end());
}

void GramWriter::change(PartnerOrdinal ordinal, std::string_view before, std::string_view after) {
    if (before == after) return;
    collect(before, scratch_before_);
    collect(after, scratch_after_);
    const auto only_in = [&](const auto& these, const auto& those,
                             std::vector<std::uint64_t>& out) {
        auto other = those.begin();
        for (const std::uint32_t gram : these) {
            while (other != those.end() && *other < gram) ++other;
            if (other != those.end() && *other == gram) continue;
            out.push_back(static_cast<std::uint64_t>(gram) << 32 | ordinal.value);
        }
    };
    only_in(scratch_before_, scratch_after_, removed_);
    only_in(scratch_after_, scratch_before_, added_);
}

void GramWriter::write() {
    const auto write_postings = [&](std::vector<std::uint64_t>& postings, bool add) {
        std::sort(postings.begin(), postings.end());
        std::string operations;
        std::vector<std::uint16_t> indexes;
        for (std::size_t i = 0; i < postings.size();) {
            const std::uint64_t group = postings[i] >> 16;  // gram and chunk
            indexes.clear();
            for (; i < postings.size() && postings[i] >> 16 == group; ++i)
                indexes.push_back(static_cast<std::uint16_t>(postings[i]));
            operations.clear();
            if (add) {
                set_add_each(operations, indexes.data(), indexes.size());
            } else {
                for (const std::uint16_t index : indexes) set_remove(operations, index);
            }
            const auto gram = static_cast<std::uint32_t>(group >> 16);
            run_.change<SetChunk>(
                gram_set(program_, unpack(gram)).u32(static_cast<std::uint32_t>(group & 0xffff)),
                operations);
        }
        postings.clear();
    };
    write_postings(removed_, false);
    write_postings(added_, true);
}

Search::Search(std::string_view query) : folded_(fold_text(query)) {
    if (folded_.size() <= 3) {
        if (!folded_.empty()) grams_.push_back(folded_);
        return;
    }
    for (std::size_t i = 0; i + 3 <= folded_.size(); ++i) grams_.push_back(folded_.substr(i, 3));
    std::sort(grams_.begin(), grams_.end());
    grams_.erase(std::unique(grams_.begin(), grams_.end()), grams_.end());
}

Bitmap Search::candidates(const RowSource& rows, std::uint32_t program, std::uint32_t chunk) const {
    Bitmap out;
    for (std::size_t i = 0; i < grams_.size(); ++i) {
        const auto postings = read_set_chunk(rows, gram_set(program, grams_[i]), chunk);
        if (i == 0) {
            out = postings->bits;
        } else {
            out &= postings->bits;
        }
        if (out.isEmpty()) break;
    }
    return out;
}

bool Search::matches(const PartnerState& partner) const {
    return search_text(partner).find(folded_) != std::string::npos;
}

}  // namespace tidings
