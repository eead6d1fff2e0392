#include "codecs/erp/codes.h"

#include <criterion/criterion.h>
#include <string.h>

static const uint8_t *bytes(const char *text) {
    return (const uint8_t *)text;
}

static void expect_unit(enum unit_system system, const char *text, const char *code) {
    char got[UNIT_BYTES] = "";
    bool known = unit_code(system, bytes(text), strlen(text), got);
    cr_expect(strcmp(known ? got : "", code) == 0, "%s is %s, not %s", text, got, code);
}

Test(unit, is_translated_as_its_sender_means_it) {
    expect_unit(UNIT_REC20, "PCE", "H87");
    expect_unit(UNIT_REC20, "KGM", "KGM");
    expect_unit(UNIT_REC20, "C62", "C62");
    expect_unit(UNIT_REC20, "EA", "EA");
    expect_unit(UNIT_REC20, "CT", "XCT");
    expect_unit(UNIT_REC20, "XPX", "XPX");
    expect_unit(UNIT_X12, "CA", "XCS");
    expect_unit(UNIT_X12, "EA", "EA");
    expect_unit(UNIT_X12, "LB", "LBR");
    expect_unit(UNIT_X12, "ST", "SET");
    expect_unit(UNIT_X12, "DZ", "DZN");
    expect_unit(UNIT_SAP, "ST", "H87");
    expect_unit(UNIT_SAP, "KG", "KGM");
    expect_unit(UNIT_SAP, "St", "H87");
}

Test(unit, that_nobody_knows_is_not_invented) {
    expect_unit(UNIT_REC20, "BUC", "");
    expect_unit(UNIT_REC20, "", "");
    expect_unit(UNIT_REC20, "LONGER", "");
    expect_unit(UNIT_X12, "QQ", "");
    expect_unit(UNIT_REC20, "X-1", "");
}

Test(currency, is_one_of_iso_4217) {
    static const char *const known[] = {"AED", "EUR", "USD", "JPY", "GBP", "CHF",
                                        "SEK", "XAF", "ZAR", "ZWG", "DEM"};
    static const char *const unknown[] = {"", "EU", "eur", "UK", "ABC", "EURO", "ZZZ", "   "};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        cr_expect(currency_known(bytes(known[i]), strlen(known[i])), "%s", known[i]);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        cr_expect_not(currency_known(bytes(unknown[i]), strlen(unknown[i])), "%s", unknown[i]);
    cr_expect(currency_decimals("EUR") == 2);
    cr_expect(currency_decimals("JPY") == 0);
    cr_expect(currency_decimals("XPF") == 0);
    cr_expect(currency_decimals("KWD") == 3);
    cr_expect(currency_decimals("") == 2);
}

/* The lists are searched by halves: every code must be found, so that none is out of order. */
Test(codes, are_in_order) {
    static const char rec20[] =
#include "codecs/erp/rec20.def"
        ;
    char last[4] = "";
    for (size_t i = 0; i + 3 < sizeof rec20; i += 3) {
        char code[4] = {rec20[i], rec20[i + 1], rec20[i + 2]}, got[UNIT_BYTES];
        cr_expect(strcmp(last, code) < 0, "%s stands behind %s", code, last);
        strcpy(last, code);
        size_t n = code[2] == ' ' ? 2 : 3;
        cr_expect(unit_code(UNIT_REC20, bytes(code), n, got), "%s", code);
    }
    uint32_t count = 0;
    for (char a = 'A'; a <= 'Z'; a++)
        for (char b = 'A'; b <= 'Z'; b++)
            for (char c = 'A'; c <= 'Z'; c++)
                count += currency_known((uint8_t[]){(uint8_t)a, (uint8_t)b, (uint8_t)c}, 3);
    cr_expect(count > 170 && count < 210, "%u currencies are found", count);
}

static void expect_digit(const char *scheme, const char *text, bool asked, bool right) {
    bool was_asked;
    bool is = check_digit_right(scheme, bytes(text), strlen(text), &was_asked);
    cr_expect(was_asked == asked && is == right, "%s %s: %d %d", scheme, text, was_asked, is);
}

Test(check_digit, is_that_of_gs1) {
    expect_digit("GLN", "4012345000009", true, true);
    expect_digit("GLN", "4012345000008", true, false);
    expect_digit("GTIN", "4012345600001", true, true);
    expect_digit("GTIN", "96385074", true, true);
    expect_digit("GTIN", "036000291452", true, true);
    expect_digit("GTIN", "036000291453", true, false);
    expect_digit("SSCC", "340123450000000017", true, true);
    expect_digit("SSCC", "00340123450000000017", true, true);
    expect_digit("SSCC", "340123450000000015", true, false);
}

Test(check_digit, is_asked_for_only_where_there_is_one) {
    expect_digit("GLN", "123456", false, true);
    expect_digit("GLN", "40123450000AB", false, true);
    expect_digit("BUYER", "4012345000008", false, true);
    expect_digit("GTIN", "", false, true);
}
