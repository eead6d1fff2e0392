/* list.h: intrusive doubly linked lists: a member of a struct is its place in one list.
 * Owner: whoever owns the list's head; one thread.
 * A node that is in no list points to itself, so removing is always allowed.
 * Nothing blocks, nothing allocates.
 * Nothing fails. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct list {
    struct list *prev;
    struct list *next;
};

#define LIST_OF(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void list_init(struct list *node) {
    node->prev = node->next = node;
}
static inline bool list_in(const struct list *node) {
    return node->next != node;
}
static inline bool list_empty(const struct list *head) {
    return head->next == head;
}
/* Puts the node at the end; one that is in a list stays where it is. */
static inline void list_add(struct list *head, struct list *node) {
    if (list_in(node))
        return;
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}
static inline void list_remove(struct list *node) {
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}
/* Takes the first node, or NULL. */
static inline struct list *list_take(struct list *head) {
    struct list *node = head->next;
    if (node == head)
        return NULL;
    head->next = node->next; /* before the first one is the head */
    node->next->prev = head;
    list_init(node);
    return node;
}
/* Moves all nodes of `from` to the empty list `to`. */
static inline void list_move(struct list *from, struct list *to) {
    list_init(to);
    if (list_empty(from))
        return;
    *to = *from;
    to->next->prev = to;
    to->prev->next = to;
    list_init(from);
}
