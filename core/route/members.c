#include "core/route/members.h"

#include "core/base/heap.h"

#include <errno.h>
#include <string.h>

#define MEMBERS_CAPACITY_MIN 2u
#define MEMBERS_SHRINK       4u /* an array used to less than a quarter is halved */

static uint32_t *members_times(const struct members *members) {
    return members->numbers + members->capacity;
}

void members_deinit(struct members *members) {
    heap_give(members->numbers);
    *members = (struct members){0};
}

/* The first position whose number is not below `member`. Ascending additions find the end at once. */
static uint32_t members_position(const struct members *members, route_member member) {
    uint32_t low = 0, high = members->count;
    if (high && members->numbers[high - 1] < member)
        return high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (members->numbers[middle] < member)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool members_at(const struct members *members, uint32_t position, route_member member) {
    return position < members->count && members->numbers[position] == member;
}

bool members_has(const struct members *members, route_member member) {
    return members_at(members, members_position(members, member), member);
}

static int members_resize(struct members *members, uint32_t capacity) {
    struct members resized = {.count = members->count, .capacity = capacity};
    resized.numbers = heap_take_raw((size_t)capacity * (sizeof(route_member) + sizeof(uint32_t)));
    if (!resized.numbers)
        return -ENOMEM;
    if (members->count) {
        memcpy(resized.numbers, members->numbers, members->count * sizeof *members->numbers);
        memcpy(members_times(&resized), members_times(members), members->count * sizeof(uint32_t));
    }
    heap_give(members->numbers);
    *members = resized;
    return 0;
}

int members_add(struct members *members, route_member member) {
    uint32_t position = members_position(members, member);
    if (members_at(members, position, member)) {
        if (members_times(members)[position] == UINT32_MAX)
            return -ENOSPC;
        members_times(members)[position]++;
        return 0;
    }
    if (members->count == members->capacity) {
        uint32_t capacity = members->capacity ? 2 * members->capacity : MEMBERS_CAPACITY_MIN;
        if (members_resize(members, capacity))
            return -ENOMEM;
    }
    route_member *number = members->numbers + position;
    uint32_t *times = members_times(members) + position, above = members->count - position;
    memmove(number + 1, number, above * sizeof *number);
    memmove(times + 1, times, above * sizeof *times);
    *number = member;
    *times = 1;
    members->count++;
    return 1;
}

bool members_drop(struct members *members, route_member member) {
    uint32_t position = members_position(members, member);
    CHECK(members_at(members, position, member));
    route_member *number = members->numbers + position;
    uint32_t *times = members_times(members) + position, above = members->count - position - 1;
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
    CHECK(members->count <= members->capacity);
    for (uint32_t i = 0; i < members->count; i++)
        CHECK(members_times(members)[i] && (i == 0 || members->numbers[i - 1] < members->numbers[i]));
}
