#include "projections/search.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>

#include "projections/bytes.h"

namespace tidings {

namespace {

constexpr std::size_t kFew = 256;  ///< members that are no more work one by one than as bits
// In no field: control characters are refused at ingress.
constexpr char kSeparator = '\n', kPadding = '\0';

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

std::string fold_text(std::string text) {
    if (is_plain_ascii(text)) {
        for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        return text;
    }
    std::string out;
    UErrorCode status = U_ZERO_ERROR;
    const icu::Normalizer2* folder = icu::Normalizer2::getNFKCCasefoldInstance(status);
    if (U_FAILURE(status)) throw StorageFailure("the Unicode tables cannot be loaded");
    icu::StringByteSink<std::string> sink(&out);
    folder->normalizeUTF8(0, {text.data(), static_cast<std::int32_t>(text.size())}, sink, nullptr,
                          status);
    if (U_FAILURE(status)) throw StorageFailure("a text cannot be case-folded");
    return out;
}

namespace {

std::string search_text(std::string_view name, std::string_view surname, std::string_view email) {
    std::string text;
    text.reserve(name.size() + surname.size() + email.size() + 2);
    text += name;
    if (!name.empty() && !surname.empty()) text += ' ';
    text += surname;
    text += kSeparator;
    text += email;
    return fold_text(std::move(text));
}

}  // namespace

std::string search_text(const PartnerTexts& partner) {
    return search_text(partner.name, partner.surname, partner.email);
}

std::string search_text(const TextReader& texts, const PartnerState& partner) {
    if (partner.email.is_sealed() || partner.name.is_sealed() || partner.surname.is_sealed())
        return search_text(texts.show(partner));
    return search_text(partner.name.stored(), partner.surname.stored(), partner.email.stored());
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

/// Calls `visit` with the 3 bytes from each of the first `count` bytes of a part on, padded at its
/// end.
template <class F>
void for_each_longest_gram(std::string_view part, std::size_t count, F visit) {
    const auto byte = [&](std::size_t at) -> std::uint32_t {
        return static_cast<std::uint8_t>(at < part.size() ? part[at] : kPadding);
    };
    for (std::size_t i = 0; i < count; ++i) visit(byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2));
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

/// Members of one chunk from one of them to another.
class RangeSet {
public:
    RangeSet(std::uint16_t first, std::uint16_t last)
        : first_(first / kBits), words_(last / kBits - first / kBits + 1) {}

    void add(std::span<const std::uint16_t> indexes) {
        for (const std::uint16_t index : indexes)
            words_[index / kBits - first_] |= std::uint64_t{1} << index % kBits;
    }
    void add(const RangeSet& other) {
        for (std::size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
    }
    void clear() { std::fill(words_.begin(), words_.end(), 0); }
    void write_to(std::string& operations) const { set_add_bits(operations, first_, words_); }

private:
    static constexpr std::uint16_t kBits = 64;
    std::uint16_t first_;
    std::vector<std::uint64_t> words_;
};

namespace {

constexpr unsigned kIndexBits = 16;

/// From `begin` on, each once.
void make_ascending(std::vector<std::uint16_t>& indexes, std::ptrdiff_t begin = 0) {
    const auto from = indexes.begin() + begin;
    const auto wrong = std::adjacent_find(from, indexes.end(), std::greater_equal<>());
    if (wrong == indexes.end()) return;
    std::sort(from, indexes.end());
    indexes.erase(std::unique(from, indexes.end()), indexes.end());
}

/// By grams, which stand above kIndexBits; those of a gram stay in their order (radix sort; Knuth,
/// "The Art of Computer Programming", volume 3, 5.2.5).
void sort_by_gram(std::vector<std::uint64_t>& occurrences) {
    constexpr unsigned kDigits = 3, kValues = 256;
    const auto digit = [](std::uint64_t occurrence, unsigned number) {
        return occurrence >> (kIndexBits + 8 * number) & 0xff;
    };
    std::array<std::array<std::size_t, kValues>, kDigits> places{};
    for (const std::uint64_t occurrence : occurrences)
        for (unsigned d = 0; d < kDigits; ++d) ++places[d][digit(occurrence, d)];
    std::vector<std::uint64_t> sorted(occurrences.size());
    for (unsigned d = 0; d < kDigits; ++d) {
        std::exclusive_scan(places[d].begin(), places[d].end(), places[d].begin(), std::size_t{0});
        for (const std::uint64_t occurrence : occurrences)
            sorted[places[d][digit(occurrence, d)]++] = occurrence;
        occurrences.swap(sorted);
    }
}

}  // namespace

void GramWriter::add(Postings& postings, std::uint32_t gram, std::uint16_t index) {
    std::vector<std::uint16_t>& indexes = postings[gram];
    if (indexes.empty() || indexes.back() != index) indexes.push_back(index);
}

void GramWriter::change(PartnerOrdinal ordinal, std::string_view before, std::string_view after) {
    if (before == after) return;
    const std::uint32_t chunk = ordinal.value / limits::kSetChunk;
    if (chunk != chunk_) write();
    chunk_ = chunk;
    const auto index = static_cast<std::uint16_t>(ordinal.value % limits::kSetChunk);
    if (before.empty() && (!any_new_ || index > newest_)) {  // as in imports
        add_new(index, after);
        return;
    }
    collect(before, grams_before_);
    collect(after, grams_after_);
    for_each_only_in(grams_before_, grams_after_,
                     [&](std::uint32_t gram) { add(removed_, gram, index); });
    for_each_only_in(grams_after_, grams_before_,
                     [&](std::uint32_t gram) { add(added_, gram, index); });
}

void GramWriter::add_occurrence(std::uint32_t gram, std::uint16_t index) {
    new_.push_back(std::uint64_t{gram} << kIndexBits | index);
}

void GramWriter::add_new(std::uint16_t index, std::string_view text) {
    any_new_ = true;
    newest_ = index;
    const auto add_each = [&](std::string_view part, std::size_t count) {
        for_each_longest_gram(part, count,
                              [&](std::uint32_t gram) { add_occurrence(gram, index); });
    };
    const std::size_t end = std::min(text.find(kSeparator), text.size());
    add_each(text.substr(0, end), end);
    if (end == text.size()) return;
    const std::string_view email = text.substr(end + 1);
    const std::size_t at = std::min(email.rfind('@'), email.size());
    add_each(email, at);
    if (at == email.size()) return;
    const auto found = domains_.find(email.substr(at));
    std::vector<std::uint16_t>& members =
        found != domains_.end() ? found->second : domains_[std::string(email.substr(at))];
    members.push_back(index);
}

void GramWriter::write_row(std::string_view gram) {
    run_.change<SetChunk>(gram_set(program_, gram).u32(chunk_), operations_);
    operations_.clear();
}

void GramWriter::write_row(std::string_view gram, RangeSet& members) {
    members.write_to(operations_);
    write_row(gram);
    members.clear();
}

template <class Encode>
void GramWriter::write_changed(Postings& postings, Encode encode) {
    for (auto& [gram, indexes] : postings) {
        make_ascending(indexes);
        encode(operations_, indexes);
        write_row(unpack(gram));
    }
    postings.clear();
}

/// The grams of the domains, too: of a few members as if they had them alone.
std::vector<GramWriter::Posting> GramWriter::new_postings() {
    std::vector<Posting> out;
    for (const auto& [domain, members] : domains_) {
        for_each_longest_gram(domain, domain.size(), [&](std::uint32_t gram) {
            if (members.size() > kFew) {
                out.emplace_back(gram, members);
            } else {
                for (const std::uint16_t member : members) add_occurrence(gram, member);
            }
        });
    }
    sort_by_gram(new_);
    new_indexes_.clear();
    new_indexes_.reserve(new_.size());  // the postings are views of it
    for (auto at = new_.begin(); at != new_.end();) {
        const std::uint64_t gram = *at >> kIndexBits;
        const std::size_t begin = new_indexes_.size();
        for (; at != new_.end() && *at >> kIndexBits == gram; ++at) {
            const auto index = static_cast<std::uint16_t>(*at);
            if (new_indexes_.size() == begin || new_indexes_.back() != index)
                new_indexes_.push_back(index);
        }
        make_ascending(new_indexes_, static_cast<std::ptrdiff_t>(begin));
        out.emplace_back(gram, std::span(new_indexes_).subspan(begin));
    }
    std::sort(out.begin(), out.end(),
              [](const Posting& a, const Posting& b) { return a.first < b.first; });
    return out;
}

/// Whoever has a gram has its beginnings, too: these come from the longer ones, which are sorted.
void GramWriter::write_new() {
    if (!any_new_) return;
    const std::vector<Posting> grams = new_postings();
    std::uint16_t first = newest_;
    for (const auto& [gram, indexes] : grams) first = std::min(first, indexes.front());
    RangeSet longest(first, newest_), pairs(first, newest_), singles(first, newest_);
    for (auto at = grams.begin(); at != grams.end();) {
        const std::uint32_t gram = at->first;
        const char text[] = {static_cast<char>(gram >> 16), static_cast<char>(gram >> 8),
                             static_cast<char>(gram)};
        const auto end = std::find_if(at, grams.end(),
                                      [&](const Posting& other) { return other.first != gram; });
        for (auto each = at; each != end; ++each) pairs.add(each->second);
        if (text[2] != kPadding && end - at == 1 && at->second.size() <= kFew) {
            set_add_each(operations_, at->second.data(), at->second.size());
            write_row({text, 3});
        } else if (text[2] != kPadding) {
            for (auto each = at; each != end; ++each) longest.add(each->second);
            write_row({text, 3}, longest);
        }
        at = end;
        if (at != grams.end() && at->first >> 8 == gram >> 8) continue;
        singles.add(pairs);
        if (text[1] != kPadding) write_row({text, 2}, pairs);
        pairs.clear();
        if (at != grams.end() && at->first >> 16 == gram >> 16) continue;
        write_row({text, 1}, singles);
    }
    new_.clear();
    domains_.clear();
    any_new_ = false;
}

void GramWriter::end_event() {
    // Texts that changed twice must not be written as if they had changed at once.
    if (!added_.empty() || !removed_.empty()) write();
}

void GramWriter::write() {
    write_new();
    write_changed(removed_, [](std::string& operations, const std::vector<std::uint16_t>& indexes) {
        for (const std::uint16_t index : indexes) set_remove(operations, index);
    });
    write_changed(added_, [](std::string& operations, const std::vector<std::uint16_t>& indexes) {
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
    fold.grams.of(fold.number).write();
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

Search::Search(std::string_view query) : folded_(fold_text(std::string(query))) {
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
