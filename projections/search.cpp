#include "projections/search.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>

#include <algorithm>
#include <functional>

#include "projections/bytes.h"

namespace tidings {

namespace {

constexpr char kSeparator = '\n';  ///< in no field: control characters are refused at ingress

bool is_plain_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// Of the bytes below their count (for_each_gram).
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

std::string search_text(const PartnerTexts& partner) {
    std::string text = partner.name;
    if (!partner.name.empty() && !partner.surname.empty()) text += ' ';
    text += partner.surname;
    text += kSeparator;
    text += partner.email;
    return fold_text(text);
}

namespace {

/// Calls `visit` with each gram, as often as it occurs: 1 to 3 bytes below their count.
template <class F>
void for_each_gram(std::string_view text, F visit) {
    std::size_t start = 0;
    while (start < text.size()) {
        const std::size_t end = std::min(text.find(kSeparator, start), text.size());
        const std::string_view part = text.substr(start, end - start);
        for (std::size_t i = 0; i < part.size(); ++i) {
            std::uint32_t bytes = 0;
            for (std::uint32_t size = 1; size <= 3 && i + size <= part.size(); ++size) {
                bytes = bytes << 8 | static_cast<std::uint8_t>(part[i + size - 1]);
                visit(size << 24 | bytes);
            }
        }
        start = end + 1;
    }
}

void collect(std::string_view text, std::vector<std::uint32_t>& grams) {
    grams.clear();
    for_each_gram(text, [&](std::uint32_t gram) { grams.push_back(gram); });
    std::sort(grams.begin(), grams.end());
    grams.erase(std::unique(grams.begin(), grams.end()), grams.end());
}

/// Calls `visit` with each of `these` that is not among `those`; both are sorted.
template <class F>
void for_each_only_in(const std::vector<std::uint32_t>& these,
                      const std::vector<std::uint32_t>& those, F visit) {
    auto other = those.begin();
    for (const std::uint32_t gram : these) {
        while (other != those.end() && *other < gram) ++other;
        if (other == those.end() || *other != gram) visit(gram);
    }
}

}  // namespace

void GramWriter::add(Postings& postings, std::uint32_t gram, PartnerOrdinal ordinal) {
    const std::uint32_t chunk = ordinal.value / limits::kSetChunk;
    const auto index = static_cast<std::uint16_t>(ordinal.value % limits::kSetChunk);
    std::vector<std::uint16_t>& indexes = postings[static_cast<std::uint64_t>(gram) << 32 | chunk];
    if (indexes.empty() || indexes.back() != index) indexes.push_back(index);
}

void GramWriter::change(PartnerOrdinal ordinal, std::string_view before, std::string_view after) {
    if (before == after) return;
    if (before.empty()) {  // new, as in imports: nothing to compare with
        for_each_gram(after, [&](std::uint32_t gram) { add(added_, gram, ordinal); });
        return;
    }
    collect(before, grams_before_);
    collect(after, grams_after_);
    for_each_only_in(grams_before_, grams_after_,
                     [&](std::uint32_t gram) { add(removed_, gram, ordinal); });
    for_each_only_in(grams_after_, grams_before_,
                     [&](std::uint32_t gram) { add(added_, gram, ordinal); });
}

template <class Encode>
void GramWriter::write(Postings& postings, Encode encode) {
    std::string operations;
    for (auto& [where, indexes] : postings) {
        if (!std::is_sorted(indexes.begin(), indexes.end())) {  // new partners come in order
            std::sort(indexes.begin(), indexes.end());
            indexes.erase(std::unique(indexes.begin(), indexes.end()), indexes.end());
        }
        operations.clear();
        encode(operations, indexes);
        run_.change<SetChunk>(gram_set(program_, unpack(static_cast<std::uint32_t>(where >> 32)))
                                  .u32(static_cast<std::uint32_t>(where)),
                              operations);
    }
    postings.clear();
}

void GramWriter::write() {
    write(removed_, [](std::string& operations, const std::vector<std::uint16_t>& indexes) {
        for (const std::uint16_t index : indexes) set_remove(operations, index);
    });
    write(added_, [](std::string& operations, const std::vector<std::uint16_t>& indexes) {
        set_add_each(operations, indexes.data(), indexes.size());
    });
}

namespace {

/// Keys of the gram sets that have this chunk; the others are jumped over.
std::vector<Key> gram_chunks(
    const Run& run, std::uint32_t program, std::uint32_t chunk,
    const std::function<bool(std::string_view, std::string_view)>& wanted) {
    std::vector<Key> out;
    const Key prefix(Table::gram_set, program);
    const std::string end = prefix_end(prefix.view());
    std::string from(prefix.view());
    while (!from.empty()) {
        std::string next;
        run.stored().scan(from, end, false, [&](std::string_view key, std::string_view value) {
            const std::string_view gram = key.substr(0, key.size() - 4);
            const std::uint64_t here = key_number(key, gram.size(), 4);
            if (here == chunk && wanted(key, value)) out.push_back(Key::of(key));
            const std::uint32_t to = here < chunk ? chunk : ~std::uint32_t{0};
            next = Key::of(gram).u32(to).view();
            return false;
        });
        from = std::move(next);
    }
    return out;
}

}  // namespace

void erase_grams(Fold& fold, PartnerOrdinal partner) {
    const std::uint32_t chunk = partner.value / limits::kSetChunk;
    std::vector<Key> keys = gram_chunks(
        fold.run, fold.number, chunk, [&](std::string_view key, std::string_view value) {
            if (fold.run.is_changed(Key::of(key))) return false;
            const SetChunk set = SetChunk::decode(set_base(key), value);
            return set.bits.isEmpty() || set.bits.contains(partner.value);
        });
    for (const Key& key : fold.run.changed(Key(Table::gram_set, fold.number))) {
        if (key_number(key.view(), key.view().size() - 4, 4) == chunk) keys.push_back(key);
    }
    std::string operation;
    set_remove(operation, static_cast<std::uint16_t>(partner.value % limits::kSetChunk));
    for (const Key& key : keys) {
        const RowScope scope(fold.run);
        const SetChunk* set = fold.run.peek<SetChunk>(key);
        const bool contains = set->bits.contains(partner.value);
        // The gram of nobody else goes with its row: it would still be a piece of a name, be it one
        // from before.
        if (set->bits.cardinality() == (contains ? 1u : 0u)) {
            fold.run.erase(key);
        } else if (contains) {
            fold.run.change<SetChunk>(key, operation);
        }
    }
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

bool Search::matches(const PartnerTexts& partner) const {
    return search_text(partner).find(folded_) != std::string::npos;
}

}  // namespace tidings
