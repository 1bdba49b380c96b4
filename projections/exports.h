// Whole tables of a program for analytics and audits: row after row in a stable order (messages as
// they were sent, recipients by first sight, posts as they were written), by ordered scans of rows
// that nothing published meanwhile can change.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "projections/read_models.h"
#include "projections/store.h"

namespace tidings {

enum class ExportTable { messages, recipients, opens, conversations };

struct ExportQuery {
    ProgramId program;
    ExportTable table = ExportTable::messages;
    std::optional<EventNumber> message;  ///< of this one alone
};

struct ExportedPost {
    PartnerPtr partner;  ///< for its id; its texts are as they are stored
    PostView post;
};

/// Some rows of a table, all about one message. Which of the members hold them is the table's to
/// say.
struct ExportSlice {
    MessageCardPtr message;                ///< null: no rows
    std::optional<MessageView> sent;       ///< messages: one row
    std::vector<RecipientRow> recipients;  ///< recipients; opens: those with an opened_at
    std::vector<ExportedPost> posts;       ///< conversations
};

/// One thread at a time. Storage failures are thrown.
class Export {
public:
    virtual ~Export() = default;
    virtual Tip tip() const = 0;
    /// The next rows, or none of them; nothing at the end. Reads a bounded number of rows.
    virtual std::optional<ExportSlice> next() = 0;
};

namespace exports {
/// `keys`: of sealed texts, or null.
std::unique_ptr<Export> open(std::unique_ptr<StoreView> rows, const Tip& tip,
                             std::shared_ptr<const Keys> keys, const ExportQuery& query);
}  // namespace exports

}  // namespace tidings
