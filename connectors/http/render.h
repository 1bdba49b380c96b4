// The JSON and CSV documents that the API answers with, built by appending to one string. Owns no
// state and reads no read model: what is to be shown comes in. The shapes are those of API.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/event.h"
#include "projections/read_models.h"

namespace tidings::http {

/// {"id","name","plan"}
std::string render_program(const ProgramView& program);
std::string render_partner(const PartnerState& partner, const PartnerTexts& texts);
std::string render_message(const ProgramId& program, const MessageView& message);
std::string render_post(const ProgramId& program, const PostView& post);
std::string render_summary(const ProgramSummary& summary);
std::string render_inbox_summary(const InboxSummary& summary);
/// {"data":[{"at","opens"}]}
std::string render_opens(const std::vector<OpensBucket>& buckets);

// Lists: {"data":[…],"next_cursor":…}
std::string render_partners(const Page<PartnerView>& page);
std::string render_tags(const Page<TagCount>& page);
std::string render_messages(const ProgramId& program, const Page<MessageView>& page);
std::string render_recipients(const Page<RecipientRow>& page);
/// {"count","digest","data","next_cursor"}
std::string render_preview(const AudiencePreview& preview);
/// The portal's rows.
std::string render_inbox(const Page<InboxRow>& page);
/// The profile's rows: the portal's, and opened_at, replied_at, unread_replies.
std::string render_profile_messages(const Page<InboxRow>& page);

/// Who looks at a conversation. A partner sees of itself what it is addressed by, and not the
/// owner's tags and figures.
enum class Viewer { owner, partner };
std::string render_conversation(const ProgramId& program, const ConversationView& conversation,
                                Viewer viewer);

/// RFC 4180: header row and rows, each ended by CRLF; absent times are empty fields.
std::string_view recipients_csv_header();
void append_recipient_csv(std::string& out, const RecipientRow& row);
/// Quoted only where it must be.
void append_csv_field(std::string& out, std::string_view text);

/// Shortest decimal that reads back as the same double. REQUIRES: finite.
void append_double(std::string& out, double value);

}  // namespace tidings::http
