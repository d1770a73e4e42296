/* list.h - intrusive doubly linked list. The link is a member; an element is
 * in at most one list per link. Not thread-safe. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}
static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}
static inline void list_add_tail(struct list *head, struct list *n)
{
	n->prev = head->prev;
	n->next = head;
	head->prev->next = n;
	head->prev = n;
}
/* Safe to call twice: a removed link points at itself. */
static inline void list_del(struct list *n)
{
	n->next->prev = n->prev;
	n->prev->next = n->next;
	n->next = n->prev = n;
}
#define list_entry(l, type, member) ((type *)((char *)(l) - offsetof(type, member)))
#define list_for(l, head) for (struct list *l = (head)->next; l != (head); l = l->next)
/* The current element may be removed. */
#define list_for_safe(l, head) \
	for (struct list *l = (head)->next, *l##_n = l->next; l != (head); l = l##_n, l##_n = l->next)

#endif
