#include "codecs/erp/moment.h"

#include <string.h>

static const struct format {
    char code[4];
    const char *pattern;
} formats[] = {
    {"102", "CCYYMMDD"},
    {"203", "CCYYMMDDHHMM"},
    {"204", "CCYYMMDDHHMMSS"},
    {"718", "CCYYMMDD-CCYYMMDD"},
    {"2", "DDMMYY"},
    {"3", "MMDDYY"},
    {"4", "DDMMCCYY"},
    {"5", "DDMMCCYYHHMM"},
    {"10", "CCYYMMDDTHHMM"},
    {"101", "YYMMDD"},
    {"103", "YYWWd"},
    {"105", "YYJJJ"},
    {"201", "YYMMDDHHMM"},
    {"202", "YYMMDDHHMMSS"},
    {"205", "CCYYMMDDHHMMZ"},
    {"301", "YYMMDDHHMMZ"},
    {"302", "YYMMDDHHMMSSZ"},
    {"303", "CCYYMMDDHHMMZ"},
    {"304", "CCYYMMDDHHMMSSZ"},
    {"602", "CCYY"},
    {"609", "YYMM"},
    {"610", "CCYYMM"},
    {"615", "YYWW"},
    {"616", "CCYYWW"},
    {"711", "CCYYMMDD-CCYYMMDD"},
    {"713", "YYMMDDHHMM-YYMMDDHHMM"},
    {"715", "YYWW-YYWW"},
    {"716", "CCYYWW-CCYYWW"},
    {"717", "YYMMDD-YYMMDD"},
    {"719", "CCYYMMDDHHMM-CCYYMMDDHHMM"},
};

/* What has been read of one end of a period. -1: nothing. */
struct fields {
    int year, century, month, day, hour, minute, second, week, weekday, ordinal;
    int32_t zone;
    bool zoned;
};

static bool leap(int year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int month_days(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && leap(year));
}

/* Days since 1970-01-01 (Hinnant, days_from_civil). */
static int64_t days_of(int year, int month, int day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int *year, int *month, int *day) {
    int64_t z = days + 719468, era = z / 146097, of_era = z - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;
    *day = (int)(of_year - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = (int)(y + era * 400 + (*month <= 2));
}

/* A week is that of ISO 8601; without a day it stands for its Monday. */
static bool week_date(struct fields *f) {
    if (f->week < 1 || f->week > 53 || f->weekday == 0 || f->weekday > 7)
        return false;
    int64_t fourth = days_of(f->year, 1, 4);
    int64_t monday = fourth - (fourth + 3) % 7 + (int64_t)(f->week - 1) * 7;
    date_of(monday + (f->weekday < 0 ? 0 : f->weekday - 1), &f->year, &f->month, &f->day);
    return true;
}

static bool year_done(struct fields *f, uint32_t pivot) {
    if (f->year < 0)
        return false;
    if (f->century < 0)
        f->year += (uint32_t)f->year >= pivot ? 1900 : 2000;
    else
        f->year += f->century * 100;
    return f->year >= 1900 && f->year <= 2199;
}

/* A month without a day stands for its first day, a year for its first month. */
static bool moment_done(struct fields *f, uint32_t pivot, struct moment *out) {
    *out = (struct moment){0};
    if (!year_done(f, pivot))
        return false;
    if (f->week >= 0 && !week_date(f))
        return false;
    if (f->ordinal >= 0) {
        if (f->ordinal < 1 || f->ordinal > 365 + leap(f->year))
            return false;
        date_of(days_of(f->year, 1, 1) + f->ordinal - 1, &f->year, &f->month, &f->day);
    }
    int month = f->month < 0 ? 1 : f->month, day = f->day < 0 ? 1 : f->day;
    if (month < 1 || month > 12 || day < 1 || day > month_days(f->year, month))
        return false;
    out->date = f->year * 10000 + month * 100 + day;
    if (f->hour >= 0) {
        int minute = f->minute < 0 ? 0 : f->minute, second = f->second < 0 ? 0 : f->second;
        if (f->hour > 23 || minute > 59 || second > 60)
            return false;
        out->timed = true;
        out->time = f->hour * 10000 + minute * 100 + (second > 59 ? 59 : second);
    }
    out->zoned = f->zoned;
    out->zone = f->zone;
    return true;
}

static bool digits_read(const uint8_t *text, size_t n, int *out) {
    int value = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + text[i] - '0';
    }
    *out = value;
    return true;
}

/* The number that a letter of a pattern stands for. */
static int *field_of(struct fields *f, char letter) {
    switch (letter) {
    case 'C':
        return &f->century;
    case 'Y':
        return &f->year;
    case 'M':
        return f->hour < 0 ? &f->month : &f->minute;
    case 'D':
        return &f->day;
    case 'H':
        return &f->hour;
    case 'S':
        return &f->second;
    case 'W':
        return &f->week;
    case 'd':
        return &f->weekday;
    case 'J':
        return &f->ordinal;
    default:
        return NULL;
    }
}

#define FIELDS_NONE ((struct fields){-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, false})

static size_t run_of(const char *pattern, size_t n) {
    size_t run = 1;
    while (run < n && pattern[run] == pattern[0])
        run++;
    return run;
}

/* One end by a pattern without '-' between dates; the text must be used up. */
static bool pattern_read(const uint8_t *text, size_t n, const char *pattern, size_t pattern_n, uint32_t pivot,
                         struct moment *out) {
    struct fields f = FIELDS_NONE;
    while (pattern_n) {
        size_t run = run_of(pattern, pattern_n);
        int *field = field_of(&f, pattern[0]);
        if (pattern[0] == 'Z') {
            /* A zone that nobody knows leaves the time without one. */
            f.zoned = moment_zone_read(text, n, &f.zone);
            if (!n)
                return false;
            run = pattern_n;
            text += n;
            n = 0;
        } else {
            if (n < run || (field ? !digits_read(text, run, field) : memcmp(text, pattern, run) != 0))
                return false;
            text += run;
            n -= run;
        }
        pattern += run;
        pattern_n -= run;
    }
    return n == 0 && moment_done(&f, pivot, out);
}

/* Periods of EDIFACT have the same pattern twice, and what they are sent with between them is a '-' or
 * nothing. */
static bool period_read(const uint8_t *text, size_t n, const char *pattern, size_t pattern_n, uint32_t pivot,
                        struct moment *start, struct moment *end) {
    size_t half = pattern_n / 2;
    bool two = pattern_n > 2 && pattern_n % 2 == 1 && pattern[half] == '-' &&
               memcmp(pattern, pattern + half + 1, half) == 0;
    if (!two) {
        bool good = pattern_read(text, n, pattern, pattern_n, pivot, start);
        *end = *start;
        return good;
    }
    size_t between = n > half && text[half] == '-';
    return n == 2 * half + between && pattern_read(text, half, pattern, half, pivot, start) &&
           pattern_read(text + half + between, half, pattern, half, pivot, end);
}

static bool digit_at(const uint8_t *text, size_t n, size_t i) {
    return i < n && text[i] >= '0' && text[i] <= '9';
}

/* 2026-09-02, with T and a time, with a zone. */
static bool iso_read(const uint8_t *text, size_t n, struct moment *out) {
    if (n < 10 || !pattern_read(text, 10, "CCYY-MM-DD", 10, 0, out))
        return false;
    text += 10;
    n -= 10;
    if (n == 0)
        return true;
    if ((*text == 'T' || *text == ' ') && digit_at(text, n, 1)) {
        int32_t date = out->date;
        bool good = moment_time_read(text + 1, n - 1, out);
        out->date = date;
        return good;
    }
    out->zoned = moment_zone_read(text, n, &out->zone);
    return out->zoned;
}

static bool looks_read(const uint8_t *text, size_t n, uint32_t pivot, struct moment *start,
                       struct moment *end) {
    static const struct {
        size_t n;
        const char *pattern;
    } by_length[] = {{8, "CCYYMMDD"},           {6, "YYMMDD"},
                     {12, "CCYYMMDDHHMM"},      {14, "CCYYMMDDHHMMSS"},
                     {17, "CCYYMMDD-CCYYMMDD"}, {16, "CCYYMMDD-CCYYMMDD"}};
    for (size_t i = 0; i < sizeof by_length / sizeof *by_length; i++)
        if (by_length[i].n == n) {
            const char *pattern = by_length[i].pattern;
            if (period_read(text, n, pattern, strlen(pattern), pivot, start, end))
                return true;
        }
    bool good = iso_read(text, n, start);
    *end = *start;
    return good;
}

static const char *pattern_of(const char *format, size_t n) {
    for (size_t i = 0; n <= 3 && i < sizeof formats / sizeof *formats; i++)
        if (strlen(formats[i].code) == n && memcmp(formats[i].code, format, n) == 0)
            return formats[i].pattern;
    return NULL;
}

static bool nothing(const uint8_t *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (text[i] != '0' && text[i] != ' ')
            return false;
    return true;
}

/* Digits of CCYYMMDD, and of HHMM behind it: how nearly all dates are written, read without a pattern. */
static bool common_read(const uint8_t *text, size_t n, struct moment *out) {
    uint32_t number = 0, clock = 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t digit = (uint8_t)(text[i] - '0');
        if (digit > 9)
            return false;
        if (i < 8)
            number = number * 10 + digit;
        else
            clock = clock * 10 + digit;
    }
    int year = (int)(number / 10000), month = (int)(number / 100 % 100), day = (int)(number % 100);
    if (year < 1900 || year > 2199 || month < 1 || month > 12 || day < 1 || day > month_days(year, month) ||
        clock / 100 > 23 || clock % 100 > 59)
        return false;
    *out = (struct moment){.date = (int32_t)number, .timed = n == 12, .time = (int32_t)clock * 100};
    return true;
}

static bool format_is(const char *format, size_t n, const char *code) {
    return n == 0 || (n == 3 && memcmp(format, code, 3) == 0);
}

enum moment_result moment_read(const uint8_t *text, size_t n, const char *format, size_t format_n,
                               uint32_t pivot, struct moment *start, struct moment *end) {
    pivot = pivot ? pivot : MOMENT_PIVOT_DEFAULT;
    while (n && text[n - 1] == ' ')
        n--;
    while (n && *text == ' ') {
        text++;
        n--;
    }
    if ((n == 8 && format_is(format, format_n, "102") && common_read(text, n, start)) ||
        (n == 12 && format_is(format, format_n, "203") && common_read(text, n, start))) {
        *end = *start;
        return MOMENT_OK;
    }
    if (nothing(text, n))
        return MOMENT_EMPTY;
    if (!format_n)
        return looks_read(text, n, pivot, start, end) ? MOMENT_OK : MOMENT_BAD;
    const char *pattern = pattern_of(format, format_n);
    size_t pattern_n = pattern ? strlen(pattern) : format_n;
    if (period_read(text, n, pattern ? pattern : format, pattern_n, pivot, start, end))
        return MOMENT_OK;
    return looks_read(text, n, pivot, start, end) ? MOMENT_OTHER : MOMENT_BAD;
}

bool moment_time_read(const uint8_t *text, size_t n, struct moment *out) {
    int parts[3] = {0, 0, 0};
    size_t at = 0;
    *out = (struct moment){0};
    for (int i = 0; i < 3; i++) {
        if (i == 2 && !digit_at(text, n, at))
            break;
        if (!digit_at(text, n, at) || !digit_at(text, n, at + 1))
            return false;
        parts[i] = (text[at] - '0') * 10 + text[at + 1] - '0';
        at += 2;
        if (i < 2 && at < n && text[at] == ':')
            at++;
    }
    if (parts[0] > 23 || parts[1] > 59 || parts[2] > 60)
        return false;
    /* A fraction: .25 in XML, DD behind HHMMSS in X12. */
    if (at < n && text[at] == '.')
        at++;
    while (digit_at(text, n, at))
        at++;
    out->timed = true;
    out->time = parts[0] * 10000 + parts[1] * 100 + (parts[2] > 59 ? 59 : parts[2]);
    if (at < n) {
        out->zoned = moment_zone_read(text + at, n - at, &out->zone);
        return out->zoned;
    }
    return true;
}

bool moment_zone_read(const uint8_t *text, size_t n, int32_t *minutes) {
    static const struct {
        char name[4];
        int32_t minutes;
    } names[] = {{"Z", 0},     {"UTC", 0},   {"GMT", 0},   {"UT", 0},    {"GM", 0},
                 {"ES", -300}, {"ED", -240}, {"CS", -360}, {"CD", -300}, {"MS", -420},
                 {"MD", -360}, {"PS", -480}, {"PD", -420}, {"AS", -240}, {"AD", -180}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i].name) == n && memcmp(names[i].name, text, n) == 0) {
            *minutes = names[i].minutes;
            return true;
        }
    int hours, rest = 0;
    if (n < 3 || (text[0] != '+' && text[0] != '-') || !digits_read(text + 1, 2, &hours))
        return false;
    size_t at = n > 3 && text[3] == ':' ? 4 : 3;
    if (at < n && (n - at != 2 || !digits_read(text + at, 2, &rest)))
        return false;
    if (hours > 14 || rest > 59)
        return false;
    *minutes = (text[0] == '-' ? -1 : 1) * (hours * 60 + rest);
    return true;
}

static char *two(char *p, int32_t value) {
    *p++ = (char)('0' + value / 10 % 10);
    *p++ = (char)('0' + value % 10);
    return p;
}

size_t moment_write(struct moment moment, char out[MOMENT_TEXT_BYTES]) {
    char *p = out;
    if (moment.date) {
        p = two(two(p, moment.date / 1000000), moment.date / 10000 % 100);
        *p++ = '-';
        p = two(p, moment.date / 100 % 100);
        *p++ = '-';
        p = two(p, moment.date % 100);
    }
    if (moment.timed) {
        if (moment.date)
            *p++ = 'T';
        p = two(p, moment.time / 10000);
        *p++ = ':';
        p = two(p, moment.time / 100 % 100);
        *p++ = ':';
        p = two(p, moment.time % 100);
    }
    if (moment.zoned && moment.zone == 0) {
        *p++ = 'Z';
    } else if (moment.zoned) {
        int32_t ahead = moment.zone < 0 ? -moment.zone : moment.zone;
        *p++ = moment.zone < 0 ? '-' : '+';
        p = two(p, ahead / 60);
        *p++ = ':';
        p = two(p, ahead % 60);
    }
    *p = 0;
    return (size_t)(p - out);
}

bool moment_text_read(const char *text, size_t n, struct moment *out) {
    const uint8_t *p = (const uint8_t *)text;
    *out = (struct moment){0};
    if (n >= 10 && text[4] == '-')
        return iso_read(p, n, out);
    if (n >= 8 && text[2] == ':')
        return moment_time_read(p, n, out);
    out->zoned = n > 0 && moment_zone_read(p, n, &out->zone);
    return n == 0 || out->zoned;
}

int64_t moment_seconds(struct moment moment) {
    int64_t days = days_of(moment.date / 10000, moment.date / 100 % 100, moment.date % 100);
    int64_t clock =
        moment.timed ? moment.time / 10000 * 3600 + moment.time / 100 % 100 * 60 + moment.time % 100 : 0;
    return days * 86400 + clock - (moment.zoned ? (int64_t)moment.zone * 60 : 0);
}
