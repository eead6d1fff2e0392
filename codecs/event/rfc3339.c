#include "codecs/event/rfc3339.h"

#include "core/base/check.h"

#include <stdio.h>

/* The calendar: days_from_civil and civil_from_days of Howard Hinnant's "chrono-compatible low-level date
 * algorithms", in years that begin in March. */
#define DAY_SECONDS     86400
#define ERA_YEARS       400
#define ERA_DAYS        146097 /* of 400 years */
#define EPOCH_FROM_ZERO 719468 /* days from 0000-03-01 to 1970-01-01 */

static int64_t days_from_civil(int year, int month, int day) {
    year -= month <= 2; /* years from 0 on, so no era is negative: year 1 is the first */
    int era = year / ERA_YEARS;
    int year_of_era = year - era * ERA_YEARS;
    int day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)era * ERA_DAYS + day_of_era - EPOCH_FROM_ZERO;
}

static void civil_from_days(int64_t days, int *year, int *month, int *day) {
    days += EPOCH_FROM_ZERO;
    int era = (int)(days / ERA_DAYS);
    int day_of_era = (int)(days - (int64_t)era * ERA_DAYS);
    int year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int shifted = (5 * day_of_year + 2) / 153;
    *day = day_of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = year_of_era + era * ERA_YEARS + (*month <= 2);
}

static int month_days(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

/* The text that is still to be read. */
struct reader {
    const char *p, *end;
    bool failed;
};

static int digits_read(struct reader *reader, int count) {
    int value = 0;
    for (; count > 0; --count) {
        if (reader->p == reader->end || *reader->p < '0' || *reader->p > '9') {
            reader->failed = true;
            return 0;
        }
        value = value * 10 + (*reader->p++ - '0');
    }
    return value;
}

/* One of the characters in `allowed`, or failure. */
static char letter_read(struct reader *reader, const char *allowed) {
    if (reader->p < reader->end)
        for (; *allowed; ++allowed)
            if (*reader->p == *allowed)
                return *reader->p++;
    reader->failed = true;
    return 0;
}

static uint32_t fraction_read(struct reader *reader) {
    if (reader->p == reader->end || *reader->p != '.')
        return 0;
    ++reader->p;
    uint32_t nanos = 0, unit = 100000000;
    const char *first = reader->p;
    for (; reader->p < reader->end && *reader->p >= '0' && *reader->p <= '9'; ++reader->p, unit /= 10)
        nanos += (uint32_t)(*reader->p - '0') * unit;
    reader->failed |= reader->p == first;
    return nanos;
}

/* Seconds that the local time is ahead of UTC. */
static int offset_read(struct reader *reader) {
    char sign = letter_read(reader, "Zz+-");
    if (reader->failed || sign == 'Z' || sign == 'z')
        return 0;
    int hours = digits_read(reader, 2);
    letter_read(reader, ":");
    int minutes = digits_read(reader, 2);
    reader->failed |= hours > 23 || minutes > 59;
    int seconds = (hours * 60 + minutes) * 60;
    return sign == '-' ? -seconds : seconds;
}

static int64_t date_read(struct reader *reader) {
    int year = digits_read(reader, 4);
    letter_read(reader, "-");
    int month = digits_read(reader, 2);
    letter_read(reader, "-");
    int day = digits_read(reader, 2);
    if (reader->failed || year < 1 || month < 1 || month > 12 || day < 1 || day > month_days(year, month)) {
        reader->failed = true;
        return 0;
    }
    return days_from_civil(year, month, day) * DAY_SECONDS;
}

static int time_read(struct reader *reader) {
    int hour = digits_read(reader, 2);
    letter_read(reader, ":");
    int minute = digits_read(reader, 2);
    letter_read(reader, ":");
    int second = digits_read(reader, 2);
    reader->failed |= hour > 23 || minute > 59 || second > 60;
    return (hour * 60 + minute) * 60 + second;
}

bool rfc3339_read(const char *text, size_t n, int64_t *seconds, uint32_t *nanos) {
    struct reader reader = {.p = text, .end = text + n};
    int64_t date = date_read(&reader);
    letter_read(&reader, "Tt");
    int time = time_read(&reader);
    *nanos = fraction_read(&reader);
    int offset = offset_read(&reader);
    *seconds = date + time - offset;
    return !reader.failed && reader.p == reader.end && *seconds >= RFC3339_SECONDS_MIN &&
           *seconds <= RFC3339_SECONDS_MAX;
}

size_t rfc3339_write(int64_t seconds, uint32_t nanos, char out[RFC3339_BYTES]) {
    CHECK(seconds >= RFC3339_SECONDS_MIN && seconds <= RFC3339_SECONDS_MAX && nanos < 1000000000);
    int year, month, day;
    int64_t from_first = seconds - RFC3339_SECONDS_MIN; /* not negative, so that / and % round down */
    civil_from_days(from_first / DAY_SECONDS + RFC3339_SECONDS_MIN / DAY_SECONDS, &year, &month, &day);
    int rest = (int)(from_first % DAY_SECONDS);
    int length = snprintf(out, RFC3339_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day, rest / 3600,
                          rest / 60 % 60, rest % 60);
    size_t used = (size_t)length;
    int digits = nanos == 0 ? 0 : nanos % 1000000 == 0 ? 3 : nanos % 1000 == 0 ? 6 : 9;
    uint32_t shown = digits == 3 ? nanos / 1000000 : digits == 6 ? nanos / 1000 : nanos;
    if (digits)
        used += (size_t)snprintf(out + used, RFC3339_BYTES - used, ".%0*u", digits, shown);
    out[used++] = 'Z';
    out[used] = 0;
    return used;
}
