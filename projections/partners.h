// The partner directory: rows, sets by status and tag, metric columns, search; tags with their
// counts.
#pragma once

#include "projections/fold.h"
#include "projections/read_models.h"
#include "projections/search.h"

namespace tidings::partners {

void fold(Fold& fold, const PartnersChanged& event);

std::shared_ptr<const PartnerRow> find(const RowSource& rows, std::uint32_t program,
                                       const PartnerId& id);
std::shared_ptr<const PartnerRow> find(const RowSource& rows, std::uint32_t program,
                                       PartnerOrdinal ordinal);

Result<Page<PartnerView>> list(const RowSource& rows, std::uint32_t program, const ProgramRow& row,
                               const TextReader& texts, const PartnerQuery& query,
                               const PageRequest& page);
Result<Page<TagCount>> tags(const CommittedRows& rows, std::uint32_t program,
                            const PageRequest& page);
/// Members of `set` in ascending order, from `from` on.
Page<PartnerView> page_of(const RowSource& rows, std::uint32_t program, const TextReader& texts,
                          const Bitmap& set, std::uint64_t from, std::size_t limit, char kind,
                          std::string_view list);

}  // namespace tidings::partners
