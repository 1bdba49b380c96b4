// Changes of one set or one column by many partners of one event, written to its row a chunk at a
// time: partners mostly come in the order of their ordinals.
#pragma once

#include <string>
#include <vector>

#include "core/limits.h"
#include "projections/row_source.h"

namespace tidings {

/// What is changed reaches the run at the latest with write(). `run` outlives it.
class SetWriter {
public:
    /// `prefix`: the key without its chunk number.
    SetWriter(Run& run, const Key& prefix) : run_(run), prefix_(prefix) {}
    void add(PartnerOrdinal ordinal);
    void remove(PartnerOrdinal ordinal);
    void write();

private:
    std::uint16_t index_in_chunk(PartnerOrdinal ordinal);
    void encode_added();

    Run& run_;
    Key prefix_;
    std::uint32_t chunk_ = 0;
    std::vector<std::uint16_t> added_;  ///< ascending; not yet among the operations
    std::string operations_;
};

class ColumnWriter {
public:
    ColumnWriter(Run& run, const Key& prefix) : run_(run), prefix_(prefix) {}
    void set(PartnerOrdinal ordinal, std::int64_t value);
    void write();

private:
    Run& run_;
    Key prefix_;
    std::uint32_t chunk_ = 0;
    bool begun_ = false;             ///< with this chunk
    ColumnChunk* column_ = nullptr;  ///< it, if it is changed in place
    std::string operations_;         ///< for it, if not
};

}  // namespace tidings
