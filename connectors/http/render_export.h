// Exports as text: CSV (RFC 4180, header line first) or NDJSON, one flat row a line, the same
// columns in both (docs/exports.md). Used by one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "projections/exports.h"

namespace tidings::http {

enum class ExportFormat { ndjson, csv };

/// Their names, in their order.
std::span<const std::string_view> export_columns(ExportTable table);
/// What comes before the first row.
void append_export_head(std::string& out, ExportTable table, ExportFormat format);
/// Returns how many rows were appended.
std::size_t append_export_rows(std::string& out, const ProgramId& program, ExportTable table,
                               ExportFormat format, const ExportSlice& slice);

/// The text of one export, a piece at a time.
class ExportText {
public:
    /// Of `models` as they are now.
    ExportText(ReadModelsPtr models, const ExportQuery& query, ExportFormat format)
        : models_(std::move(models)),
          rows_(models_->export_rows(query)),
          query_(query),
          format_(format) {}

    Tip tip() const { return rows_->tip(); }
    /// How many next() has given.
    std::uint64_t rows() const { return count_; }
    /// Some 64 KiB, or less if that takes more than a moment to read; nothing at the end. Storage
    /// failures are thrown.
    std::optional<std::string> next();

private:
    const ReadModelsPtr models_;  // outlives what was asked of it
    const std::unique_ptr<Export> rows_;
    const ExportQuery query_;
    const ExportFormat format_;
    std::uint64_t count_ = 0;
    bool begun_ = false, ended_ = false;
};

}  // namespace tidings::http
