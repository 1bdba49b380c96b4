@0xd3a1c7e04b5f9216;
# Commands, events and outcomes as bytes. How this file may change is in README.md; the packed Data fields
# (Strings, Money, Times, Bitmap) are drawn in docs/formats.md and never change.
#
# A member of a union or enum that a reader does not know stops it (newer_format). A field added to a struct that
# already exists would be overlooked by older readers: a writer that uses one where that matters raises `needs`.
# Unions named `personal` hold personal data: `plain`, or `sealed` where any of it is under a partner's key; those of a
# message and its sender are always plain.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("tidings::schema");

using Strings = Data;  # (LEB128 length, bytes)*
using Money = Data;    # (LEB128 length, currency, zigzag LEB128 micro-units)*, by currency
using Times = Data;    # zigzag LEB128 of the least time, then LEB128 offsets from it; empty: none
using Bitmap = Data;   # portable Roaring
using Texts = Data;    # (0, or LEB128 length + 1 and the bytes)*: each absent, or in its stored form

enum Role { platform @0; owner @1; partner @2; analyst @3; auditor @4; }
enum Plan { starter @0; partner @1; advanced @2; }
enum PartnerStatus { active @0; pending @1; archived @2; deleted @3; }
enum AudienceType { all @0; partners @1; filter @2; }
enum Metric { clicks @0; signups @1; sales @2; paidAccounts @3; revenue @4; commission @5; }
enum Comparison { less @0; lessEqual @1; equal @2; notEqual @3; greaterEqual @4; greater @5; }
enum Engagement { opened @0; notOpened @1; replied @2; }
enum AdjustMode { add @0; set @1; }
enum OutcomeStatus { applied @0; unchanged @1; replayed @2; refused @3; }
enum Code {
  malformed @0; unauthenticated @1; forbidden @2; planRequired @3; repliesDisabled @4; notFound @5;
  methodNotAllowed @6; notAcceptable @7; idempotencyKeyReused @8; audienceChanged @9; payloadTooLarge @10;
  unsupportedMediaType @11; invalid @12; audienceEmpty @13; unknownPartner @14; rateLimited @15; overloaded @16;
  notCaughtUp @17; outcomeUnknown @18; notARecipient @19;
}

# ---- parts

struct Actor {
  role @0 :Role;
  personal :union {
    plain :group { sub @1 :Text; name @2 :Text; }
    sealed @3 :Texts;  # sub, name
  }
}

struct Stamp {  # SourceStamp; the tiebreak is 32 bytes in four words, as they lie
  micros @0 :Int64;
  a @1 :UInt64;
  b @2 :UInt64;
  c @3 :UInt64;
  d @4 :UInt64;
}

struct Metrics {
  clicks @0 :UInt64;
  signups @1 :UInt64;
  sales @2 :UInt64;
  paidAccounts @3 :UInt64;
  revenue @4 :Money;
  commission @5 :Money;
}

struct MetricsPatch {
  clicksGiven @0 :Bool;
  signupsGiven @1 :Bool;
  salesGiven @2 :Bool;
  paidAccountsGiven @3 :Bool;
  clicks @4 :UInt64;
  signups @5 :UInt64;
  sales @6 :UInt64;
  paidAccounts @7 :UInt64;
  revenue @8 :Money;
  commission @9 :Money;
}

struct Filter {
  union {
    all @0 :List(Filter);
    any @1 :List(Filter);
    negation @2 :Filter;
    tag @3 :Text;
    metric :group { metric @4 :Metric; op @5 :Comparison; value @6 :Int64; currency @7 :Text; }
    joinedBefore @8 :Int64;
    joinedAfter @9 :Int64;
    engagement :group { state @10 :Engagement; message @11 :UInt64; }
  }
}

struct Audience {
  type @0 :AudienceType;
  partners @1 :Strings;
  filter @2 :Filter;
  exclude @3 :Strings;
}

struct OpensGroup {
  message @0 :UInt64;
  partners @1 :Bitmap;
  at @2 :Times;  # one a partner, ascending by partner; absent: the command's or outcome's time
}

# ---- commands

struct Command {
  needs @0 :UInt16;  # format version that a reader must know; now 0
  time @1 :Int64;
  id :group { low @2 :UInt64; high @3 :UInt64; }  # 16 bytes as they lie, here and below
  digest :group { low @4 :UInt64; high @5 :UInt64; }
  caller :group { low @6 :UInt64; high @7 :UInt64; }
  remember @8 :Bool;
  track @9 :Bool;
  program @10 :Text;
  role @11 :Role;
  personal :union {  # of the actor
    plain :group { sub @12 :Text; name @13 :Text; }
    sealed @14 :Texts;  # sub, name
  }
  body :union {
    openOne :group {  # RecordOpens of one partner without a time of its own: the flood
      message @15 :UInt64;
      upTo @16 :UInt64;
      partner @17 :UInt32;
    }
    recordOpens @18 :RecordOpens;
    upsertProgram @19 :UpsertProgram;
    setWebhookSecret @20 :SetWebhookSecret;
    upsertPartners @21 :UpsertPartners;
    adjustMetrics @22 :AdjustMetrics;
    recordCustomer @23 :RecordCustomer;
    recordTransaction @24 :RecordTransaction;
    sendMessage @25 :SendMessage;
    postReply @26 :PostReply;
    markRead @27 :MarkRead;
    erasePartner @28 :ErasePartner;
  }
}

struct RecordOpens { groups @0 :List(OpensGroup); upTo @1 :UInt64; }
struct UpsertProgram { name @0 :Text; plan @1 :Plan; }
struct SetWebhookSecret { sealed @0 :Data; }

struct UpsertPartners {
  mustExist @0 :Bool;
  revive @1 :Bool;
  holdUnknown @2 :Bool;
  partners @3 :List(PartnerPatch);
}

struct PartnerPatch {  # an absent pointer: not given
  id @0 :Text;
  personal :union {
    plain :group { email @1 :Text; name @2 :Text; surname @3 :Text; }
    sealed @4 :Texts;  # email, name, surname
  }
  tags @5 :Strings;
  metrics @6 :MetricsPatch;
  stamp @7 :Stamp;
  statusGiven @8 :Bool;
  joinedAtGiven @9 :Bool;
  clearMetrics @10 :Bool;
  clearRevenue @11 :Bool;
  clearCommission @12 :Bool;
  status @13 :PartnerStatus;
  joinedAt @14 :Int64;
}

struct AdjustMetrics {
  mode @0 :AdjustMode;
  partner @1 :Text;
  clicks @2 :Int64;
  signups @3 :Int64;
  sales @4 :Int64;
  paidAccounts @5 :Int64;
  set @6 :MetricsPatch;
  revenue @7 :Money;
  commission @8 :Money;
  stamp @9 :Stamp;
}

struct RecordCustomer { key @0 :Text; partner @1 :Text; deleted @2 :Bool; stamp @3 :Stamp; }

struct RecordTransaction {
  key @0 :Text;
  partner @1 :Text;
  customer @2 :Text;
  revenue @3 :Money;
  commission @4 :Money;
  deleted @5 :Bool;
  stamp @6 :Stamp;
}

struct SendMessage {
  personal :union {
    plain :group { subject @0 :Text; body @1 :Text; }
    sealed @2 :Data;
  }
  audience @3 :Audience;
  repliesEnabled @4 :Bool;
  expectDigest @5 :Data;  # 32 bytes, or absent
}

struct PostReply {
  message @0 :UInt64;
  partner @1 :UInt32;
  personal :union { plain @2 :Text; sealed @3 :Data; }
}

struct MarkRead { message @0 :UInt64; partner @1 :UInt32; }
struct ErasePartner { partner @0 :Text; keyEpoch @1 :UInt16; }

# ---- a commit's payload

struct Outcomes {
  needs @0 :UInt16;
  programs @1 :List(Text);  # the distinct ones, which outcomes name by index
  outcomes @2 :List(Outcome);
}

struct Outcome {
  id :group { low @0 :UInt64; high @1 :UInt64; }
  digest :group { low @2 :UInt64; high @3 :UInt64; }
  caller :group { low @4 :UInt64; high @5 :UInt64; }
  time @6 :Int64;
  firstEvent @7 :UInt64;
  program @8 :UInt32;
  status @9 :OutcomeStatus;
  remember @10 :Bool;
  track @11 :Bool;
  detail :union {
    none @12 :Void;
    firstOpen :group {  # one MessagesOpened of one partner at the outcome's time, first_opens = 1: the flood
      message @13 :UInt64;
      partner @14 :UInt32;
    }
    full @15 :Detail;
  }
}

struct Leaf {  # of a partition's Merkle tree, in canonical form (docs/formats.md); read by others, for ever
  program @0 :Text;
  outcome @1 :Outcome;  # as the commit has it, but for its index of a program, which is 0
}

struct Detail {
  answer @0 :UInt64;
  created @1 :UInt32;
  updated @2 :UInt32;
  unchanged @3 :UInt32;
  firstOpens @4 :UInt32;
  rejected @5 :List(RejectedRun);
  refusal @6 :Refusal;
  events @7 :List(Event);
}

struct RejectedRun {  # neighbours of the same message and code, with ascending indexes
  message @0 :UInt64;
  code @1 :Code;
  indexes @2 :Bitmap;
}

struct Refusal { code @0 :Code; plan @1 :Plan; pointer @2 :Text; detail @3 :Text; }

struct Event {
  union {
    programChanged @0 :ProgramChanged;
    webhookSecretSet @1 :WebhookSecretSet;
    partnersChanged @2 :List(PartnerState);
    upstreamFactsChanged @3 :UpstreamFactsChanged;
    messageSent @4 :MessageSent;
    messagesOpened @5 :List(OpensGroup);
    replyPosted @6 :ReplyPosted;
    conversationRead @7 :ConversationRead;
    partnerErased @8 :PartnerErased;
  }
}

struct ProgramChanged { name @0 :Text; plan @1 :Plan; }
struct WebhookSecretSet { sealed @0 :Data; }

struct PartnerState {
  ordinal @0 :UInt32;
  status @1 :PartnerStatus;
  id @2 :Text;
  personal :union {
    plain :group { email @3 :Text; name @4 :Text; surname @5 :Text; }
    sealed @6 :Texts;  # email, name, surname
    erased @12 :Void;  # and not seen again since
    rekeyed @13 :Data;  # key epoch (2, little endian), and the texts; none: erased
  }
  tags @7 :Strings;
  joinedAt @8 :Int64;
  metrics @9 :Metrics;        # absent: all zero
  profileStamp @10 :Stamp;    # absent: zero; the same below
  metricsStamp @11 :Stamp;
}

struct UpstreamFactsChanged {
  held @0 :List(HeldPartner);
  customers @1 :List(CustomerState);
  transactions @2 :List(TransactionState);
  payers @3 :List(PayerState);
}
struct HeldPartner { id @0 :Text; metrics @1 :Metrics; deletedStamp @2 :Stamp; metricsStamp @3 :Stamp; }
struct CustomerState { key @0 :Text; partner @1 :Text; deleted @2 :Bool; stamp @3 :Stamp; }
struct TransactionState {
  key @0 :Text;
  partner @1 :Text;
  customer @2 :Text;
  revenue @3 :Money;
  commission @4 :Money;
  deleted @5 :Bool;
  stamp @6 :Stamp;
}
struct PayerState { partner @0 :Text; customer @1 :Text; transactions @2 :UInt64; }

struct MessageSent {
  personal :union {
    plain :group { subject @0 :Text; body @1 :Text; }
    sealed @2 :Data;
  }
  repliesEnabled @3 :Bool;
  plan @4 :Plan;
  sender @5 :Actor;
  sentAt @6 :Int64;
  audience @7 :Audience;
  recipients @8 :Bitmap;
  digest @9 :Data;  # 32 bytes
}

struct ReplyPosted {
  message @0 :UInt64;
  partner @1 :UInt32;
  fromOwner @2 :Bool;
  author @3 :Actor;
  personal :union { plain @4 :Text; sealed @5 :Data; }
  postedAt @6 :Int64;
}

struct PartnerErased { partner @0 :UInt32; }
struct ConversationRead { message @0 :UInt64; partner @1 :UInt32; byOwner @2 :Bool; upTo @3 :UInt64; }
