#include "codecs/xml/encoding.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

/* 0x80 to 0x9f of Windows-1252; -1: there is no such character. */
static const int16_t windows_1252[32] = {
    0x20ac, -1,     0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, -1,     0x017d, -1,     -1,     0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, -1,     0x017e, 0x0178,
};

/* Where ISO 8859-15 is not ISO 8859-1. */
static const struct {
    uint8_t byte;
    int16_t code;
} latin_9[] = {
    {0xa4, 0x20ac}, {0xa6, 0x0160}, {0xa8, 0x0161}, {0xb4, 0x017d},
    {0xb8, 0x017e}, {0xbc, 0x0152}, {0xbd, 0x0153}, {0xbe, 0x0178},
};

int xml_encoding(void *context, const char *name, XML_Encoding *encoding) {
    (void)context;
    for (int i = 0; i < 256; i++)
        encoding->map[i] = i;
    encoding->data = NULL;
    encoding->convert = NULL;
    encoding->release = NULL;
    if (strcasecmp(name, "windows-1252") == 0 || strcasecmp(name, "cp1252") == 0) {
        for (int i = 0; i < 32; i++)
            encoding->map[0x80 + i] = windows_1252[i];
        return XML_STATUS_OK;
    }
    if (strcasecmp(name, "iso-8859-15") == 0) {
        for (size_t i = 0; i < sizeof latin_9 / sizeof *latin_9; i++)
            encoding->map[latin_9[i].byte] = latin_9[i].code;
        return XML_STATUS_OK;
    }
    return XML_STATUS_ERROR;
}
