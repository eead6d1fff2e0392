#include "codecs/xml/xml.h"

#include <string.h>

#define FIRST 1001u

static const struct {
    const char *segment;
    const char *fields; /* between blanks */
} segments[] = {
    {"E1MARAM", " MSGFN MATNR ERSDA LAEDA PSTAT LVORM MTART MBRSH MATKL BISMT MEINS BSTME BRGEW NTGEW GEWEI "
                "VOLUM VOLEH EAN11 NUMTP SPART PRDHA MATNR_LONG "},
    {"E1MAKTM", " MSGFN SPRAS MAKTX SPRAS_ISO "},
    {"E1MARMM", " MSGFN MEINH UMREZ UMREN EAN11 NUMTP LAENG BREIT HOEHE MEABM VOLUM VOLEH BRGEW GEWEI "},
    {"E1MARCM", " MSGFN WERKS PSTAT LVORM EKGRP DISPO BESKZ PLIFZ "},
    {"E1MVKEM", " MSGFN VKORG VTWEG LVORM AUMNG LFMNG SCMNG VRKME PMATN "},
    {"E1MBEWM", " MSGFN BWKEY LVORM VPRSV VERPR STPRS PEINH BKLAS "},
    {"E1KNA1M", " MSGFN KUNNR ANRED NAME1 NAME2 NAME3 NAME4 STRAS ORT01 ORT02 PSTLZ PFACH PSTL2 REGIO LAND1 "
                "SPRAS TELF1 TELF2 TELFX STCD1 STCD2 STCEG KTOKD LIFNR BBBNR BBSNR BUBKZ "},
    {"E1KNVVM", " MSGFN VKORG VTWEG SPART ZTERM INCO1 INCO2 WAERS VSBED KDGRP "},
    {"E1KNB1M", " MSGFN BUKRS AKONT ZTERM "},
    {"E1KNBKM", " MSGFN BANKS BANKL BANKN BKONT KOINH "},
    {"E1EDP19", " IDTNR_LONG "},
    {"E1EDL24", " MATNR_LONG KDMAT_LONG "},
    {"E1EDK28", " BIBAN "},
    {"E1EDP28", " STAWN HERKL "},
};

/* Where a word stands in a list of words, from 1. */
static uint32_t word_number(const char *words, const char *word, size_t length) {
    uint32_t number = 0;
    for (const char *at = words + 1; *at; at += strcspn(at, " ") + 1) {
        number++;
        if (strcspn(at, " ") == length && memcmp(at, word, length) == 0)
            return number;
    }
    return 0;
}

uint32_t xml_idoc_field(const char *segment, size_t segment_length, const char *field, size_t field_length) {
    for (size_t i = 0; i < sizeof segments / sizeof *segments; i++) {
        if (strlen(segments[i].segment) != segment_length ||
            memcmp(segments[i].segment, segment, segment_length) != 0)
            continue;
        uint32_t number = word_number(segments[i].fields, field, field_length);
        return number ? FIRST + number - 1 : 0;
    }
    return 0;
}
