#include "apps/demo_content.h"

#include <algorithm>
#include <cmath>

namespace tidings::apps::demo {

namespace {

constexpr std::size_t kPartners = 240;
constexpr std::size_t kNames = 6;

/// A name as it is written, and as it stands in an email address.
struct Name {
    std::string_view text, ascii;
};
struct Language {
    std::array<Name, kNames> given, family;
    std::string_view domain;
    bool euro = false;
};

constexpr std::array<Language, 12> kLanguages{{
    {{{{"Emma", "emma"},
       {"Liam", "liam"},
       {"Grace", "grace"},
       {"Noah", "noah"},
       {"Siobhán", "siobhan"},
       {"Oliver", "oliver"}}},
     {{{"Carter", "carter"},
       {"O'Brien", "obrien"},
       {"Whitfield", "whitfield"},
       {"Bennett", "bennett"},
       {"Hughes", "hughes"},
       {"MacLeod", "macleod"}}},
     "growthnotes.example"},
    {{{{"Marta", "marta"},
       {"Łukasz", "lukasz"},
       {"Zofia", "zofia"},
       {"Paweł", "pawel"},
       {"Agnieszka", "agnieszka"},
       {"Kacper", "kacper"}}},
     {{{"Kowalczyk", "kowalczyk"},
       {"Wójcik", "wojcik"},
       {"Nowak", "nowak"},
       {"Mazur", "mazur"},
       {"Kaczmarek", "kaczmarek"},
       {"Zając", "zajac"}}},
     "marketer.example",
     true},
    {{{{"Lucía", "lucia"},
       {"Javier", "javier"},
       {"Martina", "martina"},
       {"Álvaro", "alvaro"},
       {"Inés", "ines"},
       {"Diego", "diego"}}},
     {{{"García", "garcia"},
       {"Fernández", "fernandez"},
       {"Muñoz", "munoz"},
       {"Ibáñez", "ibanez"},
       {"Romero", "romero"},
       {"Núñez", "nunez"}}},
     "recomienda.example",
     true},
    {{{{"Chloé", "chloe"},
       {"Hugo", "hugo"},
       {"Amélie", "amelie"},
       {"Théo", "theo"},
       {"Zoé", "zoe"},
       {"François", "francois"}}},
     {{{"Lefèvre", "lefevre"},
       {"Moreau", "moreau"},
       {"Girard", "girard"},
       {"Dubois", "dubois"},
       {"Béranger", "beranger"},
       {"Marchand", "marchand"}}},
     "blogpro.example",
     true},
    {{{{"Jürgen", "juergen"},
       {"Anna", "anna"},
       {"Björn", "bjoern"},
       {"Lena", "lena"},
       {"Matthias", "matthias"},
       {"Käthe", "kaethe"}}},
     {{{"Schröder", "schroeder"},
       {"Müller", "mueller"},
       {"Weiß", "weiss"},
       {"Krüger", "krueger"},
       {"Hoffmann", "hoffmann"},
       {"Vogel", "vogel"}}},
     "werkzeugkiste.example",
     true},
    {{{{"Søren", "soeren"},
       {"Astrid", "astrid"},
       {"Åsa", "asa"},
       {"Mikkel", "mikkel"},
       {"Ingrid", "ingrid"},
       {"Jørgen", "joergen"}}},
     {{{"Østergaard", "oestergaard"},
       {"Lindqvist", "lindqvist"},
       {"Håkansson", "hakansson"},
       {"Nygård", "nygaard"},
       {"Dahl", "dahl"},
       {"Bergström", "bergstroem"}}},
     "nordlink.example",
     true},
    {{{{"さくら", "sakura"},
       {"健二", "kenji"},
       {"陽子", "yoko"},
       {"大輔", "daisuke"},
       {"美咲", "misaki"},
       {"翔太", "shota"}}},
     {{{"田中", "tanaka"},
       {"佐藤", "sato"},
       {"鈴木", "suzuki"},
       {"高橋", "takahashi"},
       {"伊藤", "ito"},
       {"山本", "yamamoto"}}},
     "osusume.example"},
    {{{{"Олена", "olena"},
       {"Андрій", "andrii"},
       {"Катерина", "kateryna"},
       {"Дмитро", "dmytro"},
       {"Юлія", "yuliia"},
       {"Тарас", "taras"}}},
     {{{"Шевченко", "shevchenko"},
       {"Бондар", "bondar"},
       {"Коваль", "koval"},
       {"Мельник", "melnyk"},
       {"Ткачук", "tkachuk"},
       {"Литвин", "lytvyn"}}},
     "porada.example",
     true},
    {{{{"Ayşe", "ayse"},
       {"Mehmet", "mehmet"},
       {"Elif", "elif"},
       {"Çağlar", "caglar"},
       {"Zeynep", "zeynep"},
       {"Ömer", "omer"}}},
     {{{"Yılmaz", "yilmaz"},
       {"Demir", "demir"},
       {"Şahin", "sahin"},
       {"Öztürk", "ozturk"},
       {"Kaya", "kaya"},
       {"Aydın", "aydin"}}},
     "tavsiye.example"},
    {{{{"Νίκος", "nikos"},
       {"Ελένη", "eleni"},
       {"Γιώργος", "giorgos"},
       {"Μαρία", "maria"},
       {"Κώστας", "kostas"},
       {"Σοφία", "sofia"}}},
     {{{"Νικολάου", "nikolaou"},
       {"Γεωργίου", "georgiou"},
       {"Δημητρίου", "dimitriou"},
       {"Βασιλείου", "vasileiou"},
       {"Οικονόμου", "oikonomou"},
       {"Αλεξίου", "alexiou"}}},
     "agora.example",
     true},
    {{{{"Lan", "lan"},
       {"Minh", "minh"},
       {"Hương", "huong"},
       {"Đức", "duc"},
       {"Thảo", "thao"},
       {"Quân", "quan"}}},
     {{{"Nguyễn", "nguyen"},
       {"Trần", "tran"},
       {"Phạm", "pham"},
       {"Đặng", "dang"},
       {"Vũ", "vu"},
       {"Lê", "le"}}},
     "banhang.example"},
    {{{{"Adaeze", "adaeze"},
       {"Kwame", "kwame"},
       {"Thandiwe", "thandiwe"},
       {"Babajide", "babajide"},
       {"Amara", "amara"},
       {"Tunde", "tunde"}}},
     {{{"Okafor", "okafor"},
       {"Mensah", "mensah"},
       {"Nkosi", "nkosi"},
       {"Adeyemi", "adeyemi"},
       {"Diallo", "diallo"},
       {"Balogun", "balogun"}}},
     "creatorhub.example"},
}};

/// A number from 0 up to 1 that depends on nothing but its arguments (splitmix64's finisher).
double chance(std::uint64_t a, std::uint64_t b, std::uint64_t c) {
    std::uint64_t x = (a + 1) * 0x9E3779B97F4A7C15u + (b + 1) * 0xBF58476D1CE4E5B9u +
                      (c + 1) * 0x94D049BB133111EBu;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    x ^= x >> 31;
    return static_cast<double>(x >> 11) / 9007199254740992.0;  // 2^53
}

enum Topic : std::uint64_t { kSize, kSignups, kSales, kPaid, kJoined, kEager, kChannel, kPrice };

void add_performance(std::size_t index, bool euro, Partner& partner) {
    // a few bring most of the business
    const double size = std::pow(chance(index, kSize, 0), 4);
    partner.clicks = static_cast<std::uint64_t>(20 + size * 48'000);
    const auto share = [index](std::uint64_t of, Topic topic, double low, double high) {
        const double rate = low + (high - low) * chance(index, topic, 0);
        return static_cast<std::uint64_t>(static_cast<double>(of) * rate);
    };
    partner.signups = share(partner.clicks, kSignups, 0.01, 0.06);
    partner.sales = share(partner.signups, kSales, 0.1, 0.5);
    partner.paid_accounts = share(partner.sales, kPaid, 0.6, 1.0);
    partner.currency = euro ? "EUR" : "USD";
    constexpr std::array<std::uint64_t, 3> kPricesCents{2'900, 4'900, 9'900};
    const auto price = static_cast<std::size_t>(chance(index, kPrice, 0) * kPricesCents.size());
    partner.revenue_cents = partner.sales * kPricesCents[price];
    partner.commission_cents = partner.revenue_cents / 5;
}

void add_tags(std::size_t index, Partner& partner) {
    constexpr std::array<std::string_view, 6> kChannels{"blogger", "youtube",    "agency",
                                                        "podcast", "newsletter", "reseller"};
    const auto channel = static_cast<std::size_t>(chance(index, kChannel, 0) * kChannels.size());
    partner.tags.emplace_back(kChannels[channel]);
    if (partner.revenue_cents >= 500'000) partner.tags.emplace_back("premium");
    if (partner.joined_days_ago <= 60) partner.tags.emplace_back("new");
    std::sort(partner.tags.begin(), partner.tags.end());
}

}  // namespace

std::vector<Partner> partners() {
    std::vector<Partner> out;
    out.reserve(kPartners);
    for (std::size_t i = 0; i < kPartners; ++i) {
        const Language& language = kLanguages[i % kLanguages.size()];
        const std::size_t k = i / kLanguages.size();
        const Name& given = language.given[k % kNames];
        const Name& family = language.family[(k / kNames + k) % kNames];
        Partner partner;
        partner.id = "p-" + std::to_string(1'001 + i);
        partner.name = given.text;
        partner.surname = family.text;
        partner.email = std::string(given.ascii) + "." + std::string(family.ascii) + "@" +
                        std::string(language.domain);
        partner.status = i % 31 == 30 ? "pending" : i % 29 == 28 ? "archived" : "active";
        partner.joined_days_ago = 15 + static_cast<int>(700 * std::pow(chance(i, kJoined, 0), 1.5));
        partner.eagerness = 0.35 + 0.63 * chance(i, kEager, 0);
        add_performance(i, language.euro, partner);
        add_tags(i, partner);
        out.push_back(std::move(partner));
    }
    return out;
}

double opening_delay_hours(std::size_t partner, const Partner& who, std::size_t message) {
    const bool guide = std::find(kGuides.begin(), kGuides.end(), who.id) != kGuides.end();
    const std::size_t newest = messages().size() - 1;
    if (who.id == kGuides[0] && message == newest) return -1;
    if (!guide && chance(partner, message, 100) >= who.eagerness * messages()[message].appeal) {
        return -1;
    }
    const double delay = -14 * std::log(1 - chance(partner, message, 101));
    return guide ? std::min(delay, 1.0) : delay;
}

}  // namespace tidings::apps::demo
