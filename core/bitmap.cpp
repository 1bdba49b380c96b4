// Portable Roaring bytes, parsed here by RoaringFormatSpec: the library's own reader (0.2.66)
// checks lengths only.
#include "core/bitmap.h"

#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "core/bits.h"

namespace tidings {
namespace {

constexpr std::uint32_t kCookieWithoutRuns = 12'346;
constexpr std::uint32_t kCookieWithRuns = 12'347;
constexpr std::size_t kMaxContainers = 65'536;
constexpr std::uint32_t kMaxArray = 4'096;  ///< members of an array container
constexpr std::size_t kBitsetBytes = 8'192;
constexpr std::size_t kBitsetWords = kBitsetBytes / sizeof(std::uint64_t);
constexpr std::size_t kNoOffsetThreshold =
    4;                                    ///< with runs, fewer containers have no offset header
constexpr std::size_t kSingleBytes = 18;  ///< a set of one member
constexpr std::uint32_t kContainerSpan = 65'536;

std::uint16_t load16(const char* at) {
    std::uint16_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
}
std::uint32_t load32(const char* at) {
    std::uint32_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
}
/// Of a bitset container, wherever its bytes lie.
std::array<std::uint64_t, kBitsetWords> load_words(const char* at) {
    std::array<std::uint64_t, kBitsetWords> words;
    std::memcpy(words.data(), at, kBitsetBytes);
    return words;
}
static_assert(std::endian::native == std::endian::little, "the portable format is little-endian");

template <class T>
void put(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// One container of a serialisation, its payload still in there.
struct Container {
    enum class Kind : std::uint8_t { array, bitset, run };
    Kind kind = Kind::array;
    std::uint16_t key = 0;  ///< upper 16 bits of its members
    std::uint32_t cardinality = 0;
    std::uint32_t runs = 0;      ///< kind run only
    const char* data = nullptr;  ///< array: members; bitset: words; run: (start, length - 1) pairs

    std::size_t size() const {
        switch (kind) {
            case Kind::array:
                return 2 * std::size_t{cardinality};
            case Kind::bitset:
                return kBitsetBytes;
            case Kind::run:
                return 2 + 4 * std::size_t{runs};
        }
        return 0;
    }
};

/// Walks a serialisation without trusting it; false: malformed.
class Parser {
public:
    explicit Parser(std::string_view bytes) : bytes_(bytes) {}

    bool parse(std::vector<Container>& out) {
        std::uint32_t cookie = 0;
        if (!take32(cookie)) return false;
        std::size_t count = 0;
        const char* run_flags = nullptr;
        if ((cookie & 0xFFFF) == kCookieWithRuns) {
            count = (cookie >> 16) + 1;
            if (!take((count + 7) / 8, run_flags)) return false;
        } else if (cookie == kCookieWithoutRuns) {
            std::uint32_t size = 0;
            if (!take32(size) || size > kMaxContainers) return false;
            count = size;
        } else {
            return false;
        }
        const char* descriptions = nullptr;
        if (!take(4 * count, descriptions)) return false;
        const char* offsets = nullptr;
        const bool has_offsets = run_flags == nullptr || count >= kNoOffsetThreshold;
        if (has_offsets && !take(4 * count, offsets)) return false;
        out.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            if (offsets != nullptr && load32(offsets + 4 * i) != at_) return false;
            Container container;
            container.key = load16(descriptions + 4 * i);
            container.cardinality = load16(descriptions + 4 * i + 2) + 1u;
            if (i > 0 && container.key <= out.back().key) return false;
            const bool run = run_flags != nullptr && (run_flags[i / 8] >> (i % 8) & 1) != 0;
            if (!parse_container(run, container)) return false;
            out.push_back(container);
        }
        return at_ == bytes_.size();
    }

private:
    bool take(std::size_t size, const char*& out) {
        if (bytes_.size() - at_ < size) return false;
        out = bytes_.data() + at_;
        at_ += size;
        return true;
    }
    bool take32(std::uint32_t& out) {
        const char* data = nullptr;
        if (!take(4, data)) return false;
        out = load32(data);
        return true;
    }

    bool parse_container(bool run, Container& container) {
        if (run) return parse_runs(container);
        if (container.cardinality <= kMaxArray) {
            container.kind = Container::Kind::array;
            if (!take(container.size(), container.data)) return false;
            for (std::uint32_t i = 1; i < container.cardinality; ++i) {
                if (load16(container.data + 2 * i) <= load16(container.data + 2 * i - 2)) {
                    return false;
                }
            }
            return true;
        }
        container.kind = Container::Kind::bitset;
        if (!take(container.size(), container.data)) return false;
        return bits::count(load_words(container.data)) == container.cardinality;
    }

    bool parse_runs(Container& container) {
        container.kind = Container::Kind::run;
        const char* head = nullptr;
        if (!take(2, head)) return false;
        container.runs = load16(head);
        if (container.runs == 0 || !take(4 * std::size_t{container.runs}, container.data)) {
            return false;
        }
        std::uint32_t members = 0;
        std::uint32_t end = 0;  // one past the previous run's last member
        for (std::uint32_t i = 0; i < container.runs; ++i) {
            const std::uint32_t start = load16(container.data + 4 * i);
            const std::uint32_t length = load16(container.data + 4 * i + 2) + 1u;
            if ((i > 0 && start <= end) || start + length > kContainerSpan) return false;
            end = start + length;
            members += length;
        }
        return members == container.cardinality;
    }

    std::string_view bytes_;
    std::size_t at_ = 0;
};

/// The library's own choice of containers after runOptimize; where a run container and an array
/// would be equally long it keeps what it had, so these bytes are not yet a function of the
/// members.
std::string library_bytes(const Bitmap& set) {
    Bitmap copy = set;
    copy.runOptimize();
    std::string bytes(copy.getSizeInBytes(), '\0');
    bytes.resize(copy.write(bytes.data()));
    return bytes;
}

/// True where the array form is chosen though the library holds runs: equally long (2 members a run
/// on average).
bool array_instead(const Container& container) {
    return container.kind == Container::Kind::run && container.cardinality <= 2 * container.runs &&
           container.cardinality <= kMaxArray;
}

void put_payload(std::string& out, const Container& container) {
    if (array_instead(container)) {
        for (std::uint32_t i = 0; i < container.runs; ++i) {
            const std::uint32_t start = load16(container.data + 4 * i);
            const std::uint32_t last = start + load16(container.data + 4 * i + 2);
            for (std::uint32_t v = start; v <= last; ++v) put(out, static_cast<std::uint16_t>(v));
        }
        return;
    }
    if (container.kind == Container::Kind::run) {
        put(out, static_cast<std::uint16_t>(container.runs));
        out.append(container.data, 4 * std::size_t{container.runs});
        return;
    }
    out.append(container.data, container.size());
}

std::string canonical_bytes(const std::vector<Container>& containers) {
    std::string flags((containers.size() + 7) / 8, '\0');
    bool any_run = false;
    for (std::size_t i = 0; i < containers.size(); ++i) {
        if (containers[i].kind != Container::Kind::run || array_instead(containers[i])) continue;
        flags[i / 8] = static_cast<char>(flags[i / 8] | 1 << i % 8);
        any_run = true;
    }
    std::string out;
    if (any_run) {
        put(out, static_cast<std::uint32_t>(kCookieWithRuns | (containers.size() - 1) << 16));
        out += flags;
    } else {
        put(out, kCookieWithoutRuns);
        put(out, static_cast<std::uint32_t>(containers.size()));
    }
    for (const Container& container : containers) {
        put(out, container.key);
        put(out, static_cast<std::uint16_t>(container.cardinality - 1));
    }
    if (!any_run || containers.size() >= kNoOffsetThreshold) {
        std::size_t at = out.size() + 4 * containers.size();
        for (const Container& container : containers) {
            put(out, static_cast<std::uint32_t>(at));
            at += array_instead(container) ? 2 * std::size_t{container.cardinality}
                                           : container.size();
        }
    }
    for (const Container& container : containers) put_payload(out, container);
    return out;
}

std::string single_bytes(std::uint32_t member) {
    std::string out;
    out.reserve(kSingleBytes);
    put(out, kCookieWithoutRuns);
    put(out, std::uint32_t{1});
    put(out, static_cast<std::uint16_t>(member >> 16));
    put(out, std::uint16_t{0});
    put(out, std::uint32_t{16});
    put(out, static_cast<std::uint16_t>(member));
    return out;
}

std::optional<std::uint32_t> single_member(std::string_view bytes) {
    if (bytes.size() != kSingleBytes || load32(bytes.data()) != kCookieWithoutRuns ||
        load32(bytes.data() + 4) != 1 || load16(bytes.data() + 10) != 0 ||
        load32(bytes.data() + 12) != 16) {
        return std::nullopt;
    }
    return static_cast<std::uint32_t>(load16(bytes.data() + 8)) << 16 | load16(bytes.data() + 16);
}

/// Joins runs that touch, across containers too, and writes each maximal one.
class RunWriter {
public:
    explicit RunWriter(std::string& out) : out_(out) {}
    ~RunWriter() { flush(); }
    RunWriter(const RunWriter&) = delete;
    RunWriter& operator=(const RunWriter&) = delete;

    /// Members [start, end), beyond everything added before.
    void add(std::uint64_t start, std::uint64_t end) {
        if (start == end_ && start_ < end_) {
            end_ = end;
            return;
        }
        flush();
        start_ = start;
        end_ = end;
    }

private:
    void flush() {
        if (start_ == end_) return;
        put_varint(start_ - written_);
        put_varint(end_ - start_ - 1);
        written_ = end_;
        start_ = end_;
    }
    void put_varint(std::uint64_t value) {
        while (value >= 0x80) {
            out_ += static_cast<char>(value | 0x80);
            value >>= 7;
        }
        out_ += static_cast<char>(value);
    }

    std::string& out_;
    std::uint64_t start_ = 0, end_ = 0;  ///< the run being joined; empty while equal
    std::uint64_t written_ = 0;          ///< end of the last run written
};

void add_runs(const Container& container, RunWriter& writer) {
    const std::uint64_t base = std::uint64_t{container.key} << 16;
    switch (container.kind) {
        case Container::Kind::array:
            for (std::uint32_t i = 0; i < container.cardinality; ++i) {
                const std::uint64_t member = base + load16(container.data + 2 * i);
                writer.add(member, member + 1);
            }
            break;
        case Container::Kind::bitset:
            bits::for_each_run(
                load_words(container.data),
                [&](std::uint64_t from, std::uint64_t to) { writer.add(base + from, base + to); });
            break;
        case Container::Kind::run:
            for (std::uint32_t i = 0; i < container.runs; ++i) {
                const std::uint64_t start = base + load16(container.data + 4 * i);
                writer.add(start, start + load16(container.data + 4 * i + 2) + 1);
            }
            break;
    }
}

std::vector<Container> parse_own(const std::string& bytes) {
    std::vector<Container> containers;
    if (!Parser(bytes).parse(containers)) {
        throw std::logic_error("Roaring wrote what its format does not allow");
    }
    return containers;
}

/// The only member of a set of one.
std::optional<std::uint32_t> only_member(const Bitmap& set) {
    const auto begin = set.begin();
    const auto end = set.end();
    if (begin == end) return std::nullopt;
    auto next = begin;
    ++next;
    if (next != end) return std::nullopt;
    return *begin;
}

}  // namespace

std::string serialize(const Bitmap& set) {
    if (const auto member = only_member(set)) return single_bytes(*member);
    std::string bytes = library_bytes(set);
    const std::vector<Container> containers = parse_own(bytes);
    for (const Container& container : containers) {
        if (array_instead(container)) return canonical_bytes(containers);
    }
    return bytes;
}

std::string serialize_words(std::uint16_t key, const std::uint64_t* first) {
    const bits::Words words(first, kBitsetWords);
    const std::uint64_t cardinality = bits::count(words), runs = bits::count_runs(words);
    const bool array = cardinality <= kMaxArray;
    const bool as_runs = array ? 2 * runs < cardinality : 2 + 4 * runs < kBitsetBytes;
    std::string out;
    out.reserve(kSingleBytes + (as_runs ? 4 * runs : array ? 2 * cardinality : kBitsetBytes));
    if (as_runs) {
        put(out, kCookieWithRuns);
        put(out, std::uint8_t{1});
    } else {
        put(out, kCookieWithoutRuns);
        put(out, std::uint32_t{cardinality > 0 ? 1u : 0u});
    }
    if (cardinality == 0) return out;
    put(out, key);
    put(out, static_cast<std::uint16_t>(cardinality - 1));
    if (!as_runs) put(out, static_cast<std::uint32_t>(out.size() + 4));
    if (as_runs) {
        put(out, static_cast<std::uint16_t>(runs));
        bits::for_each_run(words, [&](std::uint64_t from, std::uint64_t to) {
            put(out, static_cast<std::uint16_t>(from));
            put(out, static_cast<std::uint16_t>(to - from - 1));
        });
    } else if (array) {
        bits::for_each(words,
                       [&](std::uint64_t member) { put(out, static_cast<std::uint16_t>(member)); });
    } else {
        out.append(reinterpret_cast<const char*>(first), kBitsetBytes);
    }
    return out;
}

Result<Bitmap> deserialize_bitmap(std::string_view bytes) {
    if (const auto member = single_member(bytes)) {
        Bitmap set;
        set.add(*member);
        return set;
    }
    std::vector<Container> containers;
    if (!Parser(bytes).parse(containers)) {
        return Error{ErrorCode::malformed, "malformed Roaring bitmap", {}};
    }
    return Bitmap::readSafe(bytes.data(), bytes.size());
}

void append_runs(const Bitmap& set, std::string& out) {
    RunWriter writer(out);
    if (const auto member = only_member(set)) {
        writer.add(*member, std::uint64_t{*member} + 1);
        return;
    }
    const std::string bytes = library_bytes(set);
    for (const Container& container : parse_own(bytes)) add_runs(container, writer);
}

Hash256 audience_digest(const Bitmap& set) {
    std::string text = "tidings.audience.v1\n";
    append_runs(set, text);
    return sha256(text);
}

}  // namespace tidings
