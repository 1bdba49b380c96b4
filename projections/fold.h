// What folding an event needs: the run to change, and the program that the event belongs to.
#pragma once

#include "core/texts.h"
#include "projections/sets.h"

namespace tidings {

class GramWriters;

struct Fold {
    Run& run;
    GramWriters& grams;    ///< what is not in the run yet
    std::uint32_t number;  ///< the program's
    ProgramRow& program;   ///< to be changed in place
    Timestamp time;        ///< the outcome's
    const Keys* keys;      ///< null: there are none
};

// Keys without their chunk number.
inline Key status_set(std::uint32_t program, PartnerStatus status) {
    return Key(Table::status_set, program).u8(static_cast<std::uint8_t>(status));
}
inline Key tag_set(std::uint32_t program, std::string_view tag) {
    return Key(Table::tag_set, program).sized_text(tag);
}
inline Key metric_column(std::uint32_t program, Metric metric, std::string_view currency) {
    return Key(Table::metric_column, program)
        .u8(static_cast<std::uint8_t>(metric))
        .sized_text(currency);
}
inline Key of_message(Table table, std::uint32_t program, EventNumber message) {
    return Key(table, program).u64(message.value);
}
inline Key of_conversation(Table table, std::uint32_t program, EventNumber message,
                           PartnerOrdinal partner) {
    return Key(table, program).u64(message.value).u32(partner.value);
}
inline Key program_key(std::uint32_t program) { return Key(Table::program, program); }
inline Key partner_key(std::uint32_t program, PartnerOrdinal ordinal) {
    return Key(Table::partner, program).u32(ordinal.value);
}

}  // namespace tidings
