#include "projections/chunk_writers.h"

namespace tidings {

std::uint16_t SetWriter::index_in_chunk(PartnerOrdinal ordinal) {
    const std::uint32_t chunk = ordinal.value / limits::kSetChunk;
    if (chunk != chunk_) write();
    chunk_ = chunk;
    return static_cast<std::uint16_t>(ordinal.value % limits::kSetChunk);
}

void SetWriter::encode_added() {
    if (added_.empty()) return;
    set_add_each(operations_, added_.data(), added_.size());
    added_.clear();
}

void SetWriter::add(PartnerOrdinal ordinal) {
    const std::uint16_t index = index_in_chunk(ordinal);
    if (!added_.empty() && added_.back() >= index) encode_added();
    added_.push_back(index);
}

void SetWriter::remove(PartnerOrdinal ordinal) {
    const std::uint16_t index = index_in_chunk(ordinal);
    encode_added();
    set_remove(operations_, index);
}

void SetWriter::write() {
    encode_added();
    if (operations_.empty()) return;
    run_.change<SetChunk>(Key(prefix_).u32(chunk_), operations_, Decode::now);
    operations_.clear();
}

void ColumnWriter::set(PartnerOrdinal ordinal, std::int64_t value) {
    const std::uint32_t chunk = ordinal.value / limits::kColumnChunk;
    if (chunk != chunk_) write();
    if (!begun_) {
        chunk_ = chunk;
        begun_ = true;
        column_ = run_.rewrite<ColumnChunk>(Key(prefix_).u32(chunk));
    }
    const auto index = static_cast<std::uint16_t>(ordinal.value % limits::kColumnChunk);
    if (column_ != nullptr) {
        column_->set(index, value);
    } else {
        column_set(operations_, index, value);
    }
}

void ColumnWriter::write() {
    begun_ = false;
    if (operations_.empty()) return;
    run_.change<ColumnChunk>(Key(prefix_).u32(chunk_), operations_, Decode::now);
    operations_.clear();
}

}  // namespace tidings
