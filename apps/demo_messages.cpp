// The demo's messages and conversations.
#include "apps/demo_content.h"

namespace tidings::apps::demo {

const std::vector<Message>& messages() {
    static const std::vector<Message> all{
        {311, "Welcome to your new partner portal",
         "Hi,\n\nyour partner portal has moved. Your links and your balance are where they were; "
         "new "
         "are the monthly statements and this inbox, in which we will write to you from now on.\n\n"
         "Reply here if anything is missing: it reaches the partner team, not a robot.\n\nAnna\n"
         "Partner manager, Acme Analytics",
         true, R"({"type":"all"})", 0.95},
        {262, "You have reached the 25% tier",
         "Congratulations!\n\nYour referrals have brought more than 5,000 in revenue, so your "
         "commission "
         "goes up from 20% to 25%, starting with the current month. There is nothing to do.\n\n"
         "Tell us what would help you most: early access, co-branded pages, or an exclusive "
         "discount "
         "for your audience?\n\nAnna",
         true, R"({"type":"filter","filter":{"tag":"premium"}})", 1.15},
        {191, "Updated program terms",
         "The program terms change on the first of next month:\n\n"
         "1. Bidding on our brand name in search ads is no longer allowed.\n"
         "2. The cookie lifetime grows from 30 to 60 days.\n"
         "3. Commissions are paid out on the 10th instead of the 15th.\n\n"
         "No action is needed if you agree. This is an announcement; replies are off.",
         false, R"({"type":"all"})", 0.8},
        {140, "Invitation: partner round table",
         "We would like to show you next year's roadmap before anyone else, and hear what your "
         "readers "
         "ask for. 45 minutes on a video call, eight partners, no slides.\n\n"
         "Would Tuesday at 15:00 UTC suit you?",
         true,
         R"({"type":"partners","partners":["p-1003","p-1007","p-1012","p-1021","p-1041","p-1050","p-1063","p-1077"]})",
         1.2},
        {93, "Getting to your first sale",
         "You joined recently, so here is what worked for others in their first weeks:\n\n"
         "- a comparison page converts three times better than a banner;\n"
         "- mention the free plan: half of all paying customers began there;\n"
         "- deep links to a template keep your visitors on topic.\n\n"
         "Send us your page and we will look over it.",
         true,
         R"({"type":"filter","filter":{"all":[{"tag":"new"},{"metric":"sales","op":"<","value":25}]}})",
         1.0},
        {49, "Reminder: updated program terms",
         "A short reminder, because you may have missed it: the program terms change on the first "
         "of "
         "next month. Please read the announcement in your inbox, above all the part on brand "
         "bidding.",
         false, R"({"type":"filter","filter":{"engagement":"not_opened","message":"$2"}})", 0.9},
        {5, "Holiday campaign: new creatives and a 30% code",
         "The holiday campaign starts on Friday. In the portal you find banners in nine languages, "
         "three "
         "short videos, and text for newsletters. The code FRIENDS30 gives your audience 30% off "
         "the "
         "first year; your commission is on the price before the discount.\n\n"
         "Do you need another format? Reply and we make it.",
         true, R"({"type":"all"})", 0.7},
    };
    return all;
}

const std::vector<Conversation>& conversations() {
    static const std::vector<Conversation> all{
        {0,
         "p-1005",
         {{false, 300,
           "The new portal looks good. Where do I find the invoices from before March?"},
          {true, 298,
           "Under Payouts, with the filter \"all years\". They moved with your account."},
          {false, 297, "Found them, thank you!"}}},
        {0,
         "p-1019",
         {{false, 288, "ポータルは日本語にも対応していますか？"},
          {true, 285, "はい、設定の「Language」から日本語を選べます。"}}},
        {0,
         "p-1020",
         {{false, 270, "My payout address is still the old one. Can I change it here?"}}},
        {1,
         "p-1063",
         {{false, 255,
           "Great news! A co-branded page for my comparison series would be wonderful."},
          {true, 250,
           "Lovely idea. Send me your logo as SVG and a headline, and we build a draft."},
          {false, 228, "Sent by mail just now. The headline: \"Analytics without the headache\"."},
          {true, 20,
           "Your page is ready: acme.example/with/diego. Shall we publish it on Monday?"}}},
        {1,
         "p-1121",
         {{false, 240,
           "Thank you! Early access, please. I would like to prepare an episode before launch."},
          {true, 236, "You are on the list. The first build comes next Thursday."}}},
        {3,
         "p-1007",
         {{false, 130, "Tuesday is perfect. May I bring two questions from my subscribers?"},
          {true, 126, "Please do! I have sent you the calendar entry."}},
         110},
        {3, "p-1021", {{false, 121, "Sorry, I travel that week. Could you share a recording?"}}},
        {3,
         "p-1003",
         {{false, 118, "¡Me apunto! ¿Será en inglés?"},
          {true, 112, "Sí, en inglés, pero puedes preguntar en español."}}},
        {6, "p-1009", {{false, 3, "Is there a version of the banners in Turkish, 728x90?"}}},
        {6, "p-1002", {{false, 2, "Can I use the code in a podcast spot that airs in January?"}}},
    };
    return all;
}

}  // namespace tidings::apps::demo
