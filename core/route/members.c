#include "core/route/members.h"

#include "core/base/heap.h"

#include <errno.h>
#include <string.h>

#define MEMBERS_CAPACITY_MIN 2u
#define MEMBERS_SHRINK       4u /* an array used to less than a quarter is halved */

static route_member *members_at(struct members *members, uint32_t position) {
    return members->capacity == 0 ? &members->alone.number : members->numbers + position;
}

static uint32_t *members_times_at(struct members *members, uint32_t position) {
    return members->capacity == 0 ? &members->alone.times : members->numbers + members->capacity + position;
}

void members_deinit(struct members *members) {
    if (members->capacity > 0)
        heap_give(members->numbers);
    *members = (struct members){0};
}

/* The first position whose number is not below `member`. Ascending additions find the end at once. */
static uint32_t members_position(const struct members *members, route_member member) {
    const route_member *numbers = members_numbers(members);
    uint32_t low = 0, high = members->count;
    if (high && numbers[high - 1] < member)
        return high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (numbers[middle] < member)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool members_is(const struct members *members, uint32_t position, route_member member) {
    return position < members->count && members_numbers(members)[position] == member;
}

bool members_has(const struct members *members, route_member member) {
    return members_is(members, members_position(members, member), member);
}

static int members_resize(struct members *members, uint32_t capacity) {
    struct members resized = {.count = members->count, .capacity = capacity};
    resized.numbers = heap_take_raw((size_t)capacity * (sizeof(route_member) + sizeof(uint32_t)));
    if (!resized.numbers)
        return -ENOMEM;
    if (members->count) {
        memcpy(members_at(&resized, 0), members_at(members, 0), members->count * sizeof(route_member));
        memcpy(members_times_at(&resized, 0), members_times_at(members, 0),
               members->count * sizeof(uint32_t));
    }
    members_deinit(members);
    *members = resized;
    return 0;
}

int members_add(struct members *members, route_member member) {
    uint32_t position = members_position(members, member);
    if (members_is(members, position, member)) {
        uint32_t *again = members_times_at(members, position);
        if (*again == UINT32_MAX)
            return -ENOSPC;
        ++*again;
        return 0;
    }
    if (members->count > 0 && members->count >= members->capacity) {
        uint32_t capacity = members->capacity ? 2 * members->capacity : MEMBERS_CAPACITY_MIN;
        if (members_resize(members, capacity))
            return -ENOMEM;
    }
    route_member *number = members_at(members, position);
    uint32_t *times = members_times_at(members, position), above = members->count - position;
    memmove(number + 1, number, above * sizeof *number);
    memmove(times + 1, times, above * sizeof *times);
    *number = member;
    *times = 1;
    members->count++;
    return 1;
}

bool members_drop(struct members *members, route_member member) {
    uint32_t position = members_position(members, member);
    CHECK(members_is(members, position, member));
    route_member *number = members_at(members, position);
    uint32_t *times = members_times_at(members, position), above = members->count - position - 1;
    if (--*times)
        return false;
    memmove(number, number + 1, above * sizeof *number);
    memmove(times, times + 1, above * sizeof *times);
    members->count--;
    if (members->count && members->count < members->capacity / MEMBERS_SHRINK) {
        int kept_large = members_resize(members, members->capacity / 2);
        (void)kept_large; /* without memory the larger array stays, which is as right */
    }
    return true;
}

void members_check(const struct members *members) {
    const route_member *numbers = members_numbers(members);
    CHECK(members->count <= (members->capacity ? members->capacity : 1));
    for (uint32_t i = 0; i < members->count; i++) {
        uint32_t times = members->capacity ? numbers[members->capacity + i] : members->alone.times;
        CHECK(times && (i == 0 || numbers[i - 1] < numbers[i]));
    }
}
