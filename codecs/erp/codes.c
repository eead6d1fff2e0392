#include "codecs/erp/codes.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char rec20[] =
#include "codecs/erp/rec20.def"
    ;

/* Active codes of ISO 4217, ascending, and those that ended since 1999 and still stand in documents. */
static const char currencies[] =
    "AEDAFNALLAMDANGAOAARSATSAUDAWGAZNBAMBBDBDTBEFBGNBHDBIFBMDBNDBOBBRLBSDBTNBWPBYNBYRBZDCADCDFCHECHFCHWCLF"
    "CLPCNYCOPCOUCRCCUCCUPCVECZKDEMDJFDKKDOPDZDEEKEGPERNESPETBEURFIMFJDFKPFRFGBPGELGHSGIPGMDGNFGRDGTQGYDHKD"
    "HNLHRKHTGHUFIDRIEPILSINRIQDIRRISKITLJMDJODJPYKESKGSKHRKMFKPWKRWKWDKYDKZTLAKLBPLKRLRDLSLLTLLUFLVLLYDMAD"
    "MDLMGAMKDMMKMNTMOPMRUMURMVRMWKMXNMXVMYRMZNNADNGNNIONLGNOKNPRNZDOMRPABPENPGKPHPPKRPLNPTEPYGQARRONRSDRUB"
    "RWFSARSBDSCRSDGSEKSGDSHPSITSKKSLESLLSOSSRDSSPSTNSVCSYPSZLTHBTJSTMTTNDTOPTRYTTDTWDTZSUAHUGXUSDUSNUYIUYU"
    "UYWUZSVEDVESVNDVUVWSTXAFXAGXAUXCDXDRXOFXPDXPFXPTYERZARZMWZWG";
static_assert((sizeof currencies - 1) % 3 == 0 && (sizeof rec20 - 1) % 3 == 0, "three bytes each");

/* A code of up to three bytes, padded with blanks, in an ascending list of such. */
static const char *cell_find(const char *cells, size_t count, const uint8_t *text, size_t n) {
    char wanted[3] = {' ', ' ', ' '};
    if (n == 0 || n > 3)
        return NULL;
    memcpy(wanted, text, n);
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = memcmp(wanted, cells + middle * 3, 3);
        if (order == 0)
            return cells + middle * 3;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

bool currency_known(const uint8_t *text, size_t n) {
    return n == 3 && cell_find(currencies, (sizeof currencies - 1) / 3, text, n) != NULL;
}

uint32_t currency_decimals(const char *currency) {
    static const char none[] = "BIFCLPDJFGNFISKJPYKMFKRWPYGRWFUGXUYIVNDVUVXAFXOFXPF";
    static const char three[] = "BHDIQDJODKWDLYDOMRTND";
    const uint8_t *text = (const uint8_t *)currency;
    size_t n = strlen(currency);
    if (n == 3 && cell_find(none, (sizeof none - 1) / 3, text, n))
        return 0;
    return n == 3 && cell_find(three, (sizeof three - 1) / 3, text, n) ? 3 : 2;
}

/* ---- Units -------------------------------------------------------------------------------------------- */

struct unit_name {
    char theirs[8];
    char ours[4];
};

/* What EDIFACT senders write beside Recommendation 20 (DE 6411 has some codes of its own). */
static const struct unit_name common_names[] = {
    {"PCE", "H87"}, {"PCS", "H87"}, {"PC", "H87"},  {"STK", "H87"}, {"ST", "H87"},  {"UN", "C62"},
    {"KG", "KGM"},  {"G", "GRM"},   {"L", "LTR"},   {"M", "MTR"},   {"CT", "XCT"},  {"CS", "XCS"},
    {"CA", "XCS"},  {"BX", "XBX"},  {"PK", "XPK"},  {"PF", "XPX"},  {"PX", "XPX"},  {"PAL", "XPX"},
    {"BG", "XBG"},  {"RO", "XRO"},  {"PA", "XPK"},  {"LB", "LBR"},  {"CRT", "XCR"}, {"BOX", "XBX"},
    {"CU", "XCU"},  {"NAR", "C62"}, {"STD", "HUR"}, {"PAIR", "PR"}, {"DAY", "DAY"}, {"CTN", "XCT"},
    {"BO", "XBO"},  {"CAN", "XCA"}, {"TU", "XTU"},  {"EACH", "EA"},
};

/* ANSI X12, data element 355. */
static const struct unit_name x12_names[] = {
    {"PC", "H87"}, {"UN", "C62"}, {"CA", "XCS"}, {"CT", "XCT"}, {"CTN", "XCT"}, {"BX", "XBX"}, {"BG", "XBG"},
    {"BO", "XBO"}, {"CN", "XCX"}, {"PK", "XPK"}, {"PL", "XPX"}, {"PF", "XPX"},  {"PT", "PT"},  {"RL", "XRO"},
    {"RO", "XRO"}, {"DZ", "DZN"}, {"LB", "LBR"}, {"KG", "KGM"}, {"GR", "GRM"},  {"OZ", "ONZ"}, {"TN", "STN"},
    {"ST", "SET"}, {"SE", "SET"}, {"FT", "FOT"}, {"IN", "INH"}, {"YD", "YRD"},  {"MR", "MTR"}, {"LT", "LTR"},
    {"GA", "GLL"}, {"QT", "QT"},  {"CF", "FTQ"}, {"CR", "MTQ"}, {"CI", "INQ"},  {"SF", "FTK"}, {"HR", "HUR"},
    {"DA", "DAY"}, {"MO", "MON"}, {"EV", "XEN"}, {"PR", "PR"},  {"CM", "CMT"},  {"SM", "MTK"}, {"TH", "MIL"},
    {"HD", "CEN"}, {"GS", "GRO"}, {"ME", "MGM"}, {"ML", "MLT"}, {"MM", "MMT"},  {"FO", "OZA"}, {"SH", "XST"},
    {"TM", "MIL"}, {"AY", "XAY"}, {"KT", "KT"},  {"JR", "XJR"}, {"TB", "XTU"},  {"DR", "XDR"}, {"SY", "YDK"},
};

/* SAP's internal and external codes of T006, German and English. */
static const struct unit_name sap_names[] = {
    {"ST", "H87"},  {"PC", "H87"},  {"PCE", "H87"}, {"EA", "EA"},   {"KAR", "XCT"}, {"CAR", "XCT"},
    {"KI", "XCR"},  {"CV", "XCS"},  {"PAK", "XPK"}, {"PAC", "XPK"}, {"PAL", "XPX"}, {"KG", "KGM"},
    {"G", "GRM"},   {"TO", "TNE"},  {"T", "TNE"},   {"LB", "LBR"},  {"OZ", "ONZ"},  {"L", "LTR"},
    {"ML", "MLT"},  {"M", "MTR"},   {"CM", "CMT"},  {"MM", "MMT"},  {"KM", "KMT"},  {"M2", "MTK"},
    {"M3", "MTQ"},  {"STD", "HUR"}, {"H", "HUR"},   {"HR", "HUR"},  {"TAG", "DAY"}, {"DAY", "DAY"},
    {"MIN", "MIN"}, {"FLA", "XBO"}, {"BT", "XBO"},  {"BOT", "XBO"}, {"ROL", "XRO"}, {"PAA", "PR"},
    {"DZ", "DZN"},  {"DR", "XDR"},  {"FT", "FOT"},  {"IN", "INH"},  {"LE", "E48"},  {"AU", "E48"},
    {"KAN", "XCI"}, {"SET", "SET"}, {"TS", "MIL"},  {"BAG", "XBG"}, {"BOX", "XBX"}, {"CS", "XCS"},
    {"%", "P1"},    {"KWH", "KWH"}, {"GAL", "GLL"},
};

static const char *name_find(const struct unit_name *names, size_t count, const uint8_t *text, size_t n) {
    char wanted[sizeof names->theirs] = {0};
    if (n == 0 || n >= sizeof wanted)
        return NULL;
    for (size_t i = 0; i < n; i++)
        wanted[i] = (char)(text[i] >= 'a' && text[i] <= 'z' ? text[i] - 'a' + 'A' : text[i]);
    for (size_t i = 0; i < count; i++)
        if (memcmp(names[i].theirs, wanted, sizeof wanted) == 0)
            return names[i].ours;
    return NULL;
}

/* X and a code of Recommendation 21, which is two letters or digits. */
static bool package(const uint8_t *text, size_t n) {
    if (n != 3 || text[0] != 'X')
        return false;
    for (size_t i = 1; i < 3; i++)
        if (!((text[i] >= 'A' && text[i] <= 'Z') || (text[i] >= '0' && text[i] <= '9')))
            return false;
    return true;
}

static bool unit_is(char out[UNIT_BYTES], const void *code, size_t n) {
    memset(out, 0, UNIT_BYTES);
    memcpy(out, code, n);
    return true;
}

#define NAMES(list) list, sizeof(list) / sizeof *(list)

bool unit_code(enum unit_system system, const uint8_t *text, size_t n, char out[UNIT_BYTES]) {
    /* What most documents write, before anything is searched. */
    if (system == UNIT_REC20 && n == 3 && memcmp(text, "PCE", 3) == 0)
        return unit_is(out, "H87", 3);
    const char *found = system == UNIT_X12   ? name_find(NAMES(x12_names), text, n)
                        : system == UNIT_SAP ? name_find(NAMES(sap_names), text, n)
                                             : NULL;
    if (!found && (cell_find(rec20, (sizeof rec20 - 1) / 3, text, n) || package(text, n)))
        return unit_is(out, text, n);
    if (!found)
        found = name_find(NAMES(common_names), text, n);
    return found && unit_is(out, found, strlen(found));
}

/* Directories before D.02A have no H87, and none has X before a code of a package. */
void unit_name(enum unit_system system, const char *unit, char out[UNIT_NAME_BYTES]) {
    const struct unit_name *names = system == UNIT_X12 ? x12_names : common_names;
    size_t count = system == UNIT_X12 ? sizeof x12_names / sizeof *x12_names
                                      : sizeof common_names / sizeof *common_names;
    bool wanted = system == UNIT_X12 || strcmp(unit, "H87") == 0 || (*unit == 'X' && strlen(unit) == 3);
    (void)snprintf(out, UNIT_NAME_BYTES, "%s", unit);
    for (size_t i = 0; wanted && i < count; i++)
        if (strcmp(names[i].ours, unit) == 0) {
            (void)snprintf(out, UNIT_NAME_BYTES, "%.7s", names[i].theirs);
            return;
        }
}

/* ---- Check digits ------------------------------------------------------------------------------------- */

static bool length_fits(const char *scheme, size_t n) {
    if (strcmp(scheme, "GLN") == 0)
        return n == 13;
    if (strcmp(scheme, "GTIN") == 0)
        return n == 8 || n == 12 || n == 13 || n == 14;
    return strcmp(scheme, "SSCC") == 0 && n == 18;
}

bool check_digit_right(const char *scheme, const uint8_t *text, size_t n, bool *asked) {
    if (n == 20 && text[0] == '0' && text[1] == '0' && strcmp(scheme, "SSCC") == 0) {
        text += 2; /* the application identifier */
        n -= 2;
    }
    *asked = length_fits(scheme, n);
    uint32_t sum = 0;
    for (size_t i = 0; *asked && i < n; i++) {
        uint8_t digit = (uint8_t)(text[n - 1 - i] - '0');
        *asked = digit <= 9;
        sum += i % 2 ? 3u * digit : digit;
    }
    return !*asked || sum % 10 == 0;
}
